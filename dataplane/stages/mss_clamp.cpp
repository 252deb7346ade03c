// mss_clamp: TCP connections through a tunnel learn at their SYN how much fits into it (RFC 9293 3.7.1, option 2).
#include "dataplane/stages/mss_clamp.hpp"

#include "dataplane/packet/headers.hpp"
#include "dataplane/stages/context.hpp"
#include "dataplane/stages/room.hpp"
#include "dataplane/stages/tunnel_interface.hpp"

namespace trunkgate {
namespace {

constexpr std::uint8_t option_end = 0, option_nop = 1, option_mss = 2;

// Where the MSS option's value stands, or nullptr. `tcp` and `size` are the TCP header with its options.
std::uint8_t* find_mss(std::uint8_t* tcp, std::size_t size) noexcept {
  for (std::size_t at = sizeof(tcp_header); at < size;) {
    if (tcp[at] == option_end) return nullptr;
    if (tcp[at] == option_nop) {
      ++at;
      continue;
    }
    if (at + 1 >= size || tcp[at + 1] < 2 || at + tcp[at + 1] > size) return nullptr;
    if (tcp[at] == option_mss && tcp[at + 1] == 4) return tcp + at + 2;
    at += tcp[at + 1];
  }
  return nullptr;
}

void clamp(std::uint8_t* tcp, std::size_t size, std::uint16_t limit) noexcept {
  std::uint8_t* value = find_mss(tcp, size);
  if (value == nullptr) return;
  be16 wire;
  std::memcpy(&wire, value, sizeof wire);
  const std::uint16_t before = wire.host();
  if (before <= limit) return;
  wire = be16(limit);
  std::memcpy(value, &wire, sizeof wire);
  auto* header = reinterpret_cast<tcp_header*>(tcp);
  // An option at an odd offset counts byte-swapped in the sum (RFC 1071 2.B).
  const bool odd = ((value - tcp) & 1) != 0;
  const auto swap = [odd](std::uint16_t v) { return odd ? static_cast<std::uint16_t>(v << 8 | v >> 8) : v; };
  header->checksum = checksum_update(header->checksum, swap(before), swap(limit));
}

// The tunnel the connection goes or came through: a decrypted SYN's answer will have to fit as well.
const outbound_sa* tunnel_of(const stage_context& context, rte_mbuf* packet) noexcept {
  const auto& m = meta(packet);
  if (m.out_sa != nullptr) return m.out_sa;
  return m.decrypted ? sa_back(context.tables, packet) : nullptr;
}

}  // namespace

void mss_clamp(stage_context& context, std::span<rte_mbuf* const> burst) noexcept {
  for (auto* packet : burst) {
    const auto& m = meta(packet);
    if (opens_tcp(packet)) {
      std::uint8_t* tcp = ip_header(packet) + m.l4_offset;
      const auto* header = reinterpret_cast<const tcp_header*>(tcp);
      if (const outbound_sa* sa = tunnel_of(context, packet); sa != nullptr) {
        const auto way =
            m.out_sa != nullptr ? m.egress : context.tables.routes->lookup(sa->record.remote, sa->record.spi).port;
        // What fits without any cutting, also below IPv6's 1,280 bytes.
        const std::uint16_t mtu = sa->inner_mtu(outer_room(context, *sa, way));
        const std::uint16_t headers =
            (m.ip_version == 4 ? sizeof(ipv4_header) : sizeof(ipv6_header)) + sizeof(tcp_header);
        if (mtu > headers)
          clamp(tcp, static_cast<std::size_t>(header->data_offset >> 4) * 4, static_cast<std::uint16_t>(mtu - headers));
      }
    }
    context.go_on(packet, stage_id::mss_clamp);
  }
}

}  // namespace trunkgate
