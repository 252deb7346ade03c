// Requests to the kernel by rtnetlink and their answers; the messages are built and taken apart with libnl-3.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include <netlink/attr.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "dataplane/core/ip.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

// Marks the routes that the gateway's configuration adds (rtm_protocol), so that nobody takes them for the operator's.
inline constexpr std::uint8_t configured_route_protocol = 116;

struct netlink_message_deleter {
  void operator()(nl_msg* message) const { nlmsg_free(message); }
};
using netlink_message = std::unique_ptr<nl_msg, netlink_message_deleter>;

// A message with its family header (ifaddrmsg, rtmsg, ...) behind the netlink header.
template <class Header>
[[nodiscard]] netlink_message make_netlink_message(int type, int flags, const Header& header) {
  netlink_message message(nlmsg_alloc_simple(type, flags));
  if (message != nullptr)
    (void)nlmsg_append(message.get(), const_cast<Header*>(&header), sizeof(header), NLMSG_ALIGNTO);
  return message;
}

inline void put_address(nl_msg* message, int type, const ip_address& address) {
  (void)nla_put(message, type, static_cast<int>(address.size()), address.bytes.data());
}

// Each request is carried out by the kernel before send() returns: waiting for the answer never waits for the network.
class netlink_socket {
 public:
  [[nodiscard]] static result<netlink_socket> open();

  // Sends and takes the answer; 0 or an errno value.
  [[nodiscard]] int request(const netlink_message& message);
  // All objects of one kind (RTM_GETADDR, ...) and family; 0 or an errno value. When the kernel says that it changed
  // underway (NLM_F_DUMP_INTR) everything is read again, so `each` sees only one consistent reading.
  [[nodiscard]] int dump(int type, std::uint8_t family, const std::function<void(nlmsghdr*)>& each);

  [[nodiscard]] int descriptor() const { return nl_socket_get_fd(socket_.get()); }
  [[nodiscard]] nl_sock* get() const { return socket_.get(); }

 private:
  struct socket_deleter {
    void operator()(nl_sock* socket) const { nl_socket_free(socket); }
  };
  explicit netlink_socket(nl_sock* socket) : socket_(socket), buffer_(receive_size) {}
  [[nodiscard]] int send(const netlink_message& message, int flags);
  [[nodiscard]] int read_dump(int type, std::uint8_t family, std::vector<std::uint8_t>& messages);

  static constexpr std::size_t receive_size = 65536;  // the kernel fills at most 32 KiB at a time
  std::unique_ptr<nl_sock, socket_deleter> socket_;
  std::vector<std::uint8_t> buffer_;
  std::uint32_t sequence_ = 0;
};

// "WHAT: Operation not permitted", from an errno value.
[[nodiscard]] std::unexpected<error> netlink_failure(const std::string& what, int reason);

// Calls `each` for every message in a received block.
template <class Each>
void for_each_message(void* data, std::size_t size, const Each& each) {
  int remaining = static_cast<int>(size);
  for (auto* header = static_cast<nlmsghdr*>(data); nlmsg_ok(header, remaining) != 0;
       header = nlmsg_next(header, &remaining))
    each(header);
}

}  // namespace trunkgate
