// The other end of a tunnel, made of the judge's OpenSSL calls: it protects packets and opens ours.
#pragma once

#include <optional>

#include "dataplane/api/messages.hpp"
#include "tests/unit/packet/packets.hpp"

namespace trunkgate::test {

struct esp_fields {
  std::uint64_t sequence = 1;
  std::optional<bytes> trailer{};  // in place of padding, pad length and next header
  std::uint8_t next_header = 0;    // 0: by the inner packet's family
  std::uint8_t traffic_class = 0;
  std::optional<ip_address> source{}, destination{};
  std::optional<bool> in_udp{};  // otherwise as the SA
  bool damaged = false;          // one bit of the ICV is wrong
};

// From the peer of `record` (with its key) to this gateway.
[[nodiscard]] bytes esp_from_peer(const api::sa_record& record, const bytes& inner, const esp_fields& fields = {});
// The bytes behind the outer IP header for the same: SPI to ICV.
[[nodiscard]] bytes seal(const api::sa_record& record, const bytes& inner, const esp_fields& fields = {});

struct opened {
  std::uint64_t sequence = 0;
  bytes iv, inner;
  std::uint8_t next_header = 0;
};
// Opens what this gateway sent for `record`; everything in it is checked with gtest's expectations. `sequence_high`:
// what the receiver knows of an extended number.
// The same for SPI to ICV alone: `inner` is whatever stood in front of the padding.
[[nodiscard]] opened open_esp(const api::sa_record& record, const bytes& esp, std::uint32_t sequence_high = 0);
[[nodiscard]] opened open_at_peer(const api::sa_record& record, const bytes& outer, std::uint32_t sequence_high = 0);

}  // namespace trunkgate::test
