// A parsed packet's flow key.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstring>

#include "dataplane/packet/meta.hpp"
#include "dataplane/state/flow_key.hpp"

namespace trunkgate {

namespace flow_key_parts {

template <class Word>
[[nodiscard]] inline Word load(const std::uint8_t* from) noexcept {
  Word word;
  std::memcpy(&word, from, sizeof word);
  return word;
}
// The value of the member at this offset, in its place within its eight bytes.
template <std::size_t Offset>
[[nodiscard]] constexpr std::uint64_t at(std::uint64_t value) noexcept {
  return value << Offset % 8 * 8;
}

}  // namespace flow_key_parts

[[nodiscard, gnu::always_inline]] inline flow_words flow_words_of(rte_mbuf* packet) noexcept {
  using namespace flow_key_parts;
  static_assert(offsetof(flow_key, source_port) == 32 && offsetof(flow_key, has_ports) == 40);
  const auto& m = meta(packet);
  const auto* ip = ip_header(packet);
  // Put together in registers: whoever reads a struct in large pieces right after it was written in small ones waits.
  std::uint64_t source[2]{}, destination[2]{};
  const bool v4 = m.ip_version == 4;
  if (v4) {
    source[0] = load<std::uint32_t>(ip + 12);
    destination[0] = load<std::uint32_t>(ip + 16);
  } else {
    for (unsigned i = 0; i < 2; ++i) {
      source[i] = load<std::uint64_t>(ip + 8 + 8 * i);
      destination[i] = load<std::uint64_t>(ip + 24 + 8 * i);
    }
  }
  const auto family = static_cast<std::uint8_t>(v4 ? ip_family::v4 : ip_family::v6);
  const std::uint64_t upper = at<offsetof(flow_key, source_port)>(m.source_port) |
                              at<offsetof(flow_key, destination_port)>(m.destination_port) |
                              at<offsetof(flow_key, ingress)>(m.ingress) |
                              at<offsetof(flow_key, protocol)>(m.protocol) | at<offsetof(flow_key, family)>(family);
  const std::uint64_t marks =
      at<offsetof(flow_key, has_ports)>(m.has_ports) | at<offsetof(flow_key, decrypted)>(m.decrypted) |
      at<offsetof(flow_key, link_multicast)>(m.link_multicast) | at<offsetof(flow_key, dscp)>(m.traffic_class >> 2);
  return {source[0], source[1], destination[0], destination[1], upper, marks};
}

[[nodiscard]] inline flow_key flow_key_of(rte_mbuf* packet) noexcept {
  return std::bit_cast<flow_key>(flow_words_of(packet));
}

}  // namespace trunkgate
