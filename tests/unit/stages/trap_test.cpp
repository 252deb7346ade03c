// Children that IKE keys and that have no SA: their packets are dropped and asked for, and nothing passes in their
// place (RFC 4301 4.4.1.2).
#include <gtest/gtest.h>

#include "dataplane/main/trap_set.hpp"
#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

class trap_test : public testing::Test {
 protected:
  static api::trap_record trap_between(const char* local, const char* remote, std::uint32_t order = 1) {
    auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 1);
    set_prefixes(record, {local}, {remote});
    api::trap_record out;
    static_cast<api::selector_record&>(out) = record;
    out.tunnel = api::name("branch");
    out.child = api::name("lan");
    out.order = order;
    return out;
  }
  static bytes udp(const char* source, const char* destination) {
    return udp_packet(between(source, destination), 5000, 6000, filled(20));
  }
  std::uint64_t dropped(std::uint16_t port, const bytes& packet, drop_reason reason) {
    const auto before = gateway_.drops(reason);
    gateway_.receive(port, packet);
    gateway_.run();
    EXPECT_TRUE(gateway_.sent(inside).empty() && gateway_.sent(outside).empty() && gateway_.punted().empty());
    return gateway_.drops(reason) - before;
  }
  // How many acquires have been told since the last call.
  unsigned acquires() {
    unsigned count = 0;
    for (api::event event; gateway_.workers().next_event(event);) {
      if (event.kind != api::event_kind::acquire) continue;
      ++count;
      EXPECT_EQ(event.tunnel.view(), "branch");
      EXPECT_EQ(event.child.view(), "lan");
    }
    return count;
  }

  little_gateway gateway_;
  std::uint16_t interface_ = no_port;
  trap_set traps_{gateway_.tables(), [this](std::string_view name) { return name == "vpn" ? interface_ : no_port; }};
};

TEST_F(trap_test, packets_are_dropped_and_asked_for_once_a_second) {
  traps_.replace({trap_between("10.1.0.0/16", "10.2.0.0/16")});
  for (int i = 0; i < 5; ++i) EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.2.0.3"), drop_reason::no_sa), 1u);
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.2.0.4"), drop_reason::no_sa), 1u) << "another flow";
  EXPECT_EQ(acquires(), 1u);
  EXPECT_GE(gateway_.context().flow_hits.get(), 4u) << "the SPD was asked once per flow";
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.3.0.3"), drop_reason::no_policy), 1u) << "not the child's";
}

TEST(trap, is_due_once_a_second) {
  trap one{api::trap_record{}};
  EXPECT_TRUE(one.due(5000));
  EXPECT_FALSE(one.due(5999));
  EXPECT_TRUE(one.due(6000));
}

TEST_F(trap_test, the_other_way_round_cleartext_is_refused) {
  traps_.replace({trap_between("10.1.0.0/16", "10.2.0.0/16")});
  EXPECT_EQ(dropped(outside, udp("10.2.0.3", "10.1.0.2"), drop_reason::cleartext_must_be_protected), 1u);
  EXPECT_EQ(acquires(), 0u);
}

TEST_F(trap_test, the_operators_rules_stay_in_front) {
  traps_.replace({trap_between("10.1.0.0/16", "10.2.0.0/16")});
  gateway_.add_rule("10.1.0.2/32", "10.2.0.4/32", api::policy_action::bypass);
  gateway_.add_rule("10.1.0.0/16", "10.2.0.0/16", api::policy_action::protect);
  gateway_.add_rule("10.0.0.0/8", "10.0.0.0/8", api::policy_action::bypass);
  gateway_.receive(inside, udp("10.1.0.2", "10.2.0.4"));
  gateway_.run();
  EXPECT_EQ(gateway_.sent(outside).size(), 1u);
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.2.0.5"), drop_reason::no_sa), 1u) << "a later bypass does not let it";
  EXPECT_EQ(acquires(), 1u);
}

TEST_F(trap_test, an_sa_takes_the_packets_and_gives_them_back) {
  traps_.replace({trap_between("10.1.0.0/16", "10.2.0.0/16")});
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.2.0.3"), drop_reason::no_sa), 1u);
  auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 800);
  record.order = 1;
  auto& sa = gateway_.add_outbound(record);
  gateway_.receive(inside, udp("10.1.0.2", "10.2.0.3"));
  gateway_.run();
  EXPECT_EQ(gateway_.sent(outside).size(), 1u) << "the flow is known, and resolved again";
  gateway_.tables().selectors->remove(sa.record, &sa);
  ++gateway_.tables().generation;
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.2.0.3"), drop_reason::no_sa), 1u);
}

TEST_F(trap_test, what_came_out_of_one_tunnel_does_not_go_on_in_clear_where_another_should_be) {
  traps_.replace({trap_between("10.1.0.0/16", "10.3.0.0/16")});
  auto record = sa_between(api::sa_direction::inbound, esp_suite::aes128gcm16, 801);
  set_prefixes(record, {"0.0.0.0/0"}, {"0.0.0.0/0"});
  gateway_.add_inbound(record);
  EXPECT_EQ(dropped(outside, esp_from_peer(record, udp("10.1.0.2", "10.3.0.3")), drop_reason::no_sa), 1u);
  EXPECT_EQ(acquires(), 1u);
}

TEST_F(trap_test, what_the_box_sends_is_held_too_and_ike_is_not) {
  traps_.replace({trap_between("0.0.0.0/0", "0.0.0.0/0")});
  const auto from_box = [&](const bytes& ip) {
    EXPECT_TRUE(gateway_.workers().inject(gateway_.buffer(frame_of(peer_mac, outside_mac, ip)), outside));
    gateway_.run();
    return gateway_.sent(outside).size();
  };
  EXPECT_EQ(from_box(udp("192.0.2.1", "192.0.2.2")), 0u);
  EXPECT_EQ(gateway_.drops(drop_reason::no_sa), 1u);
  EXPECT_EQ(from_box(udp_packet(between("192.0.2.1", "192.0.2.2"), 500, 500, filled(28))), 1u);
}

TEST_F(trap_test, of_a_tunnel_with_an_interface_it_holds_what_routes_lead_there) {
  interface_ = device_port_limit;
  gateway_.tables().ports[interface_].present = true;
  gateway_.tables().ports[interface_].up = true;
  const fib::next_hop hop{interface_, {}};
  ASSERT_TRUE(gateway_.tables().routes->add_route(parse_ip_prefix("10.9.0.0/16").value(), route_verdict::forward, 0,
                                                  {&hop, 1}));
  gateway_.tables().routes->commit();
  auto record = trap_between("0.0.0.0/0", "0.0.0.0/0");
  record.interface = api::name("vpn");
  traps_.replace({record});
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.9.0.3"), drop_reason::no_sa), 1u);
  EXPECT_EQ(acquires(), 1u);
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.5.0.3"), drop_reason::no_policy), 1u) << "its selectors catch nothing";
  traps_.replace({});
  EXPECT_EQ(dropped(inside, udp("10.1.0.2", "10.9.0.3"), drop_reason::no_sa), 1u);
  EXPECT_EQ(acquires(), 0u);
}

TEST_F(trap_test, ports_of_a_trap_make_fragments_be_followed) {
  auto record = trap_between("10.1.0.0/16", "10.2.0.0/16");
  record.remote_ports = {5060, 5060};
  traps_.replace({record});
  EXPECT_TRUE(gateway_.tables().ports_decide());
  traps_.replace({});
  EXPECT_FALSE(gateway_.tables().ports_decide());
  EXPECT_EQ(gateway_.tables().selectors->size(), 0u);
}

TEST_F(trap_test, a_hundred_thousand_are_looked_up_like_one) {
  std::vector<api::trap_record> many;
  for (std::uint32_t n = 0; n < 100'000; ++n) {
    auto record = trap_between("10.1.0.0/16", "10.2.0.0/16", n);
    record.child = api::name(std::to_string(n));
    record.remote_ranges[0].first = record.remote_ranges[0].last =
        ip_address{.bytes = {20, static_cast<std::uint8_t>(n >> 16), static_cast<std::uint8_t>(n >> 8),
                             static_cast<std::uint8_t>(n)},
                   .family = ip_family::v4};
    many.push_back(record);
  }
  traps_.replace(many);
  flow_key key;
  key.family = ip_family::v4;
  key.source = {10, 1, 0, 2};
  const auto start = rte_rdtsc();
  for (std::uint32_t n = 0; n < 100'000; ++n) {
    key.destination = {20, static_cast<std::uint8_t>(n >> 16), static_cast<std::uint8_t>(n >> 8),
                       static_cast<std::uint8_t>(n)};
    ASSERT_EQ(gateway_.tables().selectors->find(key).demanded->record.order, n);
  }
  const double us = static_cast<double>(rte_rdtsc() - start) * 1e6 / static_cast<double>(rte_get_tsc_hz()) / 100'000;
  EXPECT_LT(us, 20) << "microseconds for one of 100,000, in a debug build";
}

}  // namespace
}  // namespace trunkgate
