// The key process: holds private keys and pre-shared keys, signs and computes with them, and gives none of them away.
#include <fcntl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <ctime>
#include <exception>
#include <filesystem>
#include <iostream>

#include <boost/program_options.hpp>
#include <openssl/crypto.h>

#include "controlplane/cli/event_log.hpp"
#include "controlplane/keystore/confine.hpp"
#include "controlplane/keystore/server.hpp"
#include "controlplane/main/sd_notify.hpp"
#include "dataplane/api/run_directory.hpp"
#include "dataplane/core/protect_memory.hpp"

namespace {

namespace po = boost::program_options;
using namespace trunkgate;

// systemd made the socket where a unit says so, with the right owner, and passes it as descriptor 3 (sd_listen_fds(3)).
bool passed_by_systemd() {
  const char* count = std::getenv("LISTEN_FDS");
  const char* receiver = std::getenv("LISTEN_PID");
  return count != nullptr && receiver != nullptr && std::string(count) == "1" && receiver == std::to_string(::getpid());
}

result<int> open_listener(const std::string& path) {
  if (!passed_by_systemd()) return listen_keystore(path);
  constexpr int first = 3;
  if (::fcntl(first, F_SETFD, FD_CLOEXEC) != 0 || ::fcntl(first, F_SETFL, O_NONBLOCK) != 0)
    return system_failure("the socket from systemd");
  return first;
}

int fail(const std::string& reason) {
  log_event(log_level::error, "keystore.failed", reason);
  return 1;
}

int serve(const std::string& run_directory, const std::string& folder) {
  const std::string path = run_directory + "/keystore.sock";
  sigset_t handled;
  sigemptyset(&handled);
  for (int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&handled, number);
  ::sigprocmask(SIG_BLOCK, &handled, nullptr);
  const int signals = ::signalfd(-1, &handled, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals < 0) return fail(system_failure("signalfd").error().reason);

  key_ring keys(folder, [](const std::string& warning) {
    log_event(log_level::warning, "keystore.key_readable_by_others", warning);
  });
  const auto listener = open_listener(path);
  if (!listener) return fail(listener.error().reason);
  keystore_server server(*listener, signals, keys, [](std::string_view event, const std::string& text) {
    log_event(log_level::info, event, text);
  });
  // These open files at their first use, which is not possible any more after confine().
  OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, nullptr);
  ::tzset();
  log_event(log_level::info, "keystore.started", "version " TRUNKGATE_VERSION ", keys beneath " + folder);
  sd_notify("READY=1");  // requests wait in the socket meanwhile
  if (auto confined = confine(); !confined)
    log_event(log_level::warning, "keystore.unconfined", confined.error().reason);

  auto ended = server.run();
  if (!ended) return fail(ended.error().reason);
  log_event(log_level::info, "keystore.stopped", "ends on request");
  return 0;
}

}  // namespace

int main(int count, char** words) try {
  std::string run_directory, folder;
  po::options_description options("trunkgate-keystore: holds the keys, signs and computes with them");
  options.add_options()  //
      ("keys", po::value(&folder)->default_value("/etc/trunkgate")->value_name("DIR"),
       "the folder beneath which all key files are")                                                       //
      ("run-dir", po::value(&run_directory)->value_name("DIR"), "where its socket goes (/run/trunkgate)")  //
      ("help", "this text")("version", "the version");
  po::variables_map given;
  po::store(po::command_line_parser(count, words).options(options).positional({}).run(), given);
  po::notify(given);
  if (given.contains("help")) {
    std::cout << options;
    return 0;
  }
  if (given.contains("version")) {
    std::cout << "trunkgate-keystore " TRUNKGATE_VERSION "\n";
    return 0;
  }
  start_event_log("trunkgate-keystore", std::getenv("JOURNAL_STREAM") != nullptr);
  if (auto kept = keep_secrets_in_memory(); !kept)
    log_event(log_level::warning, "memory.unprotected", kept.error().reason);
  return serve(api::run_directory(run_directory), std::filesystem::absolute(folder).string());
} catch (const po::error& wrong) {
  std::cerr << "trunkgate-keystore: " << wrong.what() << " (trunkgate-keystore --help)\n";
  return 1;
} catch (const std::exception& thrown) {
  std::cerr << "trunkgate-keystore: " << thrown.what() << "\n";
  return 1;
}
