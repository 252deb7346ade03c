#include "controlplane/main/control_daemon.hpp"

#include <chrono>
#include <csignal>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "controlplane/cli/event_log.hpp"
#include "controlplane/cli/event_text.hpp"
#include "controlplane/main/sd_notify.hpp"
#include "dataplane/api/run_directory.hpp"

namespace trunkgate {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::milliseconds shortest_pause = 100ms, longest_pause = 2s;
constexpr auto farewell = 2s;
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

control_daemon::control_daemon(std::string file, loaded checked, const std::string& run_directory)
    : file_(std::move(file)),
      run_directory_(run_directory),
      running_(std::move(checked)),
      newest_event_ns_(static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                                                  std::chrono::nanoseconds(1))),
      next_pause_(shortest_pause),
      door_(loop_, api::socket_in(run_directory)),
      ike_(loop_, sas_, run_directory + "/keystore.sock"),
      outcome_(loop_.get_executor()),
      verbs_({.engine = ike_.engine(),
              .outside = ike_,
              .keys = ike_.exports(),
              .running = [this]() -> const loaded& { return running_; },
              .file = file_,
              .apply = [this](loaded wanted) { return take(std::move(wanted)); }}),
      signals_(loop_, SIGTERM, SIGINT, SIGHUP),
      reload_wanted_(loop_) {
  signals_.add(SIGQUIT);
  door_.on_event([this](const api::event& event) {
    log_data_plane(event);
    sas_.take(event);
  });
}

void control_daemon::run() {
  listen();
  asio::co_spawn(loop_, serve(), rethrow);
  asio::co_spawn(loop_, handle_signals(), rethrow);
  loop_.run();
}

// Without it tunnels work as well: that is no reason to end.
void control_daemon::listen() {
  auto opened = control_socket::listen(loop_, api::control_socket_in(run_directory_), verbs_.table());
  if (opened)
    operators_.emplace(std::move(*opened));
  else
    log_event(log_level::error, "control.no_socket", opened.error().reason);
}

asio::awaitable<void> control_daemon::serve() {
  for (;;) {
    if (door_.is_open() || co_await connect()) {
      while (co_await apply()) {
        next_pause_ = shortest_pause;
        if (co_await wait_for_loss_or_reload()) {
          log_event(log_level::warning, "dataplane.lost", "the data plane went away; waiting for it to come back");
          break;
        }
      }
    }
    co_await pause();
  }
}

asio::awaitable<bool> control_daemon::connect() {
  is_met_ = false;
  if (auto opened = door_.open(); !opened) {
    log_trouble("dataplane.unreachable", opened.error().reason);
    co_return false;
  }
  door_request subscription;
  subscription.add(api::message_type::subscribe);
  const auto answer = co_await door_.ask(std::move(subscription));
  if (answer.what == door::outcome::done) co_return true;
  log_trouble("dataplane.lost", answer.reason);
  door_.close();
  co_return false;
}

// The data plane sends what it has kept at each connection: what was logged before is not logged again.
void control_daemon::log_data_plane(const api::event& event) {
  if (event.unix_ns <= newest_event_ns_) return;
  newest_event_ns_ = event.unix_ns;
  if (event.kind == api::event_kind::acquire) return;  // what comes of it is worth a line, and IKE's to write
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
    sd_notify("STOPPING=1");
    if (number == SIGQUIT) {
      // The gateway ends, not this daemon alone: the peers are told, or they would send into nothing.
      co_await ike_.close_all(farewell);
      log_event(log_level::info, "daemon.stopped", "ends on request, with its tunnels");
    } else {
      log_event(log_level::info, "daemon.stopped", "ends on request; the data plane goes on");
    }
    loop_.stop();
    co_return;
  }
}

asio::awaitable<bool> control_daemon::wait_for_loss_or_reload() {
  using namespace asio::experimental::awaitable_operators;
  if (candidate_) co_return false;
  reload_wanted_.expires_at(asio::steady_timer::time_point::max());
  const auto first = co_await (door_.lost() || reload_wanted_.async_wait(without_exceptions));
  co_return first.index() == 0;
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
  candidate_ = std::move(read);
  reload_wanted_.cancel();
}

asio::awaitable<result<void>> control_daemon::take(loaded wanted) {
  if (!door_.is_open()) co_return failure("the data plane is not there");
  if (candidate_) co_return failure("a reload is under way");
  candidate_ = std::move(wanted);
  reload_wanted_.cancel();
  auto reason = co_await outcome_.wait();
  if (!reason.empty()) co_return failure(std::move(reason));
  co_return result<void>();
}

void control_daemon::tell(log_level level, std::string_view event, const std::string& text) {
  log_event(level, event, text + (level == log_level::error ? ": nothing was changed" : ""));
  outcome_.say(level == log_level::error ? text : std::string());
}

asio::awaitable<bool> control_daemon::apply() {
  if (candidate_) {
    auto wanted = std::move(*candidate_);
    candidate_.reset();
    co_return co_await install(std::move(wanted), true);
  }
  co_return co_await install(running_, false);
}

// All or nothing: whatever can fail comes before anything is changed.
asio::awaitable<bool> control_daemon::install(loaded wanted, bool is_reload) {
  auto profiles = co_await ike_.read(*wanted.config);
  auto records = profiles ? compile(*wanted.config) : std::unexpected(profiles.error());
  if (!records) {
    if (is_reload) {
      tell(log_level::error, "config.bad", records.error().reason);
      co_return true;
    }
    log_trouble("config.bad", records.error().reason);
    co_return false;
  }
  const auto text = summary(*records);
  const auto report = co_await installer(door_).install(std::move(*records));
  switch (report.what) {
    case door::outcome::done: break;
    case door::outcome::refused:
      if (!is_reload) {
        log_trouble("config.refused", report.reason);
        co_return false;
      }
      tell(log_level::error, "config.refused", report.reason);
      co_return true;
    case door::outcome::lost:
      log_trouble("dataplane.lost", report.reason);
      if (is_reload && !candidate_) candidate_ = std::move(wanted);  // on the next connection
      outcome_.say("the data plane went away; it is done when that is back");
      co_return false;
  }
  last_trouble_.clear();
  if (is_reload)
    tell(log_level::info, "config.applied", text);
  else
    log_event(log_level::info, "config.installed", text);
  sd_notify("READY=1\nSTATUS=installed: " + text);
  if (!is_met_) is_met_ = (co_await sas_.meet()).has_value();
  if (!co_await ike_.inherit()) {
    log_trouble("dataplane.lost", "the data plane does not say which SAs it has");
    if (is_reload && !candidate_) candidate_ = std::move(wanted);
    co_return false;
  }
  ike_.apply(std::move(*profiles), make_plan(*running_.config, *wanted.config));
  running_ = std::move(wanted);
  co_return true;
}

void control_daemon::log_trouble(std::string_view event, const std::string& reason) {
  if (reason == last_trouble_) return;
  last_trouble_ = reason;
  log_event(log_level::warning, event, reason + "; trying again");
  sd_notify("STATUS=" + reason);
}

}  // namespace trunkgate
