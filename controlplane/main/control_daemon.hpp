// Keeps the data plane's state equal to the configuration: installs it, again after either side restarted, and on
// reload.
#pragma once

#include <optional>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>

#include "config/load.hpp"
#include "controlplane/cli/event_log.hpp"
#include "controlplane/installer/installed_sas.hpp"
#include "controlplane/installer/installer.hpp"
#include "controlplane/main/control_socket.hpp"
#include "controlplane/main/control_verbs.hpp"
#include "controlplane/main/ike_service.hpp"

namespace trunkgate {

class control_daemon {
 public:
  // `checked` is what `file` said at start, and compiles.
  control_daemon(std::string file, loaded checked, const std::string& run_directory);

  // Returns after SIGTERM or SIGINT, of which the peers hear nothing: tunnels go on. After SIGQUIT it takes leave of
  // them first.
  void run();

 private:
  boost::asio::awaitable<void> serve();
  boost::asio::awaitable<void> handle_signals();
  // Waits until the data plane goes away (true) or a reload is wanted (false).
  boost::asio::awaitable<bool> wait_for_loss_or_reload();
  boost::asio::awaitable<void> pause();

  void reload();
  // The door to the data plane is open and its events come; false if it is not there.
  boost::asio::awaitable<bool> connect();
  void log_data_plane(const api::event& event);
  // False: it is to be tried again.
  boost::asio::awaitable<bool> apply();
  boost::asio::awaitable<bool> install(loaded wanted, bool is_reload);
  void listen();
  // For an operator who waits for the outcome.
  boost::asio::awaitable<result<void>> take(loaded wanted);
  // The outcome of a reload, to the log, and to the operator if one waits for it.
  void tell(log_level level, std::string_view event, const std::string& text);
  // The same trouble again and again is logged once.
  void log_trouble(std::string_view event, const std::string& reason);

  std::string file_, run_directory_;
  loaded running_;
  std::optional<loaded> candidate_;  // read on reload, not yet taken by the data plane
  std::string last_trouble_;
  std::uint64_t newest_event_ns_ = 0;  // events up to this time are in the log, or older than this process
  std::chrono::milliseconds next_pause_;
  bool is_met_ = false;  // on this connection

  boost::asio::io_context loop_{1};
  door door_;
  installed_sas sas_{door_};
  ike_service ike_;
  ike::answer_slot<std::string> outcome_;  // why a change was refused, or nothing
  control_verbs verbs_;
  std::optional<control_socket> operators_;
  boost::asio::signal_set signals_;
  boost::asio::steady_timer reload_wanted_;  // never expires; cancelled to wake the waiter
};

}  // namespace trunkgate
