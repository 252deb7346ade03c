#include "drivers/host/netlink.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include <linux/rtnetlink.h>

namespace trunkgate {

result<netlink_socket> netlink_socket::open() {
  nl_sock* socket = nl_socket_alloc();
  if (socket == nullptr) return failure("netlink socket: out of memory");
  netlink_socket opened(socket);
  if (const int code = nl_connect(socket, NETLINK_ROUTE); code < 0)
    return failure(std::string("netlink socket: ") + nl_geterror(code));
  return opened;
}

int netlink_socket::send(const netlink_message& message, int flags) {
  if (message == nullptr) return ENOMEM;
  nlmsghdr* header = nlmsg_hdr(message.get());
  header->nlmsg_flags |= static_cast<std::uint16_t>(NLM_F_REQUEST | flags);
  header->nlmsg_seq = ++sequence_;
  header->nlmsg_pid = nl_socket_get_local_port(socket_.get());
  sockaddr_nl kernel{};
  kernel.nl_family = AF_NETLINK;
  const ssize_t sent =
      ::sendto(descriptor(), header, header->nlmsg_len, 0, reinterpret_cast<const sockaddr*>(&kernel), sizeof(kernel));
  return sent < 0 ? errno : 0;
}

int netlink_socket::request(const netlink_message& message) {
  if (const int reason = send(message, NLM_F_ACK); reason != 0) return reason;
  for (;;) {
    const ssize_t size = ::recv(descriptor(), buffer_.data(), buffer_.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno;
    int answer = -1;
    for_each_message(buffer_.data(), static_cast<std::size_t>(size), [&](nlmsghdr* header) {
      if (header->nlmsg_seq != sequence_ || header->nlmsg_type != NLMSG_ERROR) return;
      answer = -static_cast<const nlmsgerr*>(nlmsg_data(header))->error;
    });
    if (answer >= 0) return answer;
  }
}

int netlink_socket::read_dump(int type, std::uint8_t family, std::vector<std::uint8_t>& messages) {
  rtgenmsg header{};
  header.rtgen_family = family;
  if (const int reason = send(make_netlink_message(type, 0, header), NLM_F_DUMP); reason != 0) return reason;
  bool interrupted = false;
  for (;;) {
    const ssize_t size = ::recv(descriptor(), buffer_.data(), buffer_.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno;
    bool done = false;
    int reason = 0;
    for_each_message(buffer_.data(), static_cast<std::size_t>(size), [&](nlmsghdr* message) {
      if (message->nlmsg_seq != sequence_) return;
      if ((message->nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
      if (message->nlmsg_type == NLMSG_DONE || message->nlmsg_type == NLMSG_ERROR) {
        done = true;
        if (message->nlmsg_type == NLMSG_ERROR) reason = -static_cast<const nlmsgerr*>(nlmsg_data(message))->error;
        return;
      }
      const auto* bytes = reinterpret_cast<const std::uint8_t*>(message);
      messages.insert(messages.end(), bytes, bytes + message->nlmsg_len);
      messages.resize(NLMSG_ALIGN(messages.size()));
    });
    if (done) return reason != 0 ? reason : (interrupted ? EINTR : 0);
  }
}

int netlink_socket::dump(int type, std::uint8_t family, const std::function<void(nlmsghdr*)>& each) {
  constexpr int attempts = 8;
  std::vector<std::uint8_t> messages;
  int reason = EINTR;
  for (int attempt = 0; attempt < attempts && reason == EINTR; ++attempt) {
    messages.clear();
    reason = read_dump(type, family, messages);
  }
  // A table that changes without pause never gives a whole reading: the last one is taken, the changes tell the rest.
  if (reason != 0 && reason != EINTR) return reason;
  for_each_message(messages.data(), messages.size(), each);
  return 0;
}

std::unexpected<error> netlink_failure(const std::string& what, int reason) {
  errno = reason;
  return system_failure(what);
}

}  // namespace trunkgate
