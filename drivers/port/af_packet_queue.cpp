#include "drivers/port/af_packet_queue.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "dataplane/core/bytes.hpp"

namespace trunkgate {
namespace {

constexpr std::size_t longest_frame = 65536 + 64;  // an IP packet of 64 KiB with its Ethernet header and inner tags
constexpr std::uint16_t ethernet_header = 14, vlan_tag = 4;
constexpr std::size_t parts_per_batch = 1024;

bool is_gone(int reason) { return reason == ENODEV || reason == ENETDOWN || reason == ENXIO || reason == EBADF; }

// The 802.1Q tag that the kernel took out: TPID and TCI as on the wire; 0 if there was none.
std::uint32_t removed_tag(msghdr& header) {
  for (auto* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_PACKET || part->cmsg_type != PACKET_AUXDATA) continue;
    tpacket_auxdata facts;
    std::memcpy(&facts, CMSG_DATA(part), sizeof facts);
    if ((facts.tp_status & TP_STATUS_VLAN_VALID) == 0) return 0;
    const std::uint32_t tpid = (facts.tp_status & TP_STATUS_VLAN_TPID_VALID) != 0 ? facts.tp_vlan_tpid : 0x8100;
    return tpid << 16 | facts.tp_vlan_tci;
  }
  return 0;
}

}  // namespace

af_packet_receiver::af_packet_receiver(rte_mempool* pool)
    : pool_(pool), data_room_(static_cast<std::uint16_t>(rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM)) {
  messages_.resize(af_packet_batch);
  headers_.resize(af_packet_batch);
  const std::size_t each = data_room_ + longest_frame;
  staging_.resize(each * af_packet_batch);
  for (std::size_t index = 0; index < messages_.size(); ++index)
    messages_[index].whole = staging_.data() + index * each;
}

af_packet_receiver::~af_packet_receiver() {
  for (auto& slot : messages_) rte_pktmbuf_free(slot.buffer);
}

void af_packet_receiver::forget_pending() noexcept {
  segmenter_.abandon();
  cursor_ = filled_ = 0;
}

bool af_packet_receiver::prepare(message& slot, mmsghdr& header, bool discard) noexcept {
  if (slot.buffer == nullptr && !discard) slot.buffer = rte_pktmbuf_alloc(pool_);
  if (slot.buffer == nullptr && !discard) return false;
  slot.parts[0] = {&slot.header, sizeof slot.header};
  slot.parts[1] = {slot.buffer != nullptr ? rte_pktmbuf_mtod(slot.buffer, void*) : slot.whole, data_room_};
  slot.parts[2] = {slot.whole + data_room_, longest_frame};
  header.msg_hdr = {};
  header.msg_hdr.msg_iov = slot.parts.data();
  header.msg_hdr.msg_iovlen = slot.parts.size();
  header.msg_hdr.msg_control = slot.control.data();
  header.msg_hdr.msg_controllen = slot.control.size();
  return true;
}

void af_packet_receiver::fetch(int descriptor, std::uint16_t wanted, netdev_state& state) noexcept {
  wanted = std::min(wanted, af_packet_batch);
  std::uint16_t ready = 0;
  while (ready < wanted && prepare(messages_[ready], headers_[ready], false)) ++ready;
  // Without buffers frames are taken and dropped, as a NIC does: what waited would be old when there are some again.
  if (ready == 0)
    while (ready < wanted) (void)prepare(messages_[ready], headers_[ready], true), ++ready;
  cursor_ = filled_ = 0;
  const int received = recvmmsg(descriptor, headers_.data(), ready, MSG_DONTWAIT, nullptr);
  if (received >= 0) {
    filled_ = static_cast<std::uint16_t>(received);
  } else if (is_gone(errno)) {
    state = netdev_state::gone;
  } else if (errno != EAGAIN && errno != EINTR) {
    dropped.add(1);  // the kernel could not describe this frame in a virtio-net header and freed it
  }
}

std::uint16_t af_packet_receiver::receive(int descriptor, std::uint16_t mtu, rte_mbuf** frames, std::uint16_t room,
                                          netdev_state& state) noexcept {
  std::uint16_t given = 0;
  bool fetched = false;
  std::uint64_t octets = 0;
  while (given < room) {
    rte_mbuf* frame = nullptr;
    if (!segmenter_.done()) {
      frame = next_segment();
    } else if (cursor_ < filled_) {
      frame = accept(messages_[cursor_], headers_[cursor_], mtu);
      ++cursor_;
    } else if (!fetched) {
      fetch(descriptor, static_cast<std::uint16_t>(room - given), state);
      fetched = true;
    } else {
      break;
    }
    if (frame == nullptr) continue;
    octets += rte_pktmbuf_pkt_len(frame);
    frames[given++] = frame;
  }
  if (given != 0) packets.add(given), bytes.add(octets);
  return given;
}

// The frame of one message; nothing if it is dropped, or if it is to come in segments.
rte_mbuf* af_packet_receiver::accept(message& slot, const mmsghdr& received, std::uint16_t mtu) noexcept {
  auto header = received.msg_hdr;
  const std::size_t length = received.msg_len;
  if (slot.buffer == nullptr || length < sizeof slot.header + ethernet_header || (header.msg_flags & MSG_TRUNC) != 0) {
    dropped.add(1);
    return nullptr;
  }
  const std::size_t frame_length = length - sizeof slot.header;
  auto* data = rte_pktmbuf_mtod(slot.buffer, std::uint8_t*);
  if (slot.header.segmentation != offload_header::none) {
    std::memcpy(slot.whole, data, std::min<std::size_t>(frame_length, data_room_));
    segment_vlan_ = removed_tag(header);
    if (!segmenter_.start({slot.whole, frame_length}, slot.header, mtu)) {
      dropped.add(1);
    } else if (segmenter_.largest_segment() > data_room_) {
      dropped.add(segmenter_.segments_left());
      segmenter_.abandon();
    }
    return nullptr;
  }
  const bool partial = slot.header.partial();
  if (frame_length > data_room_ ||
      (partial && !complete_checksum({data, frame_length}, slot.header.checksum_start, slot.header.checksum_offset))) {
    dropped.add(1);
    return nullptr;
  }
  auto* frame = slot.buffer;
  slot.buffer = nullptr;
  frame->data_len = static_cast<std::uint16_t>(frame_length);
  frame->pkt_len = static_cast<std::uint32_t>(frame_length);
  return finish(frame, removed_tag(header)) ? frame : nullptr;
}

rte_mbuf* af_packet_receiver::next_segment() noexcept {
  auto* frame = rte_pktmbuf_alloc(pool_);
  if (frame == nullptr) {
    dropped.add(segmenter_.segments_left());
    segmenter_.abandon();
    return nullptr;
  }
  const auto length = segmenter_.next(rte_pktmbuf_mtod(frame, std::uint8_t*));
  frame->data_len = static_cast<std::uint16_t>(length);
  frame->pkt_len = static_cast<std::uint32_t>(length);
  return finish(frame, segment_vlan_) ? frame : nullptr;
}

// Puts the tag back between the addresses and the EtherType (IEEE 802.1Q 9.3), in the headroom.
bool af_packet_receiver::finish(rte_mbuf* frame, std::uint32_t vlan) noexcept {
  if (vlan == 0) return true;
  auto* front = rte_pktmbuf_prepend(frame, vlan_tag);
  if (front == nullptr) {
    rte_pktmbuf_free(frame);
    dropped.add(1);
    return false;
  }
  std::memmove(front, front + vlan_tag, 12);
  const be32 tag{vlan};
  std::memcpy(front + 12, &tag, sizeof tag);
  return true;
}

af_packet_transmitter::af_packet_transmitter() : parts_(parts_per_batch) {}

// Describes as many frames as the parts suffice for. A frame in more pieces than a message may have is left to the
// caller.
std::uint16_t af_packet_transmitter::gather(rte_mbuf** frames, std::uint16_t count) noexcept {
  static constexpr offload_header complete{};  // nothing is left to the kernel
  std::size_t used = 0;
  std::uint16_t gathered = 0;
  for (; gathered < std::min(count, af_packet_batch); ++gathered) {
    const auto* frame = frames[gathered];
    if (used + 1 + frame->nb_segs > parts_.size()) break;
    auto& header = headers_[gathered].msg_hdr;
    header = {};
    header.msg_iov = &parts_[used];
    parts_[used++] = {const_cast<offload_header*>(&complete), sizeof complete};
    for (const auto* part = frame; part != nullptr; part = part->next)
      parts_[used++] = {rte_pktmbuf_mtod(part, void*), part->data_len};
    header.msg_iovlen = std::size_t{frame->nb_segs} + 1;
  }
  return gathered;
}

std::uint16_t af_packet_transmitter::transmit(int descriptor, rte_mbuf** frames, std::uint16_t count,
                                              netdev_state& state) noexcept {
  std::uint16_t taken = 0;
  std::uint64_t sent_packets = 0, sent_bytes = 0;
  while (taken < count) {
    const auto ready = gather(frames + taken, static_cast<std::uint16_t>(count - taken));
    const int sent = ready == 0 ? -1 : sendmmsg(descriptor, headers_.data(), ready, MSG_DONTWAIT);
    if (sent > 0) {
      for (int index = 0; index < sent; ++index) sent_bytes += rte_pktmbuf_pkt_len(frames[taken + index]);
      rte_pktmbuf_free_bulk(frames + taken, static_cast<unsigned>(sent));
      sent_packets += static_cast<unsigned>(sent);
      taken = static_cast<std::uint16_t>(taken + sent);
      continue;
    }
    if (ready != 0 && is_gone(errno)) {
      state = netdev_state::gone;
      break;
    }
    if (ready != 0 && (errno == EAGAIN || errno == ENOBUFS || errno == EINTR)) break;
    // This frame alone can't be sent: longer than the netdev's MTU, shorter than a header, in too many pieces.
    rte_pktmbuf_free(frames[taken++]);
    dropped.add(1);
  }
  if (sent_packets != 0) packets.add(sent_packets), bytes.add(sent_bytes);
  return taken;
}

}  // namespace trunkgate
