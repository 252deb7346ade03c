#include "drivers/port/segmenter.hpp"

#include <algorithm>
#include <cstring>

#include "dataplane/core/bytes.hpp"

namespace trunkgate {
namespace {

constexpr std::uint8_t protocol_tcp = 6, protocol_udp = 17;
constexpr std::uint8_t tcp_fin = 0x01, tcp_psh = 0x08, tcp_cwr = 0x80;

template <class T>
T load(const std::uint8_t* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}

template <class T>
void store(std::uint8_t* at, const T& value) {
  std::memcpy(at, &value, sizeof value);
}

be16 wire16(std::size_t value) { return be16{static_cast<std::uint16_t>(value)}; }

// Whether the request's kind is the one the headers show.
bool kinds_agree(unsigned kind, const frame_headers& headers) {
  switch (kind) {
    case offload_header::tcpv4: return headers.version == 4 && headers.protocol == protocol_tcp;
    case offload_header::tcpv6: return headers.version == 6 && headers.protocol == protocol_tcp;
    case offload_header::udp: return headers.protocol == protocol_udp;
    default: return false;
  }
}

}  // namespace

bool segmenter::start(std::span<const std::uint8_t> frame, const offload_header& request, std::uint16_t mtu) noexcept {
  frame_ = {};
  position_ = 0;
  const auto headers = find_headers(frame);
  const unsigned kind = request.segmentation & ~unsigned{offload_header::ecn};
  if (!headers || !kinds_agree(kind, *headers) || request.segment_payload == 0) return false;
  // In a tunnel the checksum is the inner transport header's: cutting it would need the tunnel's own rules.
  const bool partial = request.partial();
  if (partial && request.checksum_start != headers->transport) return false;

  const bool tcp = headers->protocol == protocol_tcp;
  if (frame.size() < headers->transport + (tcp ? 20u : 8u)) return false;
  const std::size_t transport_length = tcp ? std::size_t{frame[headers->transport + 12u]} / 16 * 4 : 8;
  const std::size_t header_length = headers->transport + transport_length;
  if ((tcp && transport_length < 20) || frame.size() <= header_length) return false;

  std::size_t payload = request.segment_payload;
  if (tcp) {
    const std::size_t ip_headers = header_length - headers->ip;
    if (mtu <= ip_headers) return false;
    payload = std::min<std::size_t>(payload, mtu - ip_headers);
  }
  if (header_length + payload - headers->ip > 0xffff) return false;
  frame_ = frame;
  headers_ = *headers;
  header_length_ = position_ = header_length;
  payload_each_ = payload;
  udp_without_checksum_ = !tcp && !partial && load<be16>(frame.data() + headers->transport + 6).host() == 0;
  return true;
}

std::size_t segmenter::segments_left() const noexcept {
  return (frame_.size() - position_ + payload_each_ - 1) / payload_each_;
}

std::size_t segmenter::next(std::uint8_t* out) noexcept {
  const std::size_t offset = position_ - header_length_;
  const std::size_t payload = std::min(payload_each_, frame_.size() - position_);
  const std::size_t length = header_length_ + payload;
  std::memcpy(out, frame_.data(), header_length_);
  std::memcpy(out + header_length_, frame_.data() + position_, payload);
  position_ += payload;

  auto* ip = out + headers_.ip;
  if (headers_.version == 4) {
    store(ip + 2, wire16(length - headers_.ip));
    // Datagrams that share an id must not be taken for fragments of one another (RFC 6864 4).
    store(ip + 4, wire16(load<be16>(ip + 4).host() + offset / payload_each_));
    fill_ipv4_checksum(ip);
  } else {
    store(ip + 4, wire16(length - headers_.ip - 40));
  }
  if (headers_.protocol == protocol_tcp) {
    finish_tcp(out, offset, offset == 0, done(), length);
  } else {
    finish_udp(out, length);
  }
  return length;
}

void segmenter::finish_tcp(std::uint8_t* out, std::size_t offset, bool first, bool last,
                           std::size_t length) const noexcept {
  auto* tcp = out + headers_.transport;
  store(tcp + 4, be32{load<be32>(tcp + 4).host() + static_cast<std::uint32_t>(offset)});
  if (!last) tcp[13] &= static_cast<std::uint8_t>(~(tcp_fin | tcp_psh));
  // CWR answers one congestion signal, so one segment carries it (RFC 3168 6.1.2).
  if (!first) tcp[13] &= static_cast<std::uint8_t>(~tcp_cwr);
  std::memset(tcp + 16, 0, 2);
  store(tcp + 16, transport_checksum(out, headers_, length - headers_.transport));
}

void segmenter::finish_udp(std::uint8_t* out, std::size_t length) const noexcept {
  auto* udp = out + headers_.transport;
  store(udp + 4, wire16(length - headers_.transport));
  std::memset(udp + 6, 0, 2);
  if (udp_without_checksum_) return;
  store(udp + 6, transport_checksum(out, headers_, length - headers_.transport));
}

}  // namespace trunkgate
