// The only door to the data plane: puts the whole wanted state there in one batch.
#pragma once

#include <cstdint>
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

  [[nodiscard]] static result<installer> connect(const std::string& socket_path);

  // Sends everything as one batch that replaces what is there; unchanged objects are not touched by the data plane.
  // Takes the records over, so that the keys in them are wiped when it returns. After anything but `installed` the
  // connection is of no further use: closing it discards a batch that was begun.
  [[nodiscard]] report install(compiled wanted);

  [[nodiscard]] int descriptor() const { return channel_.descriptor(); }  // readable: the data plane went away

 private:
  explicit installer(api::channel channel) : channel_(std::move(channel)) {}

  [[nodiscard]] report ask(api::message_type type, std::span<const std::uint8_t> body);
  template <class Record>
  [[nodiscard]] report put(api::message_type type, const Record& record) {
    return ask(type, api::channel::as_bytes(record));
  }
  template <class Record>
  [[nodiscard]] report put_all(api::message_type type, const std::vector<Record>& records);

  api::channel channel_;
  std::uint32_t next_request_ = 1;
};

}  // namespace trunkgate
