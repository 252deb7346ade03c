#include "drivers/port/af_packet_socket.hpp"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <linux/filter.h>
#include <linux/if_packet.h>

#ifndef PACKET_FANOUT_FLAG_IGNORE_OUTGOING
#define PACKET_FANOUT_FLAG_IGNORE_OUTGOING 0x4000
#endif

namespace trunkgate {
namespace {

constexpr int receive_buffer = 16 << 20;  // about 200 frames of 64 KiB, or 20 ms of short frames at 10 Gb/s
constexpr int transmit_buffer = 4 << 20;

bool set(int descriptor, int level, int option, int value) {
  return setsockopt(descriptor, level, option, &value, sizeof value) == 0;
}

void set_buffers(int descriptor) {
  // FORCE passes the system's limit and needs CAP_NET_ADMIN; without it the limit is what there is.
  if (!set(descriptor, SOL_SOCKET, SO_RCVBUFFORCE, receive_buffer))
    (void)set(descriptor, SOL_SOCKET, SO_RCVBUF, receive_buffer);
  if (!set(descriptor, SOL_SOCKET, SO_SNDBUFFORCE, transmit_buffer))
    (void)set(descriptor, SOL_SOCKET, SO_SNDBUF, transmit_buffer);
}

// Until every socket is in the group, each would get every frame: a filter that takes nothing stands before them.
bool shut_out_frames(int descriptor) {
  sock_filter nothing = {BPF_RET | BPF_K, 0, 0, 0};
  const sock_fprog program = {1, &nothing};
  return setsockopt(descriptor, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
}

result<void> bind_socket(int descriptor, int ifindex) {
  set_buffers(descriptor);
  if (!set(descriptor, SOL_PACKET, PACKET_VNET_HDR, 1)) return system_failure("packet socket: virtio-net header");
  if (!set(descriptor, SOL_PACKET, PACKET_AUXDATA, 1)) return system_failure("packet socket: auxiliary data");
  if (!set(descriptor, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1))
    return system_failure("packet socket: incoming frames only");
  // The kernel's queueing discipline is not ours: we schedule before encryption.
  if (!set(descriptor, SOL_PACKET, PACKET_QDISC_BYPASS, 1)) return system_failure("packet socket: queue bypass");
  if (!shut_out_frames(descriptor)) return system_failure("packet socket: filter");
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = ifindex;
  if (bind(descriptor, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
    return system_failure("packet socket: bind");
  // The netdev has no addresses left that would open its multicast filter for neighbour discovery and routing
  // protocols.
  packet_mreq membership{};
  membership.mr_ifindex = ifindex;
  membership.mr_type = PACKET_MR_ALLMULTI;
  if (setsockopt(descriptor, SOL_PACKET, PACKET_ADD_MEMBERSHIP, &membership, sizeof membership) != 0)
    return system_failure("packet socket: multicast");
  return {};
}

// The first socket asks the kernel for a group number that nobody uses; the others join that.
result<void> join_group(int descriptor, bool first, unsigned& group) {
  unsigned flags = PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_IGNORE_OUTGOING;
  if (first) flags |= PACKET_FANOUT_FLAG_UNIQUEID;
  const unsigned argument = (first ? 0 : group) | flags << 16;
  if (setsockopt(descriptor, SOL_PACKET, PACKET_FANOUT, &argument, sizeof argument) != 0)
    return system_failure("packet socket: fanout over several queues");
  if (first) {
    socklen_t length = sizeof group;
    if (getsockopt(descriptor, SOL_PACKET, PACKET_FANOUT, &group, &length) != 0)
      return system_failure("packet socket: fanout group");
    group &= 0xffff;
  }
  return {};
}

}  // namespace

std::uint64_t af_packet_socket::take_kernel_drops() const noexcept {
  tpacket_stats statistics{};
  socklen_t length = sizeof statistics;
  if (descriptor_ < 0 || getsockopt(descriptor_, SOL_PACKET, PACKET_STATISTICS, &statistics, &length) != 0) return 0;
  return statistics.tp_drops;
}

void af_packet_socket::reset() noexcept {
  if (descriptor_ >= 0) close(descriptor_);
  descriptor_ = -1;
}

result<std::vector<af_packet_socket>> open_af_packet_sockets(int ifindex, std::uint16_t queues) {
  std::vector<af_packet_socket> sockets;
  unsigned group = 0;
  for (std::uint16_t queue = 0; queue < queues; ++queue) {
    // Protocol 0: takes nothing before bind() names the netdev.
    af_packet_socket opened(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (opened.descriptor() < 0) return system_failure("packet socket (needs CAP_NET_RAW)");
    if (auto bound = bind_socket(opened.descriptor(), ifindex); !bound) return std::unexpected(bound.error());
    if (queues > 1)
      if (auto joined = join_group(opened.descriptor(), queue == 0, group); !joined)
        return std::unexpected(joined.error());
    sockets.push_back(std::move(opened));
  }
  for (const auto& each : sockets) {
    if (!set(each.descriptor(), SOL_SOCKET, SO_DETACH_FILTER, 0)) return system_failure("packet socket: filter");
    (void)each.take_kernel_drops();  // those shut out were not lost
  }
  return sockets;
}

}  // namespace trunkgate
