#include "tests/unit/stages/peer.hpp"

#include <gtest/gtest.h>

#include "tests/unit/crypto/judge.hpp"

namespace trunkgate::test {
namespace {

bytes material(const api::sa_record& record) { return {record.key.begin(), record.key.begin() + record.key_length}; }

// Pad bytes 1, 2, 3, ..., pad length, next header, up to a whole number of blocks (RFC 4303 2.4).
bytes usual_trailer(std::size_t size, std::size_t block, std::uint8_t next_header) {
  const std::size_t pad = (block - (size + 2) % block) % block;
  return join({filled(pad, 1), {static_cast<std::uint8_t>(pad), next_header}});
}

bytes part(const bytes& of, std::size_t from, std::size_t to) {
  return {of.begin() + static_cast<std::ptrdiff_t>(from), of.begin() + static_cast<std::ptrdiff_t>(to)};
}

}  // namespace

bytes seal(const api::sa_record& record, const bytes& inner, const esp_fields& fields) {
  const auto& row = info(record.suite);
  const std::uint8_t by_family = !inner.empty() && inner[0] >> 4 == 6 ? 41 : 4;
  const std::uint8_t next = fields.next_header != 0 ? fields.next_header : by_family;
  const auto trailer = fields.trailer ? *fields.trailer : usual_trailer(inner.size(), row.block, next);
  const auto clear =
      join({be(record.spi, 4), be(fields.sequence & 0xffffffff, 4), filled(row.iv, 0x40), inner, trailer});
  auto sealed = esp_seal(record.suite, material(record), record.esn != 0,
                         static_cast<std::uint32_t>(fields.sequence >> 32), clear);
  if (fields.damaged) sealed.back() ^= 1;
  return sealed;
}

bytes esp_from_peer(const api::sa_record& record, const bytes& inner, const esp_fields& fields) {
  ip_fields ip{.source = fields.source.value_or(record.remote),
               .destination = fields.destination.value_or(record.local),
               .protocol = 50,
               .traffic_class = fields.traffic_class,
               .options = {}};
  const auto sealed = seal(record, inner, fields);
  if (fields.in_udp.value_or(record.udp_encapsulation != 0))
    return udp_packet(ip, record.remote_port, record.local_port, sealed);
  return ip_packet(ip, sealed);
}

opened open_at_peer(const api::sa_record& record, const bytes& outer, std::uint32_t sequence_high) {
  const bool v6 = record.local.family == ip_family::v6;
  EXPECT_TRUE(checksums_hold(outer));
  EXPECT_EQ(part(outer, v6 ? 8 : 12, v6 ? 24 : 16), address_bytes(record.local));
  EXPECT_EQ(part(outer, v6 ? 24 : 16, v6 ? 40 : 20), address_bytes(record.remote));
  EXPECT_EQ(read_be(outer, v6 ? 4 : 2, 2) + (v6 ? 40 : 0), outer.size());
  std::size_t at = v6 ? 40 : 20;
  EXPECT_EQ(outer.at(v6 ? 6 : 9), record.udp_encapsulation != 0 ? 17 : 50);
  if (record.udp_encapsulation != 0) {
    EXPECT_EQ(read_be(outer, at, 2), record.local_port);
    EXPECT_EQ(read_be(outer, at + 2, 2), record.remote_port);
    EXPECT_EQ(read_be(outer, at + 4, 2), outer.size() - at);
    // RFC 3948 2.1: 0 over IPv4. Over IPv6 there must be one.
    EXPECT_EQ(read_be(outer, at + 6, 2) == 0, !v6);
    at += 8;
  }
  auto out = open_esp(record, part(outer, at, outer.size()), sequence_high);
  if (record.mode == api::sa_mode::tunnel) {
    EXPECT_EQ(out.next_header, out.inner.at(0) >> 4 == 6 ? 41 : 4);
  }
  return out;
}

opened open_esp(const api::sa_record& record, const bytes& esp, std::uint32_t sequence_high) {
  const auto& row = info(record.suite);
  EXPECT_EQ(read_be(esp, 0, 4), record.spi);
  opened out;
  out.sequence = std::uint64_t{sequence_high} << 32 | read_be(esp, 4, 4);
  out.iv = part(esp, 8, 8 + row.iv);
  // Only for opening: the judge's sealing is what says whether the ICV is right.
  const auto clear = esp_decipher(record.suite, material(record), out.iv, part(esp, 8 + row.iv, esp.size() - row.icv));
  EXPECT_EQ(clear.size() % row.block, 0u);
  const auto judged =
      esp_seal(record.suite, material(record), record.esn != 0, sequence_high, join({part(esp, 0, 8 + row.iv), clear}));
  EXPECT_EQ(judged, esp) << "the judge protects it otherwise";
  const std::size_t pad = clear.at(clear.size() - 2);
  EXPECT_LE(pad + 2, clear.size());
  EXPECT_LT(pad, row.block);
  out.inner = part(clear, 0, clear.size() - 2 - pad);
  EXPECT_EQ(part(clear, out.inner.size(), clear.size() - 2), filled(pad, 1));
  out.next_header = clear.back();
  return out;
}

}  // namespace trunkgate::test
