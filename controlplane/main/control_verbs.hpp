// What an operator may ask of trunkgated over the control socket. docs/operating.md has the verbs and their answers.
#pragma once

#include <functional>
#include <string>

#include <boost/asio/awaitable.hpp>

#include "config/load.hpp"
#include "controlplane/main/control_socket.hpp"
#include "controlplane/monitor/key_export.hpp"
#include "controlplane/monitor/tunnel_report.hpp"
#include "controlplane/monitor/tunnel_watch.hpp"

namespace trunkgate {

// What the verbs need of the daemon.
struct control_host {
  ike::engine& engine;
  ike::environment& outside;  // its sink is `keys`
  exporting_sink& keys;
  std::function<const loaded&()> running;
  std::string file;  // the configuration that the daemon starts with
  // All or nothing, and object by object: what the plan does not name is not touched.
  std::function<boost::asio::awaitable<result<void>>(loaded)> apply;
};

// Lives as long as its verbs may be called. Tells the tunnels' events to the log.
class control_verbs {
 public:
  explicit control_verbs(control_host host);
  control_verbs(const control_verbs&) = delete;
  control_verbs& operator=(const control_verbs&) = delete;

  [[nodiscard]] control_verb_table table();

 private:
  using answer = nlohmann::ordered_json;
  using request = nlohmann::json;
  [[nodiscard]] answer configuration() const;
  [[nodiscard]] answer explain(const request& given) const;
  [[nodiscard]] answer up(const request& given);
  [[nodiscard]] answer down(const request& given);
  [[nodiscard]] answer rekey(const request& given);
  [[nodiscard]] boost::asio::awaitable<answer> apply(request given);
  [[nodiscard]] answer begin_export(const request& given);

  control_host host_;
  tunnel_reporter reporter_;
  key_exports exports_;
  tunnel_watch watch_;
  bool applying_ = false;
};

}  // namespace trunkgate
