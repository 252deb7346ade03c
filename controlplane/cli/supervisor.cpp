#include "controlplane/cli/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <ranges>
#include <string_view>

#include "controlplane/cli/event_log.hpp"

namespace trunkgate {

namespace {

using namespace std::chrono_literals;
constexpr auto patience = 5s;  // between the signal to end and SIGKILL

sigset_t handled_signals() {
  sigset_t set;
  sigemptyset(&set);
  for (int number : {SIGTERM, SIGINT, SIGHUP, SIGCHLD}) sigaddset(&set, number);
  return set;
}

std::string cause_text(const siginfo_t& end) {
  if (end.si_code == CLD_EXITED) return "exited with status " + std::to_string(end.si_status);
  const char* name = sigabbrev_np(end.si_status);
  return "was killed by signal " + (name != nullptr ? "SIG" + std::string(name) : std::to_string(end.si_status));
}

// In the child between fork and exec: only what is safe there (signal-safety(7)); everything was allocated before.
[[noreturn]] void become(char* const* words, char* const* environment, int keep, pid_t supervisor_pid) {
  // The supervisor's end must not leave orphans: they end in order, as on its request.
  ::prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (::getppid() != supervisor_pid) ::_exit(1);
  // A terminal's Ctrl-C is for the supervisor alone, which ends the programs in their order.
  ::setpgid(0, 0);
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  if (keep >= 0) ::fcntl(keep, F_SETFD, 0);
  ::execve(words[0], words, environment);
  ::_exit(127);
}

// What a program that reads no key may see of the environment: "NAME=" or the beginning of a name.
constexpr std::string_view plain_variables[] = {"PATH=",         "LANG=",          "LC_",
                                                "TZ=",           "NOTIFY_SOCKET=", "TRUNKGATE_RUN_DIR=",
                                                "ASAN_OPTIONS=", "UBSAN_OPTIONS=", "TSAN_OPTIONS="};

bool may_see(const supervised_program& program, std::string_view variable) {
  if (program.inherited >= 0 && variable.starts_with(program.inherited_variable + "=")) return false;  // set anew
  if (std::ranges::any_of(program.hidden_variables,
                          [variable](const auto& name) { return variable.starts_with(name + "="); }))
    return false;
  return program.sees_environment ||
         std::ranges::any_of(plain_variables, [variable](auto plain) { return variable.starts_with(plain); });
}

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (auto& string : strings) out.push_back(string.data());
  out.push_back(nullptr);
  return out;
}

}  // namespace

supervisor::supervisor(std::vector<supervised_program> programs) {
  for (auto& program : programs) children_.push_back({.program = std::move(program), .start_at = clock::now()});
}

supervisor::~supervisor() {
  for (const auto& one : children_)
    if (one.pidfd >= 0) ::close(one.pidfd);
  if (signals_ >= 0) ::close(signals_);
}

result<void> supervisor::run() {
  const auto set = handled_signals();
  if (::sigprocmask(SIG_BLOCK, &set, nullptr) != 0) return system_failure("block signals");
  signals_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (signals_ < 0) return system_failure("signalfd");
  while (!ending_) {
    start_due();
    wait_for_events();
    take_signals();
    reap_dead();
    reap_strays();
  }
  end_all();
  return {};
}

void supervisor::start_due() {
  for (auto& one : children_) {
    if (!one.start_at || *one.start_at > clock::now()) continue;
    one.start_at.reset();
    if (auto started = start(one); !started) schedule(one, 0s, "did not start: " + started.error().reason);
  }
}

result<void> supervisor::start(child& one) {
  auto command = one.program.command;
  if (::access(command.front().c_str(), X_OK) != 0) return system_failure(command.front());
  std::vector<std::string> variables;
  for (char** variable = environ; *variable != nullptr; ++variable)
    if (may_see(one.program, *variable)) variables.emplace_back(*variable);
  if (one.program.inherited >= 0)
    variables.push_back(one.program.inherited_variable + "=" + std::to_string(one.program.inherited));
  const auto words = pointers(command), environment = pointers(variables);

  const pid_t self = ::getpid();
  const pid_t pid = ::fork();
  if (pid < 0) return system_failure("fork");
  if (pid == 0) become(words.data(), environment.data(), one.program.inherited, self);
  // The process can't be gone before it is waited for, so the number still is its.
  const int pidfd = static_cast<int>(::syscall(SYS_pidfd_open, pid, 0));
  if (pidfd < 0) {
    auto why = system_failure("pidfd_open");
    ::kill(pid, SIGKILL);
    ::waitpid(pid, nullptr, 0);
    return why;
  }
  one.pid = pid;
  one.pidfd = pidfd;
  one.started = clock::now();
  log_event(log_level::info, "process.started", one.program.name + " pid " + std::to_string(pid));
  return {};
}

void supervisor::schedule(child& one, std::chrono::nanoseconds lifetime, const std::string& why) {
  const auto wait = one.backoff.died_after(lifetime);
  one.start_at = clock::now() + wait;
  log_event(log_level::error, "process.died",
            one.program.name + " " + why + "; starts again in " + std::to_string(wait.count()) + " ms");
}

void supervisor::reap_dead() {
  for (auto& one : children_) {
    if (one.pid < 0) continue;
    siginfo_t end{};
    if (::waitid(P_PIDFD, static_cast<id_t>(one.pidfd), &end, WEXITED | WNOHANG) != 0 || end.si_pid == 0) continue;
    ::close(one.pidfd);
    one.pid = one.pidfd = -1;
    if (ending_)
      log_event(log_level::info, "process.ended", one.program.name + " " + cause_text(end));
    else
      schedule(one, clock::now() - one.started, cause_text(end));
  }
}

// As PID 1 of a container the supervisor inherits whatever its programs leave behind.
void supervisor::reap_strays() {
  for (;;) {
    siginfo_t end{};
    if (::waitid(P_ALL, 0, &end, WEXITED | WNOHANG | WNOWAIT) != 0 || end.si_pid == 0) return;
    for (const auto& one : children_)
      if (one.pid == end.si_pid) return;  // its turn is at the next reap_dead(), which its pidfd calls for
    ::waitpid(end.si_pid, nullptr, WNOHANG);
  }
}

int supervisor::milliseconds_to_next_start() const {
  std::optional<clock::time_point> first;
  for (const auto& one : children_)
    if (one.start_at && (!first || *one.start_at < *first)) first = one.start_at;
  if (!first) return -1;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(*first - clock::now());
  return static_cast<int>(std::max<std::int64_t>(0, left.count()));
}

void supervisor::wait_for_events() {
  std::vector<pollfd> watched{{signals_, POLLIN, 0}};
  for (const auto& one : children_)
    if (one.pidfd >= 0) watched.push_back({one.pidfd, POLLIN, 0});
  ::poll(watched.data(), watched.size(), milliseconds_to_next_start());
}

void supervisor::take_signals() {
  signalfd_siginfo signal{};
  while (::read(signals_, &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGTERM || signal.ssi_signo == SIGINT) ending_ = true;
    if (signal.ssi_signo != SIGHUP) continue;
    for (const auto& one : children_)
      if (one.program.reloads && one.pid > 0) ::kill(one.pid, SIGHUP);
  }
}

void supervisor::end_all() {
  log_event(log_level::info, "supervisor.ending", "ends on request");
  for (auto& one : std::views::reverse(children_)) end(one);
}

void supervisor::end(child& one) {
  one.start_at.reset();
  if (one.pid < 0) return;
  ::kill(one.pid, one.program.end_signal);
  pollfd watched{one.pidfd, POLLIN, 0};
  const auto deadline = clock::now() + patience;
  int ready = 0;
  do {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock::now()).count();
    ready = ::poll(&watched, 1, static_cast<int>(std::max<std::int64_t>(0, left)));
  } while (ready < 0 && errno == EINTR);
  if (ready == 0) {
    log_event(log_level::warning, "process.killed", one.program.name + " did not end within 5 s");
    ::kill(one.pid, SIGKILL);
    while (::poll(&watched, 1, -1) < 0 && errno == EINTR) {}
  }
  reap_dead();
}

}  // namespace trunkgate
