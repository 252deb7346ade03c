#include "tests/unit/port/frames.hpp"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstring>
#include <numeric>

#include <gtest/gtest.h>
#include <linux/if_packet.h>
#include <rte_ip.h>
#include <rte_tcp.h>
#include <rte_udp.h>

namespace trunkgate::testing {
namespace {

void put16(frame_bytes& frame, std::size_t at, std::size_t value) {
  frame[at] = static_cast<std::uint8_t>(value >> 8);
  frame[at + 1] = static_cast<std::uint8_t>(value);
}

struct layout {
  explicit layout(const frame_shape& shape)
      : ip(shape.tagged ? 18 : 14),
        transport(ip + (shape.version == 4 ? 20 : 40)),
        payload(transport + (shape.tcp ? 20 : 8)),
        field(shape.tcp ? 16 : 6) {}
  std::size_t ip, transport, payload, field;
};

}  // namespace

frame_bytes make_frame(const frame_shape& shape) {
  const layout at(shape);
  frame_bytes frame(at.payload + shape.payload);
  std::iota(frame.begin() + static_cast<std::ptrdiff_t>(at.payload), frame.end(), std::uint8_t{1});
  for (std::size_t index = 0; index < 12; ++index) frame[index] = index < 6 ? 0xff : 0x02;
  if (shape.tagged) put16(frame, 12, 0x8100), put16(frame, 14, 9);
  put16(frame, at.ip - 2, shape.version == 4 ? 0x0800 : 0x86dd);
  const std::uint8_t protocol = shape.tcp ? IPPROTO_TCP : IPPROTO_UDP;
  const std::size_t transport_length = frame.size() - at.transport;
  void* const ip = frame.data() + at.ip;
  std::uint16_t pseudo = 0;
  if (shape.version == 4) {
    auto* header = static_cast<rte_ipv4_hdr*>(ip);
    *header = {};
    header->version_ihl = 0x45;
    put16(frame, at.ip + 2, frame.size() - at.ip);
    put16(frame, at.ip + 4, 0xfffe);  // wraps from the third segment on
    header->fragment_offset = rte_cpu_to_be_16(0x4000);
    header->time_to_live = 64;
    header->next_proto_id = protocol;
    header->src_addr = inet_addr("198.51.100.1");
    header->dst_addr = inet_addr("203.0.113.1");
    header->hdr_checksum = rte_ipv4_cksum(header);
    pseudo = rte_ipv4_phdr_cksum(header, 0);
  } else {
    frame[at.ip] = 0x60;
    put16(frame, at.ip + 4, transport_length);
    frame[at.ip + 6] = protocol;
    frame[at.ip + 7] = 64;
    for (std::size_t index = 0; index < 32; ++index) frame[at.ip + 8 + index] = static_cast<std::uint8_t>(0x20 + index);
    pseudo = rte_ipv6_phdr_cksum(static_cast<rte_ipv6_hdr*>(ip), 0);
  }
  put16(frame, at.transport, 40000), put16(frame, at.transport + 2, 9);
  if (shape.tcp) {
    put16(frame, at.transport + 4, 0xffff), put16(frame, at.transport + 6, 0xff00);
    frame[at.transport + 12] = 0x50;
    frame[at.transport + 13] = shape.tcp_flags;
    put16(frame, at.transport + 14, 1000);
  } else {
    put16(frame, at.transport + 4, transport_length);
  }
  std::memcpy(frame.data() + at.transport + at.field, &pseudo, sizeof pseudo);
  return frame;
}

offload_header make_request(const frame_shape& shape, std::uint16_t segment_payload) {
  const layout at(shape);
  offload_header request;
  request.flags = offload_header::needs_checksum;
  request.checksum_start = static_cast<std::uint16_t>(at.transport);
  request.checksum_offset = static_cast<std::uint16_t>(at.field);
  request.header_length = static_cast<std::uint16_t>(at.payload);
  request.segment_payload = segment_payload;
  if (segment_payload != 0) {
    request.segmentation = !shape.tcp           ? offload_header::udp
                           : shape.version == 4 ? offload_header::tcpv4
                                                : offload_header::tcpv6;
    if (shape.tcp && (shape.tcp_flags & 0x80) != 0) request.segmentation |= offload_header::ecn;
  }
  return request;
}

frame_bytes make_marker(const std::string& text) {
  frame_bytes frame(60);
  for (std::size_t index = 0; index < 12; ++index) frame[index] = index < 6 ? 0xff : 0x06;
  put16(frame, 12, 0x88b5);
  text.copy(reinterpret_cast<char*>(frame.data()) + 14, frame.size() - 15);
  return frame;
}

std::string marker_text(std::span<const std::uint8_t> frame) {
  if (frame.size() < 60 || frame[12] != 0x88 || frame[13] != 0xb5) return {};
  return reinterpret_cast<const char*>(frame.data()) + 14;
}

rte_mbuf* to_mbuf(rte_mempool* pool, std::span<const std::uint8_t> frame) {
  auto* buffer = rte_pktmbuf_alloc(pool);
  if (buffer == nullptr) return nullptr;
  auto* data = rte_pktmbuf_append(buffer, static_cast<std::uint16_t>(frame.size()));
  if (data != nullptr) std::memcpy(data, frame.data(), frame.size());
  return buffer;
}

std::span<const std::uint8_t> bytes_of(const rte_mbuf* frame) {
  return {rte_pktmbuf_mtod(frame, const std::uint8_t*), rte_pktmbuf_data_len(frame)};
}

bool checksums_right(const rte_mbuf* frame) {
  const auto bytes = bytes_of(frame);
  std::size_t at = 14;
  if (bytes[12] == 0x81 && bytes[13] == 0x00) at = 18;
  const unsigned type = bytes[at - 2] << 8 | bytes[at - 1];
  const auto* ip = bytes.data() + at;
  const std::uint8_t protocol = type == 0x0800 ? ip[9] : type == 0x86dd ? ip[6] : 0;
  const bool judged = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
  if (type == 0x0800) {
    const auto* header = reinterpret_cast<const rte_ipv4_hdr*>(ip);
    if (rte_raw_cksum(header, rte_ipv4_hdr_len(header)) != 0xffff) return false;
    return !judged || rte_ipv4_udptcp_cksum_verify(header, ip + rte_ipv4_hdr_len(header)) == 0;
  }
  if (type == 0x86dd && judged)
    return rte_ipv6_udptcp_cksum_verify(reinterpret_cast<const rte_ipv6_hdr*>(ip), ip + 40) == 0;
  return true;
}

raw_socket::raw_socket(const std::string& netdev, bool with_offload_header)
    : descriptor_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0)), with_offload_header_(with_offload_header) {
  const int one = 1;
  const int offload = with_offload_header ? 1 : 0;
  EXPECT_EQ(setsockopt(descriptor_, SOL_PACKET, PACKET_VNET_HDR, &offload, sizeof offload), 0);
  EXPECT_EQ(setsockopt(descriptor_, SOL_PACKET, PACKET_IGNORE_OUTGOING, &one, sizeof one), 0);
  const timeval patience{2, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = static_cast<int>(if_nametoindex(netdev.c_str()));
  EXPECT_EQ(bind(descriptor_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0) << netdev;
}

raw_socket::~raw_socket() { close(descriptor_); }

void raw_socket::send(std::span<const std::uint8_t> frame, const offload_header& request) const {
  auto copy = request;
  iovec parts[2] = {{&copy, sizeof copy}, {const_cast<std::uint8_t*>(frame.data()), frame.size()}};
  const auto sent = with_offload_header_ ? writev(descriptor_, parts, 2) : writev(descriptor_, parts + 1, 1);
  EXPECT_GT(sent, 0) << strerror(errno) << ", " << frame.size() << " bytes";
}

frame_bytes raw_socket::receive() const {
  frame_bytes frame(70000);
  const auto length = recv(descriptor_, frame.data(), frame.size(), 0);
  frame.resize(length > 0 ? static_cast<std::size_t>(length) : 0);
  return frame;
}

}  // namespace trunkgate::testing
