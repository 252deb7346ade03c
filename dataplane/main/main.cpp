// trunkgate-dataplane: waits for a configuration on its socket, then moves packets until it is told to stop.
#include <poll.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <string>
#include <vector>

#include "dataplane/api/run_directory.hpp"
#include "dataplane/core/protect_memory.hpp"
#include "dataplane/main/gateway.hpp"
#include "dataplane/main/log.hpp"
#include "dataplane/main/server.hpp"
#include "drivers/host/netdev_guard.hpp"
#include "drivers/host/notify.hpp"

namespace {

using namespace trunkgate;

constexpr int tick_ms = 200;
constexpr int watch_ms = 10;  // the workers' records of a watch wait no longer

// Signals that end the process are read from a descriptor, so that every thread started later has them blocked.
int block_signals() {
  sigset_t ending;
  sigemptyset(&ending);
  sigaddset(&ending, SIGTERM);
  sigaddset(&ending, SIGINT);
  sigprocmask(SIG_BLOCK, &ending, nullptr);
  std::signal(SIGPIPE, SIG_IGN);
  return ::signalfd(-1, &ending, SFD_NONBLOCK | SFD_CLOEXEC);
}

struct event_loop {
  gateway& served;
  api_server& server;
  int signals;

  void take_from_workers() {
    if (served.worker_descriptor() < 0) return;
    while (served.on_workers()) server.push_events();
  }
  void run() {
    std::uint64_t next_tick = 0;
    while (!server.shutdown_requested()) {
      std::vector<pollfd> waits{{signals, POLLIN, 0},
                                {server.descriptor(), POLLIN, 0},
                                {served.kernel_descriptor(), POLLIN, 0},
                                {served.worker_descriptor(), POLLIN, 0}};
      server.each_descriptor([&](int descriptor) { waits.push_back({descriptor, POLLIN, 0}); });
      ::poll(waits.data(), waits.size(), server.watching() ? watch_ms : tick_ms);
      if ((waits[0].revents & POLLIN) != 0) return;
      if ((waits[3].revents & POLLIN) != 0) take_from_workers();
      if ((waits[2].revents & POLLIN) != 0) served.on_kernel();
      for (std::size_t i = 4; i < waits.size(); ++i)
        if (waits[i].revents != 0) server.serve(waits[i].fd);
      if ((waits[1].revents & POLLIN) != 0) server.accept_one();
      server.pump_watch();
      timespec now{};
      ::clock_gettime(CLOCK_MONOTONIC, &now);
      const auto ms =
          static_cast<std::uint64_t>(now.tv_sec) * 1000 + static_cast<std::uint64_t>(now.tv_nsec) / 1'000'000;
      if (ms >= next_tick) {
        take_from_workers();
        served.on_tick();
        next_tick = ms + tick_ms;
      }
      server.push_events();
    }
  }
};

int fail(const error& why) {
  std::fprintf(stderr, "trunkgate-dataplane: %s\n", why.reason.c_str());
  return 1;
}

}  // namespace

int main(int argc, char** argv) {
  std::string wanted;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument == "--run-dir" && i + 1 < argc)
      wanted = argv[++i];
    else
      return fail({"usage: trunkgate-dataplane [--run-dir DIR]"});
  }
  const int signals = block_signals();
  if (auto kept = keep_secrets_in_memory(); !kept) log_event("memory", kept.error().reason);
  // Before anything else: the kernel must not route past the policies, whatever comes later.
  if (auto off = forbid_kernel_forwarding(); !off) return fail(off.error());
  const std::string directory = api::run_directory(wanted);
  ::mkdir(directory.c_str(), 0750);
  gateway served;
  auto server = api_server::listen(api::socket_in(directory), served);
  if (!server) return fail(server.error());
  (void)notify_ready("waiting for a configuration");
  log_event("listening", api::socket_in(directory));
  event_loop{served, **server, signals}.run();
  log_event("stopping", "ports go back to the kernel");
  return 0;
}
