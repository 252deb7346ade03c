#include "dataplane/api/channel.hpp"

#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include <utility>

#include "dataplane/core/secret.hpp"

namespace trunkgate::api {

message::~message() { wipe(body.data(), body.size()); }

channel& channel::operator=(channel&& other) noexcept {
  if (this != &other) {
    if (descriptor_ >= 0) ::close(descriptor_);
    descriptor_ = std::exchange(other.descriptor_, -1);
    next_request_ = other.next_request_;
  }
  return *this;
}

channel::~channel() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

result<channel> channel::connect(const std::string& socket_path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket_path.size() >= sizeof address.sun_path) return failure("socket path too long: " + socket_path);
  socket_path.copy(address.sun_path, socket_path.size());
  int descriptor = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return system_failure("socket");
  channel made(descriptor);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0)
    return system_failure("connect to the data plane at " + socket_path);
  return made;
}

result<void> channel::send(header head, std::span<const std::uint8_t> body) {
  head.length = static_cast<std::uint16_t>(body.size());
  iovec parts[2] = {{&head, sizeof head}, {const_cast<std::uint8_t*>(body.data()), body.size()}};
  msghdr packet{};
  packet.msg_iov = parts;
  packet.msg_iovlen = body.empty() ? 1 : 2;
  for (;;) {
    if (::sendmsg(descriptor_, &packet, MSG_NOSIGNAL) >= 0) return {};
    if (errno != EINTR) return system_failure("send to the other daemon");
  }
}

result<bool> channel::try_send(header head, std::span<const std::uint8_t> body, std::span<const std::uint8_t> more) {
  head.length = static_cast<std::uint16_t>(body.size() + more.size());
  iovec parts[3] = {{&head, sizeof head},
                    {const_cast<std::uint8_t*>(body.data()), body.size()},
                    {const_cast<std::uint8_t*>(more.data()), more.size()}};
  msghdr packet{};
  packet.msg_iov = parts;
  packet.msg_iovlen = 3;
  for (;;) {
    if (::sendmsg(descriptor_, &packet, MSG_NOSIGNAL | MSG_DONTWAIT) >= 0) return true;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return false;
    if (errno != EINTR) return system_failure("send to the other daemon");
  }
}

result<bool> channel::receive(message& into) {
  iovec parts[2] = {{&into.header, sizeof into.header}, {into.body.data(), into.body.size()}};
  msghdr packet{};
  packet.msg_iov = parts;
  packet.msg_iovlen = 2;
  ssize_t got;
  do got = ::recvmsg(descriptor_, &packet, 0);
  while (got < 0 && errno == EINTR);
  if (got < 0) return system_failure("receive from the other daemon");
  if (got == 0) return false;
  const auto& head = into.header;
  if (static_cast<std::size_t>(got) < sizeof head || head.magic != magic)
    return failure("the other end speaks another protocol");
  if (head.version != version) return failure("the other end is of another version of Trunkgate: restart both daemons");
  if ((packet.msg_flags & MSG_TRUNC) != 0 || static_cast<std::size_t>(got) != sizeof head + head.length)
    return failure("a message of wrong length came from the other daemon");
  return true;
}

result<void> channel::request(message_type type) { return request_bytes(type, record_kind::none, {}); }

result<void> channel::request_bytes(message_type type, record_kind kind, std::span<const std::uint8_t> body) {
  header head;
  head.type = type;
  head.kind = kind;
  head.request = next_request_++;
  if (auto sent = send(head, body); !sent) return sent;
  message answer;
  auto got = receive(answer);
  if (!got) return std::unexpected(got.error());
  if (!*got) return failure("the data plane closed the connection");
  if (answer.header.type == message_type::ok) return {};
  auto why = answer.as<failed>();
  return failure(why ? std::string(why->reason.view()) : "the data plane sent an answer that is none");
}

result<void> channel::dump_messages(record_kind kind, const std::function<result<void>(const message&)>& each) {
  header head;
  head.type = message_type::dump;
  head.kind = kind;
  head.request = next_request_++;
  if (auto sent = send(head, {}); !sent) return sent;
  for (;;) {
    message answer;
    auto got = receive(answer);
    if (!got) return std::unexpected(got.error());
    if (!*got) return failure("the data plane closed the connection");
    if (answer.header.type == message_type::ok) return {};
    if (answer.header.type != message_type::record) {
      auto why = answer.as<failed>();
      return failure(why ? std::string(why->reason.view()) : "the data plane sent an answer that is none");
    }
    if (auto taken = each(answer); !taken) return taken;
  }
}

}  // namespace trunkgate::api
