#include "controlplane/main/control_daemon.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "controlplane/cli/event_log.hpp"
#include "controlplane/cli/event_text.hpp"
#include "controlplane/main/sd_notify.hpp"

namespace trunkgate {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::milliseconds shortest_pause = 100ms, longest_pause = 2s;
constexpr auto without_exceptions = asio::as_tuple(asio::use_awaitable);

std::string counted(std::size_t count, std::string_view one, std::string_view many) {
  return std::to_string(count) + " " + std::string(count == 1 ? one : many);
}

std::string summary(const compiled& records) {
  return counted(records.ports.size(), "port", "ports") + ", " + counted(records.routes.size(), "route", "routes") +
         ", " + counted(records.policies.size(), "policy", "policies") + ", " +
         counted(records.sas.size(), "SA", "SAs");
}

// An error in a coroutine is a bug of ours: it ends the daemon, which its supervisor starts anew.
void rethrow(const std::exception_ptr& thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace

control_daemon::control_daemon(std::string file, configuration checked, std::string socket_path)
    : file_(std::move(file)),
      socket_path_(std::move(socket_path)),
      running_(std::move(checked)),
      newest_event_ns_(static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                                                  std::chrono::nanoseconds(1))),
      next_pause_(shortest_pause),
      signals_(loop_, SIGTERM, SIGINT, SIGHUP),
      reload_wanted_(loop_) {}

void control_daemon::run() {
  asio::co_spawn(loop_, serve(), rethrow);
  asio::co_spawn(loop_, handle_signals(), rethrow);
  loop_.run();
}

asio::awaitable<void> control_daemon::serve() {
  for (;;) {
    if (auto door = connect()) {
      while (apply(*door)) {
        next_pause_ = shortest_pause;
        if (co_await wait_for_loss_or_reload(*door)) {
          log_event(log_level::warning, "dataplane.lost", "the data plane went away; waiting for it to come back");
          break;
        }
      }
    }
    co_await pause();
  }
}

std::optional<installer> control_daemon::connect() {
  auto door = installer::connect(socket_path_, [this](const api::event& event) { log_data_plane(event); });
  if (!door) {
    log_trouble("dataplane.unreachable", door.error().reason);
    return std::nullopt;
  }
  if (const auto answer = door->subscribe(); answer.what != installer::outcome::installed) {
    log_trouble("dataplane.lost", answer.reason);
    return std::nullopt;
  }
  return std::move(*door);
}

// The data plane sends what it has kept at each connection: what was logged before is not logged again.
void control_daemon::log_data_plane(const api::event& event) {
  if (event.unix_ns <= newest_event_ns_) return;
  newest_event_ns_ = event.unix_ns;
  const auto& row = describe(event.kind);
  const auto subject = subject_text(event);
  log_event(row.level, row.id, (subject.empty() ? "" : subject + ": ") + std::string(row.meaning));
}

asio::awaitable<void> control_daemon::handle_signals() {
  for (;;) {
    int number = co_await signals_.async_wait(asio::use_awaitable);
    if (number == SIGHUP) {
      reload();
      continue;
    }
    log_event(log_level::info, "daemon.stopped", "ends on request; the data plane goes on");
    sd_notify("STOPPING=1");
    loop_.stop();
    co_return;
  }
}

asio::awaitable<bool> control_daemon::wait_for_loss_or_reload(installer& door) {
  using namespace asio::experimental::awaitable_operators;
  if (candidate_) co_return false;
  asio::posix::stream_descriptor connection(loop_, ::dup(door.descriptor()));
  reload_wanted_.expires_at(asio::steady_timer::time_point::max());
  for (;;) {
    auto first = co_await (connection.async_wait(asio::posix::descriptor_base::wait_read, without_exceptions) ||
                           reload_wanted_.async_wait(without_exceptions));
    // Waiting made the connection non-blocking, which the installer's end of it must not be.
    ::fcntl(door.descriptor(), F_SETFL, ::fcntl(door.descriptor(), F_GETFL) & ~O_NONBLOCK);
    if (first.index() != 0) co_return false;
    // Unasked the data plane sends events: anything else, or an end, means that it is lost.
    if (!door.take_event()) co_return true;
  }
}

asio::awaitable<void> control_daemon::pause() {
  asio::steady_timer timer(loop_, next_pause_);
  next_pause_ = std::min(2 * next_pause_, longest_pause);
  co_await timer.async_wait(asio::use_awaitable);
}

void control_daemon::reload() {
  auto read = load_configuration(file_);
  if (auto text = format_diagnostics(read); !text.empty()) log_event(log_level::warning, "config.diagnostics", text);
  if (!read.config) {
    log_event(log_level::error, "config.bad", file_ + " has errors: nothing was changed");
    return;
  }
  candidate_ = std::move(read.config);
  reload_wanted_.cancel();
}

bool control_daemon::apply(installer& door) {
  if (candidate_) {
    if (auto records = compile(*candidate_)) {
      if (install(door, std::move(*records), true)) return true;
      return false;
    } else {
      log_event(log_level::error, "config.bad", records.error().reason + ": nothing was changed");
      candidate_.reset();
    }
  }
  auto records = compile(running_);
  if (!records) {
    log_trouble("config.bad", records.error().reason);
    return false;
  }
  return install(door, std::move(*records), false);
}

bool control_daemon::install(installer& door, compiled records, bool is_reload) {
  const auto text = summary(records);
  auto report = door.install(std::move(records));
  switch (report.what) {
    case installer::outcome::installed:
      if (is_reload) {
        running_ = std::move(*candidate_);
        candidate_.reset();
      }
      last_trouble_.clear();
      log_event(log_level::info, is_reload ? "config.applied" : "config.installed", text);
      sd_notify("READY=1\nSTATUS=installed: " + text);
      return true;
    case installer::outcome::refused:
      if (is_reload) {
        candidate_.reset();
        log_event(log_level::error, "config.refused", report.reason + ": nothing was changed");
      } else {
        log_trouble("config.refused", report.reason);
      }
      return false;
    case installer::outcome::lost: log_trouble("dataplane.lost", report.reason); return false;
  }
  return false;
}

void control_daemon::log_trouble(std::string_view event, const std::string& reason) {
  if (reason == last_trouble_) return;
  last_trouble_ = reason;
  log_event(log_level::warning, event, reason + "; trying again");
  sd_notify("STATUS=" + reason);
}

}  // namespace trunkgate
