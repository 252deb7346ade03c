// The data plane's end of the protocol for tests: answers each request and keeps what it got.
#pragma once

#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "dataplane/api/channel.hpp"

namespace trunkgate {

class scratch_folder {
 public:
  scratch_folder() {
    char name[] = "/tmp/trunkgate-XXXXXX";
    path_ = ::mkdtemp(name);
  }
  ~scratch_folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  [[nodiscard]] const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class recording_peer {
 public:
  struct request {
    api::message_type type;
    std::vector<std::uint8_t> body;

    template <class Record>
    [[nodiscard]] Record as() const {
      Record record;
      EXPECT_EQ(body.size(), sizeof record);
      std::memcpy(&record, body.data(), std::min(body.size(), sizeof record));
      return record;
    }
  };

  explicit recording_peer(const std::string& path) : path_(path) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    listener_ = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    EXPECT_EQ(::bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0) << path;
    EXPECT_EQ(::listen(listener_, 4), 0);
  }
  ~recording_peer() {
    ::close(listener_);
    std::filesystem::remove(path_);
  }

  // Waits for a client; a former one is cut off.
  [[nodiscard]] bool accept() {
    client_.reset();
    pollfd watched{listener_, POLLIN, 0};
    if (::poll(&watched, 1, 10000) <= 0) return false;
    client_.emplace(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    return true;
  }
  void hang_up() { client_.reset(); }

  // Answers until a commit was answered or the client closed. The request of type `refused` gets `reason`, and what
  // comes behind it in the batch is refused too, as the data plane does.
  std::vector<request> serve_batch(std::optional<api::message_type> refused = {}, std::string_view reason = "") {
    std::vector<request> got;
    bool broken = false;
    for (api::message message; serve_one(message, broken, refused, reason);) {
      got.push_back({message.header.type, {message.body.begin(), message.body.begin() + message.header.length}});
      if (message.header.type == api::message_type::batch_commit) break;
    }
    return got;
  }
  // Unasked, as the data plane does.
  void tell(const api::event& event) {
    api::header head;
    head.type = api::message_type::event;
    EXPECT_TRUE(client_->send(head, api::channel::as_bytes(event)));
  }
  // A message that answers nothing.
  void say(const api::header& head) { EXPECT_TRUE(client_->send(head, {})); }
  // The client closed its end.
  [[nodiscard]] bool client_closed() {
    api::message message;
    auto more = client_->receive(message);
    return more && !*more;
  }
  // Takes one request and closes without an answer.
  void take_one_and_hang_up() {
    api::message message;
    (void)client_->receive(message).has_value();
    hang_up();
  }

 private:
  bool serve_one(api::message& message, bool& broken, std::optional<api::message_type> refused,
                 std::string_view reason) {
    auto more = client_->receive(message);
    if (!more || !*more) return false;
    api::header head;
    head.request = message.header.request;
    const bool first = message.header.type == refused && !broken;
    broken = broken || first;
    head.type = broken ? api::message_type::failed : api::message_type::ok;
    const api::failed why{api::text<512>(first ? reason : "a record came outside of a batch")};
    const auto body = api::channel::as_bytes(why);
    return client_->send(head, body.first(broken ? body.size() : 0)).has_value();
  }

  std::string path_;
  int listener_ = -1;
  std::optional<api::channel> client_;
};

}  // namespace trunkgate
