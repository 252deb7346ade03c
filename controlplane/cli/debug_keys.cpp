// `trunkgate debug keys`: a tunnel's keys as Wireshark's tables, for a while.
#include <fcntl.h>
#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <iostream>

#include "controlplane/cli/control_client.hpp"
#include "controlplane/cli/listing.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

using namespace std::chrono_literals;
constexpr auto look_again = 250ms;
constexpr std::string_view table_names[] = {"ikev2_decryption_table", "esp_sa"};

// "90s", "5m", "1h".
std::optional<std::int64_t> seconds_of(std::string_view word) {
  if (word.size() < 2) return std::nullopt;
  const auto unit = word.back() == 's' ? 1 : word.back() == 'm' ? 60 : word.back() == 'h' ? 3600 : 0;
  std::int64_t number = 0;
  const auto digits = word.substr(0, word.size() - 1);
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (unit == 0 || error != std::errc() || end != digits.data() + digits.size() || number <= 0 || number > 86400)
    return std::nullopt;
  return number * unit;
}

// The two files; gone when this is.
class tables {
 public:
  explicit tables(std::string folder) : folder_(std::move(folder)) {}
  ~tables() {
    for (const auto& name : made_) ::unlink(name.c_str());
  }
  tables(const tables&) = delete;
  tables& operator=(const tables&) = delete;

  // For the user alone, and only where nothing is.
  result<void> make() {
    for (const auto name : table_names) {
      const auto path = path_of(name);
      const int descriptor = ::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
      if (descriptor < 0) return system_failure(path);
      ::close(descriptor);
      made_.push_back(path);
    }
    return {};
  }
  // How many lines came.
  result<std::size_t> append(const json_object& said) const {
    std::size_t count = 0;
    for (const auto name : table_names)
      for (const auto& line : said.value(std::string(name), json_object::array())) {
        const auto text = line.get<std::string>();
        const auto path = path_of(name);
        const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC);
        const bool written =
            descriptor >= 0 && ::write(descriptor, text.data(), text.size()) == static_cast<ssize_t>(text.size());
        if (descriptor >= 0) ::close(descriptor);
        if (!written) return system_failure(path);
        ++count;
      }
    return count;
  }

 private:
  [[nodiscard]] std::string path_of(std::string_view name) const { return folder_ + "/" + std::string(name); }
  std::string folder_;
  std::vector<std::string> made_;
};

// Readable once one of the signals that end a program has come.
int ending_signals() {
  sigset_t which;
  sigemptyset(&which);
  for (const int number : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&which, number);
  ::sigprocmask(SIG_BLOCK, &which, nullptr);
  return ::signalfd(-1, &which, SFD_CLOEXEC);
}

bool is_ended(int signals) {
  pollfd one{.fd = signals, .events = POLLIN, .revents = 0};
  return ::poll(&one, 1, static_cast<int>(look_again.count())) == 1;
}

int export_keys(control_client& daemon, const std::string& tunnel, tables& into, int signals) {
  std::size_t count = 0;
  for (;;) {
    const auto said = daemon.ask({{"verb", "debug_keys_next"}, {"tunnel", tunnel}});
    const auto added = said ? into.append(*said) : result<std::size_t>(std::unexpected(said.error()));
    if (!added) {
      std::cerr << "trunkgate debug keys: " << added.error().reason << "\n";
      return exit_failed;
    }
    if (*added != 0) std::cout << (count += *added) << " lines of keys" << std::endl;
    if (said->value("seconds_left", 0) == 0) return exit_well;
    if (!is_ended(signals)) continue;
    (void)daemon.ask({{"verb", "debug_keys_end"}, {"tunnel", tunnel}});
    return exit_well;
  }
}

}  // namespace

int run_debug(const arguments& given) {
  const auto fail = [](const std::string& reason) {
    std::cerr << "trunkgate debug: " << reason << "\n";
    return exit_failed;
  };
  if (given.words.front() != "keys") return fail("there is no \"" + given.words.front() + "\" (trunkgate help debug)");
  const auto& tunnel = given.words.at(1);
  const auto seconds = seconds_of(given.value("for", "5m"));
  if (!seconds) return fail("--for takes a time as 90s or 5m");
  if (!given.has("out")) return fail("--out DIR: where the tables go");
  const auto folder = given.value("out");
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return fail(folder + ": " + error.message());
  const int signals = ending_signals();
  auto daemon = control_client::connect(given);
  if (!daemon) return fail(daemon.error().reason);
  tables into(folder);
  const auto begun = daemon->ask({{"verb", "debug_keys"}, {"tunnel", tunnel}, {"seconds", *seconds}});
  if (!begun) return fail(begun.error().reason);
  if (auto made = into.make(); !made) {
    (void)daemon->ask({{"verb", "debug_keys_end"}, {"tunnel", tunnel}});
    return fail(made.error().reason);
  }
  std::cout << "the keys of " << printable(tunnel) << " go to " << folder << " for " << *seconds
            << "s; then, or at Ctrl-C, they are deleted" << std::endl;
  return export_keys(*daemon, tunnel, into, signals);
}

}  // namespace trunkgate
