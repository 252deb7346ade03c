// The operator's door to trunkgated: JSON requests in, JSON answers out, over a Unix stream socket.
//
// A message is one line of JSON text. A request is an object with "verb" and what that verb takes. Its answer is the
// verb's object, or {"error": "why"}. A client asks as often as it likes, one request after the other. "uid" of a
// request is written here: who the client is.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <nlohmann/json.hpp>

#include "dataplane/core/result.hpp"

namespace trunkgate {

// Runs on the loop, and may wait there. What it throws is the request's fault and becomes its error.
using control_verb = std::function<boost::asio::awaitable<nlohmann::ordered_json>(const nlohmann::json& request)>;
using control_verb_table = std::map<std::string, control_verb, std::less<>>;

inline constexpr std::size_t control_request_limit = std::size_t{36} << 20;  // a configuration, and its quoting
inline constexpr std::size_t control_client_limit = 16;
inline constexpr int control_depth_limit = 8;

// An object with a "verb".
[[nodiscard]] result<nlohmann::json> parse_control_request(std::string_view line);

class control_socket {
 public:
  // Listens at `path`, which is taken over if an earlier daemon left it; owner and group may connect.
  [[nodiscard]] static result<control_socket> listen(boost::asio::io_context& loop, const std::string& path,
                                                     control_verb_table verbs);
  control_socket(control_socket&&) noexcept = default;
  control_socket& operator=(control_socket&&) = delete;
  ~control_socket();  // its clients are cut off

 private:
  class door;
  explicit control_socket(std::shared_ptr<door> own) : door_(std::move(own)) {}
  std::shared_ptr<door> door_;
};

}  // namespace trunkgate
