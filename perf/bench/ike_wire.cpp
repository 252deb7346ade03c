#include "perf/bench/ike_wire.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <type_traits>

namespace trunkgate::bench {

namespace {

constexpr std::size_t datagram_limit = 65535;
constexpr int receive_buffer = 4 << 20;  // as the daemon's
static_assert(std::is_trivially_copyable_v<ike::ike_path>);

result<int> open_socket() {
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return system_failure("open a UDP socket");
  if (::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &receive_buffer, sizeof receive_buffer) != 0)
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
  return descriptor;
}

// Binds to a free port of 127.0.0.1 and says which.
result<sockaddr_in> bind_anywhere(int descriptor) {
  sockaddr_in own{};
  own.sin_family = AF_INET;
  own.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof own;
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&own), size) != 0 ||
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&own), &size) != 0)
    return system_failure("bind to 127.0.0.1");
  return own;
}

}  // namespace

ike_wire::ike_wire(int descriptor) : descriptor_(descriptor), buffer_(sizeof(ike::ike_path) + datagram_limit) {}
ike_wire::~ike_wire() { ::close(descriptor_); }

result<std::pair<std::unique_ptr<ike_wire>, std::unique_ptr<ike_wire>>> ike_wire::make() {
  std::unique_ptr<ike_wire> ends[2];
  sockaddr_in addresses[2];
  for (int i = 0; i < 2; ++i) {
    const auto descriptor = open_socket();
    if (!descriptor) return std::unexpected(descriptor.error());
    ends[i].reset(new ike_wire(*descriptor));
    const auto bound = bind_anywhere(*descriptor);
    if (!bound) return std::unexpected(bound.error());
    addresses[i] = *bound;
  }
  for (int i = 0; i < 2; ++i)
    if (::connect(ends[i]->descriptor_, reinterpret_cast<const sockaddr*>(&addresses[1 - i]), sizeof addresses[0]) != 0)
      return system_failure("connect to 127.0.0.1");
  return std::pair(std::move(ends[0]), std::move(ends[1]));
}

void ike_wire::send(const ike::ike_path& path, ike::byte_view datagram) {
  // The path as the receiver sees it.
  ike::ike_path front{.local = path.remote, .remote = path.local};
  iovec parts[2]{{&front, sizeof front}, {const_cast<std::uint8_t*>(datagram.data()), datagram.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  (void)::sendmsg(descriptor_, &message, 0);
}

std::optional<std::pair<ike::ike_path, ike::byte_view>> ike_wire::receive() {
  ike::ike_path path;
  const auto size = ::recv(descriptor_, buffer_.data(), buffer_.size(), 0);
  if (size < static_cast<ssize_t>(sizeof path)) return std::nullopt;
  std::memcpy(&path, buffer_.data(), sizeof path);
  return std::pair(path, ike::byte_view(buffer_).first(static_cast<std::size_t>(size)).subspan(sizeof path));
}

}  // namespace trunkgate::bench
