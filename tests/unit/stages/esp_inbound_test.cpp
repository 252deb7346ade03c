// What an inbound SA refuses, and packets that go through more than one SA.
#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

class esp_inbound : public testing::Test {
 protected:
  esp_inbound() { gateway_.add_inbound(record_); }
  static bytes inner() { return udp_packet(between("10.2.0.3", "10.1.0.2"), 5000, 6000, filled(20)); }
  // How often the reason was given for what the peer sends.
  std::uint64_t dropped(const bytes& packet, drop_reason reason) {
    const auto before = gateway_.drops(reason);
    gateway_.receive(outside, packet);
    gateway_.run();
    return gateway_.drops(reason) - before;
  }
  bool passes(const bytes& packet) {
    gateway_.receive(outside, packet);
    gateway_.run();
    return gateway_.sent(inside).size() == 1;
  }

  api::sa_record record_ = sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 0x2000);
  little_gateway gateway_;
};

TEST_F(esp_inbound, the_same_packet_twice_in_one_burst_passes_once) {
  const auto packet = esp_from_peer(record_, inner(), {.sequence = 5});
  for (int i = 0; i < 3; ++i) gateway_.receive(outside, packet);
  gateway_.receive(outside, esp_from_peer(record_, inner(), {.sequence = 4}));
  gateway_.run();
  EXPECT_EQ(gateway_.sent(inside).size(), 2u);
  EXPECT_EQ(gateway_.drops(drop_reason::esp_replayed), 2u);
  EXPECT_EQ(dropped(packet, drop_reason::esp_replayed), 1u);
}

TEST_F(esp_inbound, numbers_left_of_the_window_are_refused) {
  EXPECT_TRUE(passes(esp_from_peer(record_, inner(), {.sequence = 10'000})));
  EXPECT_TRUE(passes(esp_from_peer(record_, inner(), {.sequence = 10'000 - 4095})));
  EXPECT_EQ(dropped(esp_from_peer(record_, inner(), {.sequence = 10'000 - 4096}), drop_reason::esp_replayed), 1u);
  EXPECT_EQ(dropped(esp_from_peer(record_, inner(), {.sequence = 0}), drop_reason::esp_sequence_zero), 1u);
}

TEST_F(esp_inbound, a_wrong_high_half_fails_authentication) {
  auto record = record_;
  record.spi = 0x2001;
  record.esn = 1;
  auto& sa = gateway_.add_inbound(record);
  sa.window = replay_window(4096, (7ull << 32) + 100);
  // The sender is one round behind: what the receiver infers is another number.
  EXPECT_EQ(
      dropped(esp_from_peer(record, inner(), {.sequence = (6ull << 32) + 200}), drop_reason::esp_integrity_failed), 1u);
  EXPECT_TRUE(passes(esp_from_peer(record, inner(), {.sequence = (7ull << 32) + 200})));
  EXPECT_EQ(sa.window.highest(), (7ull << 32) + 200);
}

TEST_F(esp_inbound, trailers_of_rfc_4303_only) {
  std::uint64_t n = 0;
  // The inner packet has 48 bytes; with these trailers a whole number of words.
  struct {
    bytes trailer;
    drop_reason reason;
  } const table[]{
      {{1, 2, 2, 41}, drop_reason::ip_bad_version},  // says IPv6
      {{1, 3, 2, 4}, drop_reason::esp_bad_padding},     {{0, 0, 2, 4}, drop_reason::esp_bad_padding},
      {{1, 2, 200, 4}, drop_reason::esp_bad_padding},   {{1, 2, 255, 4}, drop_reason::esp_bad_padding},
      {{1, 2, 2, 6}, drop_reason::esp_bad_next_header}, {{1, 2, 2, 59}, drop_reason::esp_dummy},
  };
  for (const auto& row : table)
    EXPECT_EQ(dropped(esp_from_peer(record_, inner(), {.sequence = ++n, .trailer = row.trailer}), row.reason), 1u)
        << info(row.reason).name << " " << n;
  EXPECT_EQ(dropped(esp_from_peer(record_, {}, {.sequence = ++n, .trailer = bytes{1, 2, 2, 4}}),
                    drop_reason::ip_bad_header_length),
            1u)
      << "nothing inside";
  EXPECT_TRUE(passes(esp_from_peer(record_, inner(), {.sequence = ++n, .trailer = join({filled(254, 1), {254, 4}})})));
  // Zeros of the sender's behind the inner packet (RFC 4303 2.7) are not forwarded.
  gateway_.receive(outside, esp_from_peer(record_, join({inner(), bytes(40)}), {.sequence = ++n}));
  gateway_.run();
  const auto out = gateway_.sent(inside);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0].size(), inner().size());
}

TEST_F(esp_inbound, what_is_cut_or_no_whole_block_is_not_decrypted) {
  auto cbc = sa_between(api::sa_direction::inbound, esp_suite::aes128cbc_sha256, 0x3000);
  gateway_.add_inbound(cbc);
  const auto sealed = seal(cbc, inner(), {});
  const std::size_t shortest = 8 + 16 + 16 + 16;
  for (std::size_t size = 8; size < sealed.size(); ++size) {
    const auto packet = ip_packet(between("192.0.2.2", "192.0.2.1", 50),
                                  {sealed.begin(), sealed.begin() + static_cast<std::ptrdiff_t>(size)});
    const auto expected = size < shortest - 12    ? drop_reason::esp_truncated
                          : (size - 40) % 16 != 0 ? drop_reason::esp_bad_length
                                                  : drop_reason::esp_integrity_failed;
    EXPECT_EQ(dropped(packet, expected), 1u) << size;
  }
  EXPECT_EQ(dropped(ip_packet(between("192.0.2.2", "192.0.2.1", 50), filled(7)), drop_reason::esp_truncated), 1u);
}

TEST_F(esp_inbound, endpoints_and_encapsulation_are_those_of_the_sa) {
  EXPECT_EQ(dropped(esp_from_peer(record_, inner(), {.source = address("192.0.2.3")}), drop_reason::esp_wrong_endpoint),
            1u);
  EXPECT_EQ(
      dropped(esp_from_peer(record_, inner(), {.destination = address("10.1.0.1")}), drop_reason::esp_wrong_endpoint),
      1u);
  EXPECT_EQ(dropped(esp_from_peer(record_, inner(), {.in_udp = true}), drop_reason::esp_wrong_encapsulation), 1u);
  auto in_udp = record_;
  in_udp.spi = 0x2002;
  in_udp.udp_encapsulation = 1;
  gateway_.add_inbound(in_udp);
  EXPECT_EQ(dropped(esp_from_peer(in_udp, inner(), {.in_udp = false}), drop_reason::esp_wrong_encapsulation), 1u);
  // A NAT may have given the peer another address.
  EXPECT_TRUE(passes(esp_from_peer(in_udp, inner(), {.source = address("192.0.2.3")})));
}

TEST_F(esp_inbound, spis_that_nobody_has) {
  auto other = record_;
  for (const auto& [spi, reason] : {std::pair{0u, drop_reason::esp_zero_spi},
                                    {255u, drop_reason::esp_reserved_spi},
                                    {0x9999u, drop_reason::esp_unknown_spi}}) {
    other.spi = spi;
    EXPECT_EQ(dropped(esp_from_peer(other, inner(), {}), reason), 1u) << spi;
  }
}

TEST_F(esp_inbound, port_4500_without_esp) {
  const auto ip = between("192.0.2.2", "192.0.2.1");
  EXPECT_EQ(dropped(udp_packet(ip, 4500, 4500, {0xff}), drop_reason::nat_keepalive), 1u);
  EXPECT_EQ(dropped(udp_packet(ip, 4500, 4500, {0xfe}), drop_reason::nat_malformed), 1u);
  EXPECT_EQ(dropped(udp_packet(ip, 4500, 4500, {}), drop_reason::nat_malformed), 1u);
  EXPECT_EQ(dropped(udp_packet(ip, 4500, 4500, {0, 0, 0, 0, 1, 2, 3}), drop_reason::nat_malformed), 1u);
  gateway_.receive(outside, udp_packet(ip, 4500, 4500, join({{0, 0, 0, 0}, filled(28)})));  // IKE
  gateway_.run();
  EXPECT_EQ(gateway_.punted().size(), 1u);
}

TEST_F(esp_inbound, selectors_hold_for_what_came_out) {
  std::uint64_t n = 0;
  for (const auto& [source, destination] :
       {std::pair{"10.3.0.3", "10.1.0.2"}, {"10.2.0.3", "10.4.0.2"}, {"fd03::3", "fd01::2"}})
    EXPECT_EQ(dropped(esp_from_peer(record_, udp_packet(between(source, destination), 1, 2, {}), {.sequence = ++n}),
                      drop_reason::selector_mismatch),
              1u);
  EXPECT_EQ(gateway_.context().drops[static_cast<std::size_t>(drop_reason::selector_mismatch)].get(), n);
}

TEST_F(esp_inbound, hub_and_spoke_goes_into_another_tunnel) {
  auto onward = sa_between(api::sa_direction::outbound, esp_suite::aes128cbc_sha1, 0x7000);
  onward.remote = address("192.0.2.3");
  set_prefixes(onward, {"10.2.0.0/16"}, {"10.1.0.0/16"});
  gateway_.add_outbound(onward);
  gateway_.receive(outside, esp_from_peer(record_, inner(), {}));
  gateway_.run();
  const auto out = gateway_.sent(outside);
  ASSERT_EQ(out.size(), 1u);
  auto ip = between("10.2.0.3", "10.1.0.2");
  --ip.hops;
  EXPECT_EQ(open_at_peer(onward, out[0]).inner, udp_packet(ip, 5000, 6000, filled(20)));
  EXPECT_TRUE(gateway_.sent(inside).empty());
}

class nested_esp : public esp_inbound {
 protected:
  nested_esp() {
    for (std::uint32_t i = 0; i < 3; ++i) {
      records_[i] = sa_between(api::sa_direction::inbound, esp_suite::aes128gcm16, 0x5000 + i);
      // The outer SAs carry ESP between the gateways, the innermost the sites' packets.
      if (i != 2) set_prefixes(records_[i], {"192.0.2.1/32"}, {"192.0.2.2/32"});
      gateway_.add_inbound(records_[i]);
    }
  }
  api::sa_record records_[3];
};

TEST_F(nested_esp, esp_inside_esp_is_followed) {
  EXPECT_TRUE(passes(esp_from_peer(records_[0], esp_from_peer(records_[2], inner()))));
  EXPECT_EQ(gateway_.all_drops(), 0u);
}

TEST_F(nested_esp, three_deep_is_too_many_passes) {
  EXPECT_EQ(dropped(esp_from_peer(records_[0], esp_from_peer(records_[1], esp_from_peer(records_[2], inner()))),
                    drop_reason::too_many_passes),
            1u);
  EXPECT_TRUE(gateway_.sent(inside).empty());
}

TEST_F(nested_esp, the_inner_sa_has_its_own_window) {
  const auto packet = esp_from_peer(records_[2], inner(), {.sequence = 9});
  EXPECT_TRUE(passes(esp_from_peer(records_[0], packet, {.sequence = 1})));
  EXPECT_EQ(dropped(esp_from_peer(records_[0], packet, {.sequence = 2}), drop_reason::esp_replayed), 1u);
}

class esp_follow_peer : public esp_inbound {
 protected:
  esp_follow_peer() {
    udp_.spi = udp_.pair = 0x3000;
    udp_.udp_encapsulation = 1;
    udp_.follow_peer = 1;
    gateway_.add_inbound(udp_);
  }
  // Comes from this address and from the SA's port, and passes.
  bool passes_from(const char* source, std::uint64_t sequence) {
    return passes(esp_from_peer(udp_, inner(), {.sequence = sequence, .source = address(source)}));
  }
  std::vector<api::event> told() {
    std::vector<api::event> events;
    for (api::event event; gateway_.workers().next_event(event);) events.push_back(event);
    return events;
  }
  api::sa_record udp_ = sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 0x3000);
};

TEST_F(esp_follow_peer, what_moves_the_window_forward_tells_where_the_peer_is) {
  EXPECT_TRUE(passes_from("192.0.2.2", 10));
  EXPECT_TRUE(told().empty());
  EXPECT_TRUE(passes_from("192.0.2.9", 11));
  const auto events = told();
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].kind, api::event_kind::peer_moved);
  EXPECT_EQ(events[0].pair, 0x3000u);
  EXPECT_EQ(events[0].source, address("192.0.2.9"));
  EXPECT_EQ(events[0].source_port, 4500);
  EXPECT_TRUE(passes_from("192.0.2.9", 12));
  EXPECT_TRUE(told().empty()) << "once a second";
}

TEST_F(esp_follow_peer, nothing_else_does) {
  EXPECT_TRUE(passes_from("192.0.2.2", 10));
  EXPECT_TRUE(passes_from("192.0.2.9", 5)) << "late, and authentic";
  EXPECT_FALSE(passes_from("192.0.2.9", 10)) << "replayed";
  gateway_.receive(outside,
                   esp_from_peer(udp_, inner(), {.sequence = 20, .source = address("192.0.2.9"), .damaged = true}));
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::esp_integrity_failed), 1u);
  EXPECT_TRUE(told().empty());
}

TEST_F(esp_follow_peer, without_the_flag_nobody_is_told) {
  auto still = udp_;
  still.spi = still.pair = 0x3001;
  still.follow_peer = 0;
  gateway_.add_inbound(still);
  EXPECT_TRUE(passes(esp_from_peer(still, inner(), {.sequence = 3, .source = address("192.0.2.9")})));
  EXPECT_TRUE(told().empty());
}

}  // namespace
}  // namespace trunkgate
