#include "dataplane/stages/cut.hpp"

#include <algorithm>

#include <rte_ip_frag.h>

#include "dataplane/packet/headers.hpp"

namespace trunkgate {
namespace {

constexpr std::uint16_t parts_limit = 64;  // a 64 KiB datagram on a path of 1,280 bytes takes 52
constexpr std::uint8_t next_header_fragment = 44;

struct fragment_header {
  std::uint8_t next_header, reserved;
  be16 offset_and_more;
  be32 id;
};
static_assert(sizeof(fragment_header) == 8 && alignof(fragment_header) == 1);

using part_array = std::array<rte_mbuf*, parts_limit>;

std::int32_t cut_v4(stage_context& context, rte_mbuf* packet, part_array& parts, std::uint16_t room) noexcept {
  const std::int32_t count =
      rte_ipv4_fragment_copy_nonseg_packet(packet, parts.data(), parts_limit, room, context.pool);
  for (std::int32_t i = 0; i < count; ++i) {
    auto* ip = rte_pktmbuf_mtod(parts[static_cast<std::size_t>(i)], ipv4_header*);
    ip->checksum = be16(0);
    ip->checksum = be16(checksum_fold(checksum_add(0, ip, ip->header_length())));
  }
  return count;
}

// Two packets between the same two hosts never have the same id at the same time, whatever worker they leave
// (RFC 8200 4.5).
be32 next_fragment_id(stage_context& context) noexcept {
  constexpr unsigned counter_bits = 26;
  static_assert(std::uint64_t{64} << counter_bits == std::uint64_t{1} << 32);  // 64 workers at most
  const std::uint32_t count = ++context.outer_fragments & ((1u << counter_bits) - 1);
  return be32(std::uint32_t{context.worker} << counter_bits | count);
}

rte_mbuf* make_part_v6(stage_context& context, const std::uint8_t* whole, const fragment_header& fragment,
                       const std::uint8_t* piece, std::uint16_t size) noexcept {
  rte_mbuf* part = rte_pktmbuf_alloc(context.pool);
  if (part == nullptr) return nullptr;
  constexpr std::uint16_t headers = sizeof(ipv6_header) + sizeof(fragment_header);
  auto* at = reinterpret_cast<std::uint8_t*>(rte_pktmbuf_append(part, static_cast<std::uint16_t>(headers + size)));
  if (at == nullptr) {
    rte_pktmbuf_free(part);
    return nullptr;
  }
  std::memcpy(at, whole, sizeof(ipv6_header));
  auto* ip = reinterpret_cast<ipv6_header*>(at);
  ip->next_header = next_header_fragment;
  ip->payload_length = be16(static_cast<std::uint16_t>(sizeof fragment + size));
  std::memcpy(at + sizeof *ip, &fragment, sizeof fragment);
  std::memcpy(at + headers, piece, size);
  return part;
}

std::int32_t cut_v6(stage_context& context, rte_mbuf* packet, part_array& parts, std::uint16_t room) noexcept {
  constexpr std::uint32_t headers = sizeof(ipv6_header) + sizeof(fragment_header);
  if (room < headers + 8) return -EINVAL;
  const std::uint32_t piece = (room - headers) / 8 * 8;
  const auto* whole = rte_pktmbuf_mtod(packet, const std::uint8_t*);
  const std::uint32_t payload = rte_pktmbuf_data_len(packet) - static_cast<std::uint32_t>(sizeof(ipv6_header));
  const be32 id = next_fragment_id(context);
  std::int32_t count = 0;
  for (std::uint32_t at = 0; at < payload; at += piece, ++count) {
    const std::uint32_t size = std::min(piece, payload - at);
    const auto field = static_cast<std::uint16_t>(at | (at + size < payload ? 1 : 0));  // multiples of 8, and M
    const fragment_header fragment{.next_header = whole[6], .reserved = 0, .offset_and_more = be16(field), .id = id};
    auto* part = count == parts_limit ? nullptr
                                      : make_part_v6(context, whole, fragment, whole + sizeof(ipv6_header) + at,
                                                     static_cast<std::uint16_t>(size));
    if (part == nullptr) {
      rte_pktmbuf_free_bulk(parts.data(), static_cast<unsigned>(count));
      return -ENOMEM;
    }
    parts[static_cast<std::size_t>(count)] = part;
  }
  return count;
}

}  // namespace

void cut(stage_context& context, rte_mbuf* packet, std::uint16_t room, stage_id from) noexcept {
  const auto m = meta(packet);
  rte_pktmbuf_adj(packet, m.l2_length);
  meta(packet).l2_length = 0;
  part_array parts;
  const bool v4 = m.ip_version == 4;
  const std::int32_t count = v4 ? cut_v4(context, packet, parts, room) : cut_v6(context, packet, parts, room);
  if (count < 0) return context.drop(packet, drop_reason::fragmentation_failed);
  rte_pktmbuf_free(packet);
  for (std::int32_t i = 0; i < count; ++i) {
    auto* part = parts[static_cast<std::size_t>(i)];
    part->ol_flags = 0;
    auto& own = meta(part) = m;
    own.l2_length = 0;
    own.ip_length = static_cast<std::uint16_t>(rte_pktmbuf_data_len(part));
    own.fragment = true;
    own.later_fragment = m.later_fragment || i != 0;
    context.go_on(part, from);
  }
}

}  // namespace trunkgate
