// One queue of an AF_PACKET port: batches of frames through one packet socket, in and out.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include <linux/if_packet.h>
#include <rte_mbuf.h>

#include "dataplane/core/counter.hpp"
#include "drivers/port/segmenter.hpp"

namespace trunkgate {

inline constexpr std::uint16_t af_packet_batch = 64;

// Whether the socket still serves its netdev, as the last call saw it.
enum class netdev_state : std::uint8_t { present, gone };

// Frames are received as [virtio-net header][mbuf data][overflow]: an ordinary frame ends in the mbuf and is never
// copied; only what is longer than an mbuf reaches the overflow, and is then cut into segments. Segments that do not
// fit in the caller's room wait for the next call; nothing new is read from the socket meanwhile.
class af_packet_receiver {
 public:
  explicit af_packet_receiver(rte_mempool* pool);
  af_packet_receiver(const af_packet_receiver&) = delete;
  af_packet_receiver& operator=(const af_packet_receiver&) = delete;
  ~af_packet_receiver();

  std::uint16_t receive(int descriptor, std::uint16_t mtu, rte_mbuf** frames, std::uint16_t room,
                        netdev_state& state) noexcept;
  void forget_pending() noexcept;  // frames of a socket that was replaced

  counter packets, bytes, dropped;

 private:
  struct message {
    offload_header header;
    std::array<iovec, 3> parts;
    alignas(cmsghdr) std::array<std::uint8_t, CMSG_SPACE(sizeof(tpacket_auxdata))> control;
    rte_mbuf* buffer = nullptr;
    std::uint8_t* whole =
        nullptr;  // room for a mbuf's data in front of the overflow, so that a long frame is contiguous
  };

  void fetch(int descriptor, std::uint16_t wanted, netdev_state& state) noexcept;
  bool prepare(message& slot, mmsghdr& header, bool discard) noexcept;
  rte_mbuf* accept(message& slot, const mmsghdr& header, std::uint16_t mtu) noexcept;
  rte_mbuf* next_segment() noexcept;
  bool finish(rte_mbuf* frame, std::uint32_t vlan) noexcept;

  rte_mempool* pool_;
  std::uint16_t data_room_;  // bytes of a frame that one mbuf holds
  std::vector<std::uint8_t> staging_;
  std::vector<message> messages_;
  std::vector<mmsghdr> headers_;
  std::uint16_t cursor_ = 0, filled_ = 0;  // messages received and not yet looked at
  segmenter segmenter_;
  std::uint32_t segment_vlan_ = 0;
};

class af_packet_transmitter {
 public:
  af_packet_transmitter();
  std::uint16_t transmit(int descriptor, rte_mbuf** frames, std::uint16_t count, netdev_state& state) noexcept;

  counter packets, bytes, dropped;

 private:
  std::uint16_t gather(rte_mbuf** frames, std::uint16_t count) noexcept;

  std::vector<iovec> parts_;
  std::array<mmsghdr, af_packet_batch> headers_{};
};

}  // namespace trunkgate
