#include "dataplane/packet/fragment_header.hpp"

#include "dataplane/core/bytes.hpp"
#include "dataplane/packet/headers.hpp"

namespace trunkgate {
namespace {

constexpr std::uint8_t next_hop_by_hop = 0, next_routing = 43, next_fragment = 44, next_destination_options = 60;
constexpr unsigned extension_limit = 8;

std::optional<fragment_header> find_in_v6(byte_reader in, std::uint32_t length) noexcept {
  const auto ip = in.read<ipv6_header>();
  if (!ip) return std::nullopt;
  std::uint8_t next = ip->next_header;
  for (unsigned headers = 0; headers < extension_limit; ++headers) {
    const auto head = in.take(8);
    if (!head) return std::nullopt;
    if (next == next_fragment) {
      const auto bytes = *head;
      const std::uint32_t first = static_cast<std::uint32_t>(bytes[2]) << 8 | (bytes[3] & 0xf8u);
      const std::uint32_t id = static_cast<std::uint32_t>(bytes[4]) << 24 | static_cast<std::uint32_t>(bytes[5]) << 16 |
                               static_cast<std::uint32_t>(bytes[6]) << 8 | bytes[7];
      if (length < in.position()) return std::nullopt;
      return fragment_header{id, first, first + length - static_cast<std::uint32_t>(in.position()),
                             (bytes[3] & 1) != 0};
    }
    // RFC 8200 4.1: these may stand in front of it.
    if (next != next_hop_by_hop && next != next_routing && next != next_destination_options) return std::nullopt;
    next = (*head)[0];
    if (!in.take(static_cast<std::size_t>((*head)[1]) * 8)) return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace

std::optional<fragment_header> find_fragment_header(std::span<const std::uint8_t> packet,
                                                    const packet_meta& m) noexcept {
  byte_reader in(packet);
  if (m.ip_version == 6) return find_in_v6(in, m.ip_length);
  const auto ip = in.read<ipv4_header>();
  if (!ip || m.ip_length < m.l4_offset) return std::nullopt;
  const std::uint16_t field = ip->fragment.host();
  const std::uint32_t first = (field & ipv4_header::offset_mask) * 8u;
  return fragment_header{ip->id.host(), first, first + m.ip_length - m.l4_offset,
                         (field & ipv4_header::more_fragments) != 0};
}

}  // namespace trunkgate
