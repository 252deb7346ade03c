// The control daemon: reads the configuration and keeps the data plane at it.
#include <cstdlib>
#include <exception>
#include <iostream>

#include <boost/program_options.hpp>

#include "controlplane/cli/event_log.hpp"
#include "controlplane/main/control_daemon.hpp"
#include "dataplane/api/run_directory.hpp"
#include "dataplane/core/protect_memory.hpp"

namespace {

namespace po = boost::program_options;
using namespace trunkgate;

int serve(const std::string& file, const std::string& run_directory) {
  auto read = load_configuration(file);
  std::cerr << format_diagnostics(read);
  if (!read.config) {
    log_event(log_level::error, "config.bad", file + " has errors");
    return 1;
  }
  if (auto records = compile(*read.config); !records) {
    log_event(log_level::error, "config.bad", records.error().reason);
    return 1;
  }
  log_event(log_level::info, "daemon.started", "version " TRUNKGATE_VERSION ", configuration " + file);
  control_daemon(file, std::move(read), run_directory).run();
  return 0;
}

}  // namespace

int main(int count, char** words) try {
  std::string file, run_directory;
  po::options_description options("trunkgated: keeps the data plane at what the configuration says");
  options.add_options()  //
      ("config", po::value(&file)->default_value("/etc/trunkgate/trunkgate.yaml")->value_name("FILE"),
       "the configuration")                                                                                           //
      ("run-dir", po::value(&run_directory)->value_name("DIR"), "where the data plane's socket is (/run/trunkgate)")  //
      ("foreground", "log with times even under journald")                                                            //
      ("help", "this text")("version", "the version");
  po::variables_map given;
  po::store(po::command_line_parser(count, words).options(options).positional({}).run(), given);
  po::notify(given);
  if (given.contains("help")) {
    std::cout << options;
    return 0;
  }
  if (given.contains("version")) {
    std::cout << "trunkgated " TRUNKGATE_VERSION "\n";
    return 0;
  }
  start_event_log("trunkgated", std::getenv("JOURNAL_STREAM") != nullptr && !given.contains("foreground"));
  if (auto kept = keep_secrets_in_memory(); !kept)
    log_event(log_level::warning, "memory.unprotected", kept.error().reason);
  return serve(file, api::run_directory(run_directory));
} catch (const po::error& wrong) {
  std::cerr << "trunkgated: " << wrong.what() << " (trunkgated --help)\n";
  return 1;
} catch (const std::exception& thrown) {
  std::cerr << "trunkgated: " << thrown.what() << "\n";
  return 1;
}
