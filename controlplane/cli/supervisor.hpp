// Keeps programs running: starts them, starts anew what dies, passes signals on, ends them in order.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <csignal>
#include <optional>
#include <string>
#include <vector>

#include "controlplane/cli/restart_backoff.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

struct supervised_program {
  std::string name;
  std::vector<std::string> command;  // the first is the path
  bool reloads = false;              // takes SIGHUP
  bool sees_environment = true;  // false: keys may stand in it (`{env: NAME}`), and only `plain_variables` are passed
  std::vector<std::string> hidden_variables{};  // of the environment that it sees otherwise
  int inherited = -1;                           // a descriptor that it alone keeps, and ...
  std::string inherited_variable{};             // ... the environment variable that tells it the number
  int end_signal = SIGTERM;                     // when all end; alone it may be ended by SIGTERM all the same
};

class supervisor {
 public:
  // In the order in which they are started; they are ended the other way round.
  explicit supervisor(std::vector<supervised_program> programs);
  ~supervisor();
  supervisor(const supervisor&) = delete;
  supervisor& operator=(const supervisor&) = delete;

  // Returns after SIGTERM or SIGINT, when all have ended; fails only if the kernel refuses something at the start.
  [[nodiscard]] result<void> run();

 private:
  using clock = std::chrono::steady_clock;
  struct child {
    supervised_program program;
    restart_backoff backoff{};
    pid_t pid = -1;
    int pidfd = -1;  // readable: it died
    clock::time_point started{};
    std::optional<clock::time_point> start_at{};  // it is to be started then
  };

  void start_due();
  [[nodiscard]] result<void> start(child& one);
  void schedule(child& one, std::chrono::nanoseconds lifetime, const std::string& why);
  void reap_dead();
  void reap_strays();
  void wait_for_events();
  void take_signals();
  void end_all();
  void end(child& one);
  [[nodiscard]] int milliseconds_to_next_start() const;

  std::vector<child> children_;
  int signals_ = -1;  // a signalfd
  bool ending_ = false;
};

}  // namespace trunkgate
