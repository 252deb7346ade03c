// One end of the SEQPACKET connection: whole messages in, whole messages out, and the client's side of a request.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>

#include "dataplane/api/messages.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate::api {

// A message as received. The body is kept in place and wiped by the destructor: it may hold keys.
struct message {
  api::header header;
  alignas(8) std::array<std::uint8_t, message_limit> body{};

  message() = default;
  ~message();
  message(const message&) = delete;
  message& operator=(const message&) = delete;

  // The body as a record; fails when the length is not exactly the record's.
  template <class Record>
    requires std::is_trivially_copyable_v<Record>
  [[nodiscard]] result<Record> as() const {
    if (header.length != sizeof(Record)) return failure("message of another length than this version's");
    Record record;
    std::memcpy(&record, body.data(), sizeof record);
    return record;
  }
  // The body as a record with bytes behind it; fails when it is too short for the record.
  template <class Record>
    requires std::is_trivially_copyable_v<Record>
  [[nodiscard]] result<std::pair<Record, std::span<const std::uint8_t>>> as_front() const {
    if (header.length < sizeof(Record)) return failure("message of another length than this version's");
    std::pair<Record, std::span<const std::uint8_t>> both;
    std::memcpy(&both.first, body.data(), sizeof(Record));
    both.second = std::span(body).subspan(sizeof(Record), header.length - sizeof(Record));
    return both;
  }
};

// Owns a connected socket. Not thread-safe: one thread uses it.
class channel {
 public:
  explicit channel(int descriptor) : descriptor_(descriptor) {}
  channel(channel&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  channel& operator=(channel&& other) noexcept;
  ~channel();

  [[nodiscard]] static result<channel> connect(const std::string& socket_path);
  [[nodiscard]] int descriptor() const { return descriptor_; }

  // Blocks until sent. `body` may be empty.
  [[nodiscard]] result<void> send(header head, std::span<const std::uint8_t> body);
  // Does not block. False: there is no room, the other end does not read. `more` follows `body` at once.
  [[nodiscard]] result<bool> try_send(header head, std::span<const std::uint8_t> body,
                                      std::span<const std::uint8_t> more);
  // Blocks for one message. False: the other end closed.
  [[nodiscard]] result<bool> receive(message& into);

  // Client: sends a request and waits for its `ok`; a `failed` answer becomes the error.
  [[nodiscard]] result<void> request(message_type type);
  template <class Record>
  [[nodiscard]] result<void> request(message_type type, const Record& record) {
    return request_bytes(type, record_kind::none, as_bytes(record));
  }
  // Client: asks for a dump and hands every record to `each`.
  template <class Record>
  [[nodiscard]] result<void> dump(record_kind kind, const std::function<void(const Record&)>& each) {
    return dump_messages(kind, [&each](const message& m) -> result<void> {
      auto record = m.as<Record>();
      if (!record) return std::unexpected(record.error());
      each(*record);
      return {};
    });
  }

  template <class Record>
    requires std::is_trivially_copyable_v<Record>
  [[nodiscard]] static std::span<const std::uint8_t> as_bytes(const Record& record) {
    static_assert(sizeof(Record) + sizeof(header) <= message_limit);
    return {reinterpret_cast<const std::uint8_t*>(&record), sizeof record};
  }

 private:
  [[nodiscard]] result<void> request_bytes(message_type type, record_kind kind, std::span<const std::uint8_t> body);
  [[nodiscard]] result<void> dump_messages(record_kind kind, const std::function<result<void>(const message&)>& each);

  int descriptor_ = -1;
  std::uint32_t next_request_ = 1;
};

}  // namespace trunkgate::api
