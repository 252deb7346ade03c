// ICMP errors: what the sender is told, and that what came out of a tunnel is answered through it.
#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

class icmp_test : public testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] static bool v6() { return GetParam(); }
  static ip_fields clear() { return v6() ? between("fd01::2", "2001:db8:5::3") : between("10.1.0.2", "198.51.100.3"); }
  static ip_fields inward() { return v6() ? between("fd02::3", "fd01::2") : between("10.2.0.3", "10.1.0.2"); }
  void add_tunnel() {
    gateway_.add_outbound(out_);
    gateway_.add_inbound(in_);
  }
  // The one error that went back into the tunnel, as the peer finds it.
  bytes answer_to_peer(const bytes& inner) {
    gateway_.receive(outside, esp_from_peer(in_, inner, {.sequence = ++sequence_}));
    gateway_.run();
    EXPECT_TRUE(gateway_.sent(inside).empty());
    const auto out = gateway_.sent(outside);
    EXPECT_EQ(out.size(), 1u);
    return out.size() == 1 ? open_at_peer(out_, out[0]).inner : bytes(100);
  }
  static void expect_error(const bytes& error, std::uint16_t type_code, const bytes& about, const char* from,
                           const char* to) {
    const std::size_t header = v6() ? 40 : 20;
    EXPECT_TRUE(checksums_hold(error));
    EXPECT_EQ(bytes(error.begin() + (v6() ? 8 : 12), error.begin() + static_cast<std::ptrdiff_t>(header)),
              join({address_bytes(address(from)), address_bytes(address(to))}));
    EXPECT_EQ(read_be(error, header, 2), type_code);
    const bytes quote(error.begin() + static_cast<std::ptrdiff_t>(header) + 8, error.end());
    ASSERT_LE(quote.size(), about.size());
    EXPECT_TRUE(std::equal(quote.begin() + (v6() ? 8 : 12), quote.end(), about.begin() + (v6() ? 8 : 12)));
    EXPECT_EQ(quote.size(), std::min<std::size_t>(about.size(), v6() ? 1232 : 548));
  }
  void set_neighbour(std::uint16_t port, const char* next_hop, bool usable, bool failed) {
    gateway_.tables().routes->set_neighbour(port, address(next_hop), peer_mac, usable, failed);
    ++gateway_.tables().generation;
  }

  api::sa_record out_ = sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 600);
  api::sa_record in_ = sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 601);
  std::uint64_t sequence_ = 0;
  little_gateway gateway_;
};

// RFC 1812 5.2.7.1, RFC 4443 3.1.
TEST_P(icmp_test, unreachable_in_clear) {
  gateway_.add_rule(v6() ? "fd01::/64" : "10.1.0.0/16", nullptr, api::policy_action::bypass);
  const auto* box = v6() ? "fd01::1" : "10.1.0.1";
  const auto* host = v6() ? "fd01::2" : "10.1.0.2";
  auto& routes = *gateway_.tables().routes;
  // No way there.
  routes.remove_route(parse_ip_prefix(v6() ? "::/0" : "0.0.0.0/0").value(), route_verdict::forward, 0);
  routes.commit();
  ++gateway_.tables().generation;
  const auto lost = udp_packet(clear(), 1, 2, filled(40));
  gateway_.receive(inside, lost);
  gateway_.run();
  auto errors = gateway_.sent(inside);
  ASSERT_EQ(errors.size(), 1u);
  expect_error(errors[0], v6() ? 0x0100 : 0x0300, lost, box, host);
  EXPECT_EQ(gateway_.drops(drop_reason::no_route), 1u);
  // A neighbour that does not answer.
  const auto* gone = v6() ? "2001:db8::7" : "192.0.2.7";
  set_neighbour(outside, gone, false, true);
  auto ip = clear();
  ip.destination = address(gone);
  const auto unheard = udp_packet(ip, 1, 2, filled(1400));
  gateway_.receive(inside, unheard);
  gateway_.run();
  errors = gateway_.sent(inside);
  ASSERT_EQ(errors.size(), 1u);
  expect_error(errors[0], v6() ? 0x0103 : 0x0301, unheard, box, host);
  EXPECT_EQ(gateway_.drops(drop_reason::neighbour_unresolved), 1u);
}

TEST_P(icmp_test, a_route_that_says_unreachable) {
  gateway_.add_rule(nullptr, nullptr, api::policy_action::bypass);
  auto& routes = *gateway_.tables().routes;
  auto ip = clear();
  auto prefix = parse_ip_prefix(to_string(ip.destination)).value();
  ASSERT_TRUE(routes.add_route(prefix, route_verdict::unreachable, 0, {}));
  routes.commit();
  ++gateway_.tables().generation;
  const auto packet = udp_packet(ip, 1, 2, filled(40));
  gateway_.receive(inside, packet);
  gateway_.run();
  const auto errors = gateway_.sent(inside);
  ASSERT_EQ(errors.size(), 1u);
  expect_error(errors[0], v6() ? 0x0103 : 0x0301, packet, v6() ? "fd01::1" : "10.1.0.1", v6() ? "fd01::2" : "10.1.0.2");
  EXPECT_EQ(gateway_.drops(drop_reason::route_unreachable), 1u);
}

// The ESP packet is our own: whoever sent what is inside is not told about its outer header.
TEST_P(icmp_test, no_error_about_esp_whose_next_hop_is_silent) {
  add_tunnel();
  set_neighbour(outside, "192.0.2.2", false, true);
  gateway_.receive(inside,
                   udp_packet(v6() ? between("fd01::2", "fd02::3") : between("10.1.0.2", "10.2.0.3"), 1, 2, {}));
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::neighbour_unresolved), 1u);
  EXPECT_TRUE(gateway_.sent(inside).empty());
  EXPECT_TRUE(gateway_.sent(outside).empty());
}

TEST_P(icmp_test, errors_go_back_through_the_tunnel) {
  add_tunnel();
  const auto* box = v6() ? "fd01::1" : "10.1.0.1";  // the box's address that the selectors hold
  const auto* far = v6() ? "fd02::3" : "10.2.0.3";
  auto ip = inward();
  ip.hops = 1;
  const auto expired = udp_packet(ip, 5000, 6000, filled(40));
  expect_error(answer_to_peer(expired), v6() ? 0x0300 : 0x0b00, expired, box, far);

  gateway_.tables().ports[inside].mtu = 1300;
  ip = inward();
  if (!v6()) ip.fragment = 0x4000;
  auto large = udp_packet(ip, 5000, 6000, filled(1350));
  const auto error = answer_to_peer(large);
  expect_error(error, v6() ? 0x0200 : 0x0304, large, box, far);
  EXPECT_EQ(read_be(error, v6() ? 44 : 24, 4), 1300u);

  const auto* gone = v6() ? "fd01::7" : "10.1.0.7";
  set_neighbour(inside, gone, false, true);
  ip = inward();
  ip.destination = address(gone);
  const auto unheard = udp_packet(ip, 5000, 6000, filled(40));
  expect_error(answer_to_peer(unheard), v6() ? 0x0103 : 0x0301, unheard, box, far);
  EXPECT_EQ(gateway_.all_drops(), 3u);
}

// No SA would take it: in clear it must not go.
TEST_P(icmp_test, no_tunnel_back_no_error) {
  gateway_.add_inbound(in_);
  auto ip = inward();
  ip.hops = 1;
  gateway_.receive(outside, esp_from_peer(in_, udp_packet(ip, 5000, 6000, filled(40))));
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::icmp_error_suppressed), 1u);
  EXPECT_TRUE(gateway_.sent(inside).empty());
  EXPECT_TRUE(gateway_.sent(outside).empty());
}

TEST_P(icmp_test, nobody_is_told) {
  gateway_.add_rule(nullptr, nullptr, api::policy_action::bypass);
  auto ip = clear();
  ip.hops = 1;
  gateway_.receive(inside, icmp_packet(
                               [&] {
                                 auto error = ip;
                                 error.protocol = v6() ? 58 : 1;
                                 return error;
                               }(),
                               v6() ? 1 : 3, 1, filled(60)));
  if (v6()) {
    ip.source = address("::");
    gateway_.receive(inside, udp_packet(ip, 1, 2, {}));
  }
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::icmp_error_suppressed), v6() ? 2u : 1u);
  EXPECT_TRUE(gateway_.sent(inside).empty());
}

INSTANTIATE_TEST_SUITE_P(family, icmp_test, testing::Bool(), [](const auto& v6) { return v6.param ? "ipv6" : "ipv4"; });

}  // namespace
}  // namespace trunkgate
