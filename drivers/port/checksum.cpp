#include "drivers/port/checksum.hpp"

#include <cstring>

#include <rte_hash_crc.h>
#include <rte_ip.h>

#include "dataplane/core/bytes.hpp"

namespace trunkgate {
namespace {

constexpr std::uint16_t ethertype_ipv4 = 0x0800, ethertype_ipv6 = 0x86dd;
constexpr std::uint16_t ethertype_vlan = 0x8100, ethertype_qinq = 0x88a8;
constexpr std::uint8_t hop_by_hop = 0, routing = 43, destination_options = 60, fragment = 44, sctp = 132;

// Byte by byte: DPDK's word-wise loop loads words that are not aligned. SCTP is rare here.
std::uint32_t crc32c(std::span<const std::uint8_t> bytes) {
  std::uint32_t crc = 0xffffffff;
  for (const auto byte : bytes) crc = rte_hash_crc_1byte(byte, crc);
  return ~crc;
}

std::uint16_t read_be16(std::span<const std::uint8_t> bytes, std::size_t at) {
  return static_cast<std::uint16_t>(bytes[at] << 8 | bytes[at + 1]);
}

std::optional<frame_headers> find_ipv4_transport(std::span<const std::uint8_t> frame, std::size_t at) {
  if (frame.size() < at + 20 || frame[at] >> 4 != 4) return std::nullopt;
  const std::size_t length = std::size_t{frame[at] & 15u} * 4;
  if (length < 20 || frame.size() < at + length) return std::nullopt;
  if ((read_be16(frame, at + 6) & 0x3fff) != 0) return std::nullopt;  // more fragments, or an offset
  // A source route (RFC 791 3.1, options 131 and 137) keeps the last destination, which the pseudo header wants.
  for (std::size_t option = at + 20; option < at + length && frame[option] != 0;) {
    if (frame[option] == 131 || frame[option] == 137) return std::nullopt;
    if (frame[option] == 1) {
      ++option;
      continue;
    }
    if (option + 1 >= at + length || frame[option + 1] < 2) return std::nullopt;
    option += frame[option + 1];
  }
  return frame_headers{static_cast<std::uint16_t>(at), static_cast<std::uint16_t>(at + length), 4, frame[at + 9]};
}

std::optional<frame_headers> find_ipv6_transport(std::span<const std::uint8_t> frame, std::size_t at) {
  if (frame.size() < at + 40 || frame[at] >> 4 != 6) return std::nullopt;
  std::uint8_t next = frame[at + 6];
  std::size_t position = at + 40;
  while (next == hop_by_hop || next == destination_options) {
    if (frame.size() < position + 8) return std::nullopt;
    next = frame[position];
    position += (std::size_t{frame[position + 1]} + 1) * 8;
  }
  if (next == routing || next == fragment || position > frame.size()) return std::nullopt;
  return frame_headers{static_cast<std::uint16_t>(at), static_cast<std::uint16_t>(position), 6, next};
}

}  // namespace

std::optional<frame_headers> find_headers(std::span<const std::uint8_t> frame) noexcept {
  std::size_t at = 14;
  if (frame.size() < at) return std::nullopt;
  auto type = read_be16(frame, at - 2);
  for (int tags = 0; tags < 2 && (type == ethertype_vlan || type == ethertype_qinq); ++tags) {
    at += 4;
    if (frame.size() < at) return std::nullopt;
    type = read_be16(frame, at - 2);
  }
  if (type == ethertype_ipv4) return find_ipv4_transport(frame, at);
  if (type == ethertype_ipv6) return find_ipv6_transport(frame, at);
  return std::nullopt;
}

bool complete_checksum(std::span<std::uint8_t> frame, std::size_t start, std::size_t offset) noexcept {
  const std::size_t field = start + offset;
  if (field + 2 > frame.size()) return false;
  const auto covered = frame.subspan(start);
  if (offset == 8 && field + 4 <= frame.size()) {
    if (const auto headers = find_headers(frame); headers && headers->protocol == sctp) {
      std::memset(frame.data() + field, 0, 4);
      const std::uint32_t crc = crc32c(covered);
      for (unsigned byte = 0; byte < 4; ++byte) frame[field + byte] = static_cast<std::uint8_t>(crc >> 8 * byte);
      return true;
    }
  }
  auto sum = static_cast<std::uint16_t>(~rte_raw_cksum(covered.data(), covered.size()));
  if (sum == 0) sum = 0xffff;  // zero would say "no checksum" in UDP (RFC 768); the two are equal to every verifier
  std::memcpy(frame.data() + field, &sum, sizeof sum);
  return true;
}

std::uint16_t transport_checksum(const std::uint8_t* frame, const frame_headers& headers, std::size_t length) noexcept {
  const auto* addresses = frame + headers.ip + (headers.version == 4 ? 12 : 8);
  const std::size_t addresses_size = headers.version == 4 ? 8 : 32;
  const be16 pseudo[] = {be16{headers.protocol}, be16{static_cast<std::uint16_t>(length)}};
  std::uint32_t sum = rte_raw_cksum(addresses, addresses_size);
  sum += rte_raw_cksum(pseudo, sizeof pseudo);
  sum += rte_raw_cksum(frame + headers.transport, length);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = (sum & 0xffff) + (sum >> 16);
  const auto checksum = static_cast<std::uint16_t>(~sum);
  return checksum == 0 ? 0xffff : checksum;
}

void fill_ipv4_checksum(std::uint8_t* header) noexcept {
  std::memset(header + 10, 0, 2);
  const auto sum = static_cast<std::uint16_t>(~rte_raw_cksum(header, std::size_t{header[0] & 15u} * 4));
  std::memcpy(header + 10, &sum, sizeof sum);
}

}  // namespace trunkgate
