// The only door to the data plane: puts the whole wanted state there in one batch.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "controlplane/policy/compile.hpp"
#include "dataplane/api/channel.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

class installer {
 public:
  enum class outcome {
    installed,
    refused,  // the data plane said why; what it had is in force as before
    lost      // the connection broke: whether the batch was committed is not known
  };
  struct report {
    outcome what = outcome::installed;
    std::string reason;  // empty if installed
  };

  using event_function = std::function<void(const api::event&)>;

  // `on_event` gets the data plane's events, once subscribe() was called: within any call below.
  [[nodiscard]] static result<installer> connect(const std::string& socket_path, event_function on_event = {});

  // Asks for the events that the data plane has kept, and for each new one.
  [[nodiscard]] report subscribe();
  // When the descriptor is readable: takes an event. False: the data plane went away.
  [[nodiscard]] bool take_event();

  // Sends everything as one batch that replaces what is there; unchanged objects are not touched by the data plane.
  // Takes the records over, so that the keys in them are wiped when it returns. After anything but `installed` the
  // connection is of no further use: closing it discards a batch that was begun.
  [[nodiscard]] report install(compiled wanted);

  [[nodiscard]] int descriptor() const { return channel_.descriptor(); }  // readable: see take_event()

 private:
  installer(api::channel channel, event_function on_event)
      : channel_(std::move(channel)), on_event_(std::move(on_event)) {}

  [[nodiscard]] report ask(api::message_type type, std::span<const std::uint8_t> body);
  template <class Record>
  [[nodiscard]] report put(api::message_type type, const Record& record) {
    return ask(type, api::channel::as_bytes(record));
  }
  template <class Record>
  [[nodiscard]] report put_all(api::message_type type, const std::vector<Record>& records);

  // Gives an event to on_event_; false: the message is none.
  [[nodiscard]] bool pass_on(const api::message& message) const;

  api::channel channel_;
  event_function on_event_;
  std::uint32_t next_request_ = 1;
};

}  // namespace trunkgate
