#include "controlplane/main/ike_sockets.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <linux/filter.h>

namespace trunkgate {

namespace asio = boost::asio;

namespace {

constexpr std::size_t datagram_limit = 65535;
constexpr std::array<std::uint8_t, 4> non_esp_marker{};
// Room for a burst of peers that all begin at once; more is lost, and comes again. A longer queue of first messages
// would only make each of them older than its sender waits.
constexpr int receive_buffer = 4 << 20, opening_buffer = 1 << 20;
constexpr unsigned burst = 256, opening_burst = 16;  // datagrams before the loop turns to other things

struct any_address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

any_address to_kernel(const sa_endpoint& from) {
  any_address out;
  if (from.address.family == ip_family::v4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = htons(from.port);
    std::memcpy(&v4.sin_addr, from.address.bytes.data(), 4);
    std::memcpy(&out.storage, &v4, sizeof v4);
    out.size = sizeof v4;
  } else {
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(from.port);
    std::memcpy(&v6.sin6_addr, from.address.bytes.data(), 16);
    std::memcpy(&out.storage, &v6, sizeof v6);
    out.size = sizeof v6;
  }
  return out;
}

sa_endpoint from_kernel(const sockaddr_storage& from) {
  if (from.ss_family == AF_INET) {
    sockaddr_in v4{};
    std::memcpy(&v4, &from, sizeof v4);
    return {ip_address::from_bytes(ip_family::v4, &v4.sin_addr), ntohs(v4.sin_port)};
  }
  sockaddr_in6 v6{};
  std::memcpy(&v6, &from, sizeof v6);
  return {ip_address::from_bytes(ip_family::v6, &v6.sin6_addr), ntohs(v6.sin6_port)};
}

// The address that a datagram came to.
std::optional<ip_address> destination_of(const msghdr& message) {
  for (auto* part = CMSG_FIRSTHDR(&message); part != nullptr; part = CMSG_NXTHDR(const_cast<msghdr*>(&message), part)) {
    if (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_PKTINFO) {
      in_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      return ip_address::from_bytes(ip_family::v4, &info.ipi_addr);
    }
    if (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_PKTINFO) {
      in6_pktinfo info{};
      std::memcpy(&info, CMSG_DATA(part), sizeof info);
      return ip_address::from_bytes(ip_family::v6, &info.ipi6_addr);
    }
  }
  return std::nullopt;
}

// Of the sockets on a port the kernel is to choose the second one for what has the responder's SPI 0 (RFC 7296 3.1),
// and the first for all else. What is too short for the program is the first one's.
bool share_by_spi(int descriptor, std::uint16_t port) {
  const std::uint32_t spi = port == ike::nat_port ? non_esp_marker.size() + 8 : 8;
  std::array<sock_filter, 6> program{{{BPF_LD | BPF_W | BPF_ABS, 0, 0, spi},
                                      {BPF_JMP | BPF_JEQ | BPF_K, 0, 3, 0},
                                      {BPF_LD | BPF_W | BPF_ABS, 0, 0, spi + 4},
                                      {BPF_JMP | BPF_JEQ | BPF_K, 0, 1, 0},
                                      {BPF_RET | BPF_K, 0, 0, 1},
                                      {BPF_RET | BPF_K, 0, 0, 0}}};
  const sock_fprog whole{.len = program.size(), .filter = program.data()};
  return ::setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &whole, sizeof whole) == 0;
}

template <class Info>
void say_source(msghdr& message, int level, int type, const Info& info) {
  auto* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = level;
  part->cmsg_type = type;
  part->cmsg_len = CMSG_LEN(sizeof info);
  std::memcpy(CMSG_DATA(part), &info, sizeof info);
  message.msg_controllen = CMSG_SPACE(sizeof info);
}

}  // namespace

result<void> ike_sockets::open() {
  for (const auto family : {ip_family::v4, ip_family::v6})
    for (const auto port : {ike::ike_port, ike::nat_port})
      if (auto opened = open_pair(family, port); !opened) {
        // A machine without IPv6 is one without peers there.
        if (family == ip_family::v6 && errno == EAFNOSUPPORT) continue;
        sockets_.clear();  // whoever tries again finds the ports free
        return opened;
      }
  return {};
}

result<void> ike_sockets::open_pair(ip_family family, std::uint16_t port) {
  auto main = open_one(family, port, false);
  if (!main) return std::unexpected(main.error());
  auto opening = open_one(family, port, true);
  if (!opening) return std::unexpected(opening.error());
  if (!share_by_spi((*main)->descriptor->native_handle(), port))
    return system_failure("tell first messages of IKE from others");
  (*opening)->first = main->get();
  for (auto* each : {&*main, &*opening}) {
    sockets_.push_back(std::move(*each));
    asio::co_spawn(loop_, serve(*sockets_.back()), asio::detached);
  }
  return {};
}

result<std::unique_ptr<ike_sockets::one>> ike_sockets::open_one(ip_family family, std::uint16_t port, bool opening) {
  const bool v4 = family == ip_family::v4;
  const int descriptor = ::socket(v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (descriptor < 0) return system_failure("open a socket for IKE");
  auto own = std::make_unique<one>();
  own->descriptor = std::make_unique<asio::posix::stream_descriptor>(loop_, descriptor);
  own->family = family;
  own->port = port;
  own->opening = opening;
  const int on = 1;
  // RFC 7296 2.8 and RFC 7383 take care of size: IKE's datagrams may be fragmented by IP where there is no other way.
  const int fragment = IP_PMTUDISC_DONT, fragment6 = IPV6_PMTUDISC_DONT;
  const int room = opening ? opening_buffer : receive_buffer;
  // Without CAP_NET_ADMIN it is as much as net.core.rmem_max lets it be.
  if (::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) != 0)
    ::setsockopt(descriptor, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
  ::setsockopt(descriptor, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (v4) {
    ::setsockopt(descriptor, IPPROTO_IP, IP_PKTINFO, &on, sizeof on);
    ::setsockopt(descriptor, IPPROTO_IP, IP_MTU_DISCOVER, &fragment, sizeof fragment);
  } else {
    ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
    ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof on);
    ::setsockopt(descriptor, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &fragment6, sizeof fragment6);
  }
  const auto any = to_kernel({{.bytes = {}, .family = family}, port});
  if (::bind(descriptor, reinterpret_cast<const sockaddr*>(&any.storage), any.size) != 0)
    return system_failure("bind UDP port " + std::to_string(port) + " for IKE");
  return own;
}

asio::awaitable<void> ike_sockets::serve(const one& socket) {
  for (;;) {
    const auto [failed] = co_await socket.descriptor->async_wait(asio::posix::descriptor_base::wait_read,
                                                                 asio::as_tuple(asio::use_awaitable));
    if (failed) co_return;
    if (socket.first != nullptr) take_some(*socket.first, burst);
    take_some(socket, socket.opening ? opening_burst : burst);
  }
}

void ike_sockets::take_some(const one& socket, unsigned most) {
  static thread_local std::array<std::uint8_t, datagram_limit> buffer;
  for (unsigned i = 0; i < most; ++i) {
    sockaddr_storage from{};
    alignas(cmsghdr) std::array<char, 128> control{};
    iovec data{buffer.data(), buffer.size()};
    msghdr message{};
    message.msg_name = &from;
    message.msg_namelen = sizeof from;
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    const auto got = ::recvmsg(socket.descriptor->native_handle(), &message, 0);
    if (got < 0) return;
    const auto to = destination_of(message);
    if (!to) continue;
    ike::byte_view datagram(buffer.data(), static_cast<std::size_t>(got));
    if (socket.port == ike::nat_port) {
      // RFC 3948 2.2, 2.3: without the marker it is ESP, which the data plane takes, or a keepalive.
      if (datagram.size() < non_esp_marker.size() ||
          !std::equal(non_esp_marker.begin(), non_esp_marker.end(), datagram.begin()))
        continue;
      datagram = datagram.subspan(non_esp_marker.size());
    }
    gets_({.local = {*to, socket.port}, .remote = from_kernel(from)}, datagram);
  }
}

void ike_sockets::send(const ike::ike_path& path, ike::byte_view datagram) {
  send_parts(path, path.local.port == ike::nat_port ? ike::byte_view(non_esp_marker) : ike::byte_view(), datagram);
}

void ike_sockets::send_keepalive(const ike::ike_path& path) {
  constexpr std::array<std::uint8_t, 1> octet{0xff};
  send_parts(path, octet, {});
}

void ike_sockets::send_parts(const ike::ike_path& path, ike::byte_view front, ike::byte_view rest) {
  const one* found = nullptr;
  for (const auto& each : sockets_)
    if (!each->opening && each->family == path.remote.address.family && each->port == path.local.port)
      found = each.get();
  if (found == nullptr) return;
  auto to = to_kernel(path.remote);
  std::array<iovec, 2> parts{iovec{const_cast<std::uint8_t*>(front.data()), front.size()},
                             iovec{const_cast<std::uint8_t*>(rest.data()), rest.size()}};
  alignas(cmsghdr) std::array<char, 128> control{};
  msghdr message{};
  message.msg_name = &to.storage;
  message.msg_namelen = to.size;
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  if (found->family == ip_family::v4) {
    in_pktinfo info{};
    std::memcpy(&info.ipi_spec_dst, path.local.address.bytes.data(), 4);
    say_source(message, IPPROTO_IP, IP_PKTINFO, info);
  } else {
    in6_pktinfo info{};
    std::memcpy(&info.ipi6_addr, path.local.address.bytes.data(), 16);
    say_source(message, IPPROTO_IPV6, IPV6_PKTINFO, info);
  }
  (void)::sendmsg(found->descriptor->native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
}

std::optional<ip_address> source_address_for(const ip_address& remote) {
  const auto to = to_kernel({remote, ike::ike_port});
  const int probe = ::socket(remote.family == ip_family::v4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (probe < 0) return std::nullopt;
  std::optional<ip_address> out;
  sockaddr_storage own{};
  socklen_t size = sizeof own;
  if (::connect(probe, reinterpret_cast<const sockaddr*>(&to.storage), to.size) == 0 &&
      ::getsockname(probe, reinterpret_cast<sockaddr*>(&own), &size) == 0)
    out = from_kernel(own).address;
  ::close(probe);
  return out;
}

}  // namespace trunkgate
