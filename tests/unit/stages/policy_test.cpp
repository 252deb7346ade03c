// The SPD's answers: what is protected, what passes in clear, what goes to the box, and what is refused.
#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

class policy_test : public testing::Test {
 protected:
  static bytes udp(const char* source, const char* destination) {
    return udp_packet(between(source, destination), 5000, 6000, filled(20));
  }
  std::uint64_t dropped(std::uint16_t port, const bytes& packet, drop_reason reason) {
    const auto before = gateway_.drops(reason);
    gateway_.receive(port, packet);
    gateway_.run();
    return gateway_.drops(reason) - before;
  }
  little_gateway gateway_;
};

TEST_F(policy_test, nothing_passes_without_a_policy) {
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.5.0.3"), drop_reason::no_policy), 1u);
  EXPECT_EQ(dropped(outside, udp("10.5.0.3", "10.1.0.2"), drop_reason::no_policy), 1u);
  EXPECT_EQ(dropped(outside, udp("192.0.2.9", "192.0.2.1"), drop_reason::no_policy), 1u) << "not even to the box";
  EXPECT_EQ(dropped(outside, udp("192.0.2.9", "224.0.0.9"), drop_reason::ip_multicast), 1u);
  EXPECT_TRUE(gateway_.sent(inside).empty() && gateway_.sent(outside).empty() && gateway_.punted().empty());
}

TEST_F(policy_test, cleartext_must_be_protected_where_a_tunnel_carries_the_other_direction) {
  gateway_.add_outbound(sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 800));
  EXPECT_EQ(dropped(outside, udp("10.2.0.3", "10.1.0.2"), drop_reason::cleartext_must_be_protected), 1u);
  EXPECT_EQ(dropped(outside, udp("fd02::3", "fd01::2"), drop_reason::cleartext_must_be_protected), 1u);
  // The flow cache gives the same answer again.
  EXPECT_EQ(dropped(outside, udp("10.2.0.3", "10.1.0.2"), drop_reason::cleartext_must_be_protected), 1u);
}

TEST_F(policy_test, the_operators_rules_come_first_and_in_order) {
  const auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 800);
  gateway_.add_outbound(record);
  gateway_.add_rule("10.1.0.2/32", "10.2.0.4/32", api::policy_action::bypass);
  gateway_.add_rule("10.1.0.2/32", "10.2.0.5/32", api::policy_action::discard);
  gateway_.add_rule("10.1.0.0/16", "10.2.0.0/15", api::policy_action::protect);
  gateway_.add_rule("10.1.0.0/16", nullptr, api::policy_action::discard);
  gateway_.receive(inside, udp("10.1.0.2", "10.2.0.4"));
  gateway_.run();
  auto out = gateway_.sent(outside);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(out[0][9], 17) << "in clear";
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.2.0.5"), drop_reason::policy_discard), 1u);
  gateway_.receive(inside, udp("10.1.0.2", "10.2.0.6"));
  gateway_.run();
  out = gateway_.sent(outside);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(open_at_peer(record, out[0]).sequence, 1u);
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.3.0.6"), drop_reason::no_sa), 1u) << "to be protected, and nobody can";
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.9.0.6"), drop_reason::policy_discard), 1u);
}

TEST_F(policy_test, a_change_reaches_flows_that_are_known) {
  gateway_.add_rule("10.1.0.0/16", "10.5.0.0/16", api::policy_action::bypass);
  for (int i = 0; i < 2; ++i) {
    gateway_.receive(inside, udp("10.1.0.2", "10.5.0.3"));
    gateway_.run();
    EXPECT_EQ(gateway_.sent(outside).size(), 1u);
  }
  EXPECT_EQ(gateway_.context().flow_hits.get(), 1u);
  gateway_.tables().rules.store(nullptr);
  ++gateway_.tables().generation;
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.5.0.3"), drop_reason::no_policy), 1u);
}

TEST_F(policy_test, to_the_box_go_neighbour_discovery_arp_and_ike) {
  gateway_.receive(outside, udp_packet(between("192.0.2.2", "192.0.2.1"), 500, 500, filled(28)));
  auto solicitation = between("2001:db8::2", "ff02::1:ff00:1");
  solicitation.hops = 255;
  gateway_.receive_frame(
      outside, frame_of({0x33, 0x33, 0xff, 0, 0, 1}, peer_mac, icmp_packet(solicitation, 135, 0, filled(20))));
  auto arp = frame_of({0xff, 0xff, 0xff, 0xff, 0xff, 0xff}, peer_mac, bytes(28));
  arp[12] = 0x08;
  arp[13] = 0x06;
  gateway_.receive_frame(outside, arp);
  gateway_.run();
  EXPECT_EQ(gateway_.punted().size(), 3u);
  EXPECT_EQ(gateway_.all_drops(), 0u);
  // RFC 4861 7.1.1: one that came through a router is none.
  solicitation.hops = 254;
  gateway_.receive_frame(
      outside, frame_of({0x33, 0x33, 0xff, 0, 0, 1}, peer_mac, icmp_packet(solicitation, 135, 0, filled(20))));
  gateway_.run();
  EXPECT_TRUE(gateway_.punted().empty());
}

TEST_F(policy_test, what_came_out_of_a_tunnel_goes_to_the_box_without_a_rule) {
  auto record = sa_between(api::sa_direction::inbound, esp_suite::aes128gcm16, 801);
  gateway_.add_inbound(record);
  gateway_.receive(outside, esp_from_peer(record, udp("10.2.0.3", "10.1.0.1")));
  gateway_.run();
  const auto frames = gateway_.punted();
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(bytes(frames[0].begin(), frames[0].begin() + 6), bytes(outside_mac.begin(), outside_mac.end()));
  EXPECT_EQ(bytes(frames[0].begin() + 14, frames[0].end()), udp("10.2.0.3", "10.1.0.1"));
}

TEST_F(policy_test, what_the_box_sends_is_protected_like_anything) {
  const auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 800);
  gateway_.add_outbound(record);
  const auto from_box = [&](const bytes& ip) {
    ASSERT_TRUE(gateway_.workers().inject(gateway_.buffer(frame_of(peer_mac, outside_mac, ip)), outside));
    gateway_.run();
  };
  from_box(udp("10.1.0.1", "10.2.0.3"));
  auto out = gateway_.sent(outside);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(open_at_peer(record, out[0]).inner, udp("10.1.0.1", "10.2.0.3")) << "the box's own packets lose no hop";
  from_box(udp("192.0.2.1", "198.51.100.9"));
  EXPECT_EQ(gateway_.drops(drop_reason::no_policy), 1u);
  from_box(udp_packet(between("192.0.2.1", "192.0.2.2"), 500, 500, filled(28)));
  EXPECT_EQ(gateway_.sent(outside).size(), 1u) << "IKE in clear";
}

TEST_F(policy_test, vlans_are_ports_of_their_own) {
  auto& tagged = gateway_.tables().ports[2];
  tagged.device = gateway_.tables().ports[outside].device;
  tagged.vlan = 42;
  tagged.mac = outside_mac;
  tagged.up = true;
  tagged.present = true;
  const fib::next_hop hop{2, {}};
  auto& routes = *gateway_.tables().routes;
  ASSERT_TRUE(routes.add_route(parse_ip_prefix("10.42.0.0/16").value(), route_verdict::forward, 0, {&hop, 1}));
  routes.set_neighbour(2, address("10.42.0.2"), peer_mac, true, false);
  routes.commit();
  gateway_.add_rule("10.1.0.0/16", "10.42.0.0/16", api::policy_action::bypass);
  gateway_.add_rule("10.42.0.0/16", "10.1.0.0/16", api::policy_action::bypass);
  gateway_.receive(inside, udp("10.1.0.2", "10.42.0.2"));
  gateway_.receive_frame(outside, frame_of(outside_mac, peer_mac, udp("10.42.0.2", "10.1.0.2"), 42));
  gateway_.run();
  auto ip = between("10.1.0.2", "10.42.0.2");
  --ip.hops;
  const auto frames = gateway_.sent_frames(outside);
  ASSERT_EQ(frames.size(), 1u);
  EXPECT_EQ(frames[0], frame_of(peer_mac, outside_mac, udp_packet(ip, 5000, 6000, filled(20)), 42));
  EXPECT_EQ(gateway_.sent(inside).size(), 1u);
}

// RFC 9611: each worker protects its own packets by its own SA, and by another's where it has none.
TEST(policy_with_three_workers, each_takes_its_own_sa) {
  little_gateway gateway({.workers = 3});
  std::vector<api::sa_record> records;
  for (std::uint16_t worker = 0; worker < 2; ++worker) {
    auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 800u + worker);
    record.worker = worker;
    record.key[0] = static_cast<std::uint8_t>(worker);
    gateway.add_outbound(record, worker);
    records.push_back(record);
  }
  const auto packet = udp_packet(between("10.1.0.2", "10.2.0.3"), 5000, 6000, filled(20));
  for (std::uint16_t worker = 0; worker < 3; ++worker) {
    gateway.receive(inside, packet, worker);
    gateway.run();
    const auto out = gateway.sent(outside);
    ASSERT_EQ(out.size(), 1u);
    const auto spi = read_be(out[0], 20, 4);
    EXPECT_EQ(spi, worker < 2 ? 800u + worker : 801u) << "worker " << worker;
    (void)open_at_peer(records[spi - 800], out[0]);
    EXPECT_EQ(gateway.context(worker).handed_over.get(), worker < 2 ? 0u : 1u);
  }
}

// RFC 7296 2.23: whoever is behind a NAT comes from any port; the box answers from its own.
TEST_F(policy_test, ike_passes_by_the_boxs_own_port) {
  const auto from_box = [&](const bytes& ip) {
    EXPECT_TRUE(gateway_.workers().inject(gateway_.buffer(frame_of(peer_mac, outside_mac, ip)), outside));
    gateway_.run();
    return gateway_.sent(outside);
  };
  // Selectors that hold the peer itself: IKE is not the tunnel's to carry.
  auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 800);
  set_prefixes(record, {"0.0.0.0/0", "::/0"}, {"0.0.0.0/0", "::/0"});
  gateway_.add_outbound(record);
  const bytes keepalive{0xff}, ike = join({bytes(4), filled(28)});
  for (const auto& [here, peer] : {std::pair("192.0.2.1", "192.0.2.2"), std::pair("2001:db8::1", "2001:db8::2")})
    for (const std::uint16_t own : {500, 4500})
      for (const std::uint16_t other : {500, 4500, 1024, 40000}) {
        gateway_.receive(outside, udp_packet(between(peer, here), other, own, ike));
        gateway_.run();
        EXPECT_EQ(gateway_.punted().size(), 1u) << here << " " << other << " to " << own;
        for (const auto& payload : {ike, keepalive}) {
          const auto packet = udp_packet(between(here, peer), own, other, payload);
          EXPECT_EQ(from_box(packet), std::vector<bytes>(1, packet)) << here << " " << own << " to " << other;
        }
      }
  EXPECT_EQ(gateway_.all_drops(), 0u);
  const auto other = udp_packet(between("192.0.2.1", "192.0.2.2"), 1024, 500, ike);
  const auto out = from_box(other);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(open_at_peer(record, out[0]).inner, other) << "not from the box's IKE: the tunnel's";
}

}  // namespace
}  // namespace trunkgate
