// ESP out and in, for every suite and encapsulation, against the judge.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

struct flavour {
  esp_suite suite;
  bool esn, udp, outer_v6;
};

std::string name_of(const testing::TestParamInfo<flavour>& about) {
  const auto& f = about.param;
  std::string text(info(f.suite).name);
  std::replace(text.begin(), text.end(), '-', '_');
  return text + (f.esn ? "_esn" : "") + (f.udp ? "_udp" : "") + (f.outer_v6 ? "_over6" : "_over4");
}

std::vector<flavour> flavours() {
  std::vector<flavour> all;
  for (const auto& row : esp_suites)
    for (const bool esn : {false, true})
      for (const bool udp : {false, true})
        for (const bool v6 : {false, true}) all.push_back({row.suite, esn, udp, v6});
  return all;
}

api::sa_record record_of(const flavour& f, api::sa_direction direction) {
  auto record = sa_between(direction, f.suite, 0x1000);
  record.esn = f.esn;
  record.udp_encapsulation = f.udp;
  if (f.outer_v6) {
    record.local = address("2001:db8::1");
    record.remote = address("2001:db8::2");
  }
  return record;
}

// The packet after it has lost one hop.
bytes one_hop_later(ip_fields ip, std::size_t size) {
  --ip.hops;
  return udp_packet(ip, 5000, 6000, filled(size));
}

class esp_round_trip : public testing::TestWithParam<flavour> {};

TEST_P(esp_round_trip, what_goes_out_is_what_the_judge_would_send) {
  little_gateway gateway;
  const auto record = record_of(GetParam(), api::sa_direction::outbound);
  auto& sa = gateway.add_outbound(record);
  if (GetParam().esn) sa.sequence.set(sa.reserved = 0xffff'fff0);  // over the wrap of the low half
  std::uint64_t expected = sa.sequence.get();
  for (const bool v6 : {false, true})
    for (const std::size_t size : {0u, 1u, 13u, 14u, 100u, 1001u}) {
      const auto ip = v6 ? between("fd01::2", "fd02::3") : between("10.1.0.2", "10.2.0.3");
      gateway.receive(inside, udp_packet(ip, 5000, 6000, filled(size)));
      gateway.run();
      const auto out = gateway.sent(outside);
      ASSERT_EQ(out.size(), 1u);
      ++expected;
      const auto got = open_at_peer(record, out[0], static_cast<std::uint32_t>(expected >> 32));
      EXPECT_EQ(got.sequence, expected);
      EXPECT_EQ(got.inner, one_hop_later(ip, size));
    }
  EXPECT_EQ(gateway.all_drops(), 0u);
  EXPECT_EQ(sa.counters.packets.get(), 12u);
  EXPECT_EQ(sa.sequence.get(), expected);
}

TEST_P(esp_round_trip, what_the_judge_sends_comes_in) {
  little_gateway gateway;
  const auto record = record_of(GetParam(), api::sa_direction::inbound);
  auto& sa = gateway.add_inbound(record);
  std::uint64_t sequence = GetParam().esn ? 0xffff'fff8 : 1;
  for (const bool v6 : {false, true})
    for (const std::size_t size : {0u, 1u, 13u, 14u, 100u, 1001u}) {
      if (sequence == 0xffff'fff8) sa.window = replay_window(4096, sequence - 1);
      const auto ip = v6 ? between("fd02::3", "fd01::2") : between("10.2.0.3", "10.1.0.2");
      gateway.receive(outside,
                      esp_from_peer(record, udp_packet(ip, 5000, 6000, filled(size)), {.sequence = sequence++}));
      gateway.run();
      const auto out = gateway.sent(inside);
      ASSERT_EQ(out.size(), 1u) << sequence;
      EXPECT_EQ(out[0], one_hop_later(ip, size));
      EXPECT_TRUE(checksums_hold(out[0]));
    }
  EXPECT_EQ(gateway.all_drops(), 0u);
  EXPECT_EQ(sa.counters.packets.get(), 12u);
  EXPECT_EQ(sa.window.highest(), sequence - 1);
}

TEST_P(esp_round_trip, one_changed_bit_anywhere_is_refused) {
  little_gateway gateway;
  const auto record = record_of(GetParam(), api::sa_direction::inbound);
  auto& sa = gateway.add_inbound(record);
  const auto inner = udp_packet(between("10.2.0.3", "10.1.0.2"), 5000, 6000, filled(20));
  const auto sealed = seal(record, inner, {.sequence = 7});
  unsigned tried = 0;
  for (std::size_t at = 8; at < sealed.size();
       ++at, ++tried) {  // from the IV on; SPI and number have tests of their own
    auto packet = esp_from_peer(record, inner, {.sequence = 7});
    packet[packet.size() - sealed.size() + at] ^= static_cast<std::uint8_t>(1 << at % 8);
    gateway.receive(outside, packet);
  }
  gateway.run();
  EXPECT_EQ(gateway.drops(drop_reason::esp_integrity_failed), tried);
  EXPECT_EQ(sa.counters.integrity_failed.get(), tried);
  EXPECT_EQ(sa.window.highest(), 0u) << "an unauthenticated packet moved the window";
  gateway.receive(outside, esp_from_peer(record, inner, {.sequence = 7}));
  gateway.run();
  EXPECT_EQ(gateway.sent(inside).size(), 1u);
}

INSTANTIATE_TEST_SUITE_P(flavours, esp_round_trip, testing::ValuesIn(flavours()), name_of);

// RFC 4301 5.1.2, RFC 6040: what the outer header takes from the inner one.
TEST(outer_header, takes_over_traffic_class_and_df) {
  little_gateway gateway;
  const auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 300);
  gateway.add_outbound(record);
  for (const std::uint16_t df : {0, 0x4000})
    for (const std::uint8_t traffic_class : {0x00, 0xb8, 0x03, 0x2d}) {
      auto ip = between("10.1.0.2", "10.2.0.3");
      ip.fragment = df;
      ip.traffic_class = traffic_class;
      gateway.receive(inside, udp_packet(ip, 5000, 6000, filled(9)));
      gateway.run();
      const auto out = gateway.sent(outside);
      ASSERT_EQ(out.size(), 1u);
      EXPECT_EQ(out[0][1], traffic_class);
      EXPECT_EQ(read_be(out[0], 6, 2), df);
      EXPECT_EQ(out[0][8], 64);
    }
}

// RFC 6040 4.2, figure 4, for an IPv4 and an IPv6 inner header.
TEST(inner_header, takes_over_congestion_marks) {
  little_gateway gateway;
  const auto record = sa_between(api::sa_direction::inbound, esp_suite::aes128gcm16, 300);
  gateway.add_inbound(record);
  constexpr std::uint8_t not_ect = 0, ect1 = 1, ect0 = 2, ce = 3, lost = 0xff;
  const std::uint8_t figure[4][4] = {// outer:  not_ect  ect1     ect0     ce
                                     {not_ect, not_ect, not_ect, lost},
                                     {ect1, ect1, ect1, ce},
                                     {ect0, ect1, ect0, ce},
                                     {ce, ce, ce, ce}};
  std::uint64_t sequence = 0, lost_count = 0;
  for (const bool v6 : {false, true})
    for (std::uint8_t inner = 0; inner < 4; ++inner)
      for (std::uint8_t outer = 0; outer < 4; ++outer) {
        auto ip = v6 ? between("fd02::3", "fd01::2") : between("10.2.0.3", "10.1.0.2");
        ip.traffic_class = static_cast<std::uint8_t>(0xb8 | inner);
        gateway.receive(
            outside, esp_from_peer(record, udp_packet(ip, 1, 2, {}),
                                   {.sequence = ++sequence, .traffic_class = static_cast<std::uint8_t>(0x20 | outer)}));
        gateway.run();
        const auto out = gateway.sent(inside);
        const auto expected = figure[inner][outer];
        ASSERT_EQ(out.size(), expected == lost ? 0u : 1u) << int{inner} << " in " << int{outer};
        lost_count += expected == lost;
        EXPECT_EQ(gateway.drops(drop_reason::ecn_congestion_lost), lost_count);
        if (out.empty()) continue;
        const auto got = v6 ? static_cast<std::uint8_t>(read_be(out[0], 0, 2) >> 4) : out[0][1];
        EXPECT_EQ(got, 0xb8 | expected);
        EXPECT_TRUE(checksums_hold(out[0]));
      }
}

}  // namespace
}  // namespace trunkgate
