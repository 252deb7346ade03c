// Protocol numbers, header layouts and the internet checksum, as the stages need them.
#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "dataplane/core/bytes.hpp"

namespace trunkgate {

inline constexpr std::uint16_t ethertype_ipv4 = 0x0800, ethertype_arp = 0x0806, ethertype_vlan = 0x8100,
                               ethertype_ipv6 = 0x86dd;
inline constexpr std::uint8_t protocol_icmp = 1, protocol_ipv4 = 4, protocol_tcp = 6, protocol_udp = 17,
                              protocol_ipv6 = 41, protocol_esp = 50, protocol_icmpv6 = 58, protocol_none = 59,
                              protocol_sctp = 132;
inline constexpr std::uint16_t port_ike = 500, port_nat_traversal = 4500, port_sip = 5060, port_sips = 5061;

struct ethernet_header {
  std::array<std::uint8_t, 6> destination, source;
  be16 ethertype;
};
static_assert(sizeof(ethernet_header) == 14);

struct vlan_header {
  be16 tag;  // priority, drop eligibility, VLAN id (12 bits)
  be16 ethertype;
};

struct ipv4_header {
  std::uint8_t version_length;  // version, header length in 32-bit words
  std::uint8_t traffic_class;
  be16 total_length, id, fragment;
  std::uint8_t hop_limit, protocol;
  be16 checksum;
  std::array<std::uint8_t, 4> source, destination;
  [[nodiscard]] std::uint16_t header_length() const { return static_cast<std::uint16_t>((version_length & 15) * 4); }
  static constexpr std::uint16_t dont_fragment = 0x4000, more_fragments = 0x2000, offset_mask = 0x1fff;
};
static_assert(sizeof(ipv4_header) == 20 && alignof(ipv4_header) == 1);

struct ipv6_header {
  be32 version_class_label;
  be16 payload_length;
  std::uint8_t next_header, hop_limit;
  std::array<std::uint8_t, 16> source, destination;
  [[nodiscard]] std::uint8_t traffic_class() const {
    return static_cast<std::uint8_t>(version_class_label.host() >> 20);
  }
};
static_assert(sizeof(ipv6_header) == 40 && alignof(ipv6_header) == 1);

struct udp_header {
  be16 source, destination, length, checksum;
};

struct tcp_header {
  be16 source, destination;
  be32 sequence, acknowledgement;
  std::uint8_t data_offset;  // header length in 32-bit words, in the upper half
  std::uint8_t flags;
  be16 window, checksum, urgent;
};
static_assert(sizeof(tcp_header) == 20);

struct esp_header {
  be32 spi, sequence;
};

// RFC 1071: sum of 16-bit words, not yet folded; start with 0 or an earlier sum. `size` may be odd only in the last
// part.
[[nodiscard]] inline std::uint64_t checksum_add(std::uint64_t sum, const void* data, std::size_t size) noexcept {
  const auto* at = static_cast<const std::uint8_t*>(data);
  // Two words at a time: what the upper one carries is folded back later (RFC 1071 2.A).
  for (; size >= 4; size -= 4, at += 4) {
    be32 words;
    std::memcpy(&words, at, sizeof words);
    sum += words.host();
  }
  for (; size >= 2; size -= 2, at += 2) sum += static_cast<std::uint64_t>(at[0]) << 8 | at[1];
  return size != 0 ? sum + (static_cast<std::uint64_t>(at[0]) << 8) : sum;
}

[[nodiscard]] inline std::uint16_t checksum_fold(std::uint64_t sum) noexcept {
  sum = (sum & 0xffff'ffff) + (sum >> 32);  // now at most 33 bits
  sum = (sum & 0xffff) + (sum >> 16);       // 18
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// Whether the checksum of a header without options is right. In which order the bytes of all words lie does not matter
// for that (RFC 1071 2.B).
[[nodiscard]] inline bool checksum_is_right(const ipv4_header& header) noexcept {
  std::uint64_t words[2];
  std::uint32_t last;
  std::memcpy(words, &header, sizeof words);
  std::memcpy(&last, header.destination.data(), sizeof last);
  std::uint64_t sum = last;
  for (const std::uint64_t word : words) sum += (word & 0xffff'ffff) + (word >> 32);
  return checksum_fold(sum) == 0;
}

// The same for the usual change, a hop limit one lower. 0xffff, which is zero too, does not come out (RFC 1624 3).
[[nodiscard]] inline be16 checksum_one_hop_later(be16 checksum) noexcept {
  const std::uint32_t sum = std::uint32_t{checksum.host()} + 0x100;
  return be16(static_cast<std::uint16_t>(sum + (sum >= 0xffff ? 1 : 0)));
}

// RFC 1624 eqn. 3: the checksum after one 16-bit word went from `before` to `after`.
[[nodiscard]] inline be16 checksum_update(be16 checksum, std::uint16_t before, std::uint16_t after) noexcept {
  const std::uint64_t sum = static_cast<std::uint16_t>(~checksum.host()) +
                            static_cast<std::uint64_t>(static_cast<std::uint16_t>(~before)) + after;
  return be16(checksum_fold(sum));
}

}  // namespace trunkgate
