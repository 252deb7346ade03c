// The one connection to the data plane, on the event loop: requests go out in order and are answered in order, several
// of them at a time under way, and nobody waits for the socket.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>

#include "dataplane/api/channel.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/core/secret.hpp"

namespace trunkgate {

// Messages that go out with nothing of anybody else's between them, as a batch must. Holds keys: wiped as they are
// sent.
class door_request {
 public:
  door_request& add(api::message_type type, std::span<const std::uint8_t> body = {},
                    api::record_kind kind = api::record_kind::none);
  template <class Record>
  door_request& put(api::message_type type, const Record& record) {
    return add(type, api::channel::as_bytes(record));
  }
  [[nodiscard]] std::size_t size() const { return messages_.size(); }

 private:
  friend class door;
  std::vector<secret> messages_;  // a header without number, then the body
};

// One thread: the loop's.
class door {
 public:
  enum class outcome : std::uint8_t {
    done,
    refused,  // the data plane said why; a batch of which a part was refused is refused whole
    lost      // the connection broke, or there was none: whether it was done is not known
  };
  struct answer {
    outcome what = outcome::done;
    std::string reason;                 // of the first refusal, or of the loss
    std::vector<std::uint8_t> records;  // the bodies of the records that came, one behind the other
  };
  using event_function = std::function<void(const api::event&)>;

  door(boost::asio::io_context& loop, std::string socket_path);
  ~door();
  door(const door&) = delete;
  door& operator=(const door&) = delete;

  // Gets the data plane's events, from the subscription on. Set before open().
  void on_event(event_function gets) { on_event_ = std::move(gets); }

  // Connects, and forgets an earlier connection: what was under way on it is answered with `lost`.
  [[nodiscard]] result<void> open();
  void close();
  [[nodiscard]] bool is_open() const;

  // Sends all of it, and waits until all of it is answered.
  [[nodiscard]] boost::asio::awaitable<answer> ask(door_request request);
  // Waits until there is no connection any more.
  [[nodiscard]] boost::asio::awaitable<void> lost();

 private:
  class connection;
  boost::asio::io_context& loop_;
  std::string socket_path_;
  event_function on_event_;
  std::shared_ptr<connection> connection_;
};

}  // namespace trunkgate
