// Fragments where rules and SAs name ports (RFC 4301 7.4, RFC 1858, RFC 5722): in clear, into a tunnel and out of one.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

constexpr std::uint16_t more_fragments = 0x2000;

// `segment`, a whole transport segment, from `from` on for `size` bytes, as a fragment.
bytes piece(const ip_fields& ip, const bytes& segment, std::size_t from, std::size_t size) {
  auto fields = ip;
  const bool more = from + size < segment.size();
  const bytes data(segment.begin() + static_cast<std::ptrdiff_t>(from),
                   segment.begin() + static_cast<std::ptrdiff_t>(std::min(from + size, segment.size())));
  if (ip.source.family == ip_family::v4) {
    fields.fragment = static_cast<std::uint16_t>(from / 8 | (more ? more_fragments : 0));
  } else {
    fields.first_extension = 44;
    fields.options = join({{ip.protocol, 0}, be(from | (more ? 1 : 0), 2), be(ip.id, 4)});
  }
  return ip_packet(fields, data);
}

struct way {
  const char *source, *destination;
};

class follow_fragments_test : public testing::TestWithParam<bool> {
 protected:
  [[nodiscard]] static bool v6() { return GetParam(); }
  [[nodiscard]] static ip_fields between_sites(bool back = false) {
    const way there = v6() ? way{"fd01::2", "fd05::3"} : way{"10.1.0.2", "10.5.0.3"};
    return back ? between(there.destination, there.source) : between(there.source, there.destination);
  }
  static bytes udp_segment(const ip_fields& ip, std::uint16_t source_port, std::uint16_t destination_port,
                           std::size_t size = 300) {
    const auto packet = udp_packet(ip, source_port, destination_port, filled(size));
    return {packet.begin() + (v6() ? 40 : 20), packet.end()};
  }
  // UDP to port 6000 passes in clear, and nothing else.
  void allow_port_6000() {
    api::policy_record record;
    record.policy = api::name("six-thousand");
    record.protocol = 17;
    record.destination_ports = {6000, 6000};
    record.action = api::policy_action::bypass;
    gateway_.add_rule(record);
  }
  void receive(const bytes& packet, std::uint16_t port = inside) {
    gateway_.receive(port, packet);
    gateway_.run();
  }
  std::size_t passed(std::uint16_t port = outside) { return gateway_.sent(port).size(); }
  little_gateway gateway_;
};
INSTANTIATE_TEST_SUITE_P(families, follow_fragments_test, testing::Bool(),
                         [](const auto& chosen) { return chosen.param ? "ipv6" : "ipv4"; });

TEST_P(follow_fragments_test, later_ones_pass_by_the_first_one_s_ports) {
  allow_port_6000();
  const auto ip = between_sites();
  const auto good = udp_segment(ip, 5000, 6000), bad = udp_segment(ip, 5000, 6001);
  for (const std::size_t from : {0, 104, 208}) receive(piece(ip, good, from, 104));
  EXPECT_EQ(passed(), 3u);
  auto other = ip;
  other.id = 77;
  for (const std::size_t from : {0, 104, 208}) receive(piece(other, bad, from, 104));
  EXPECT_EQ(passed(), 0u);
  EXPECT_EQ(gateway_.drops(drop_reason::no_policy), 3u);
  EXPECT_TRUE(gateway_.context().fragments.empty());
}

TEST_P(follow_fragments_test, later_ones_that_come_first_wait) {
  allow_port_6000();
  const auto ip = between_sites();
  const auto segment = udp_segment(ip, 5000, 6000);
  receive(piece(ip, segment, 208, 104));
  receive(piece(ip, segment, 104, 104));
  EXPECT_EQ(passed(), 0u);
  receive(piece(ip, segment, 0, 104));
  EXPECT_EQ(passed(), 3u);
  EXPECT_EQ(gateway_.all_drops(), 0u);
}

TEST_P(follow_fragments_test, without_a_first_one_they_go_after_a_while) {
  allow_port_6000();
  const auto ip = between_sites();
  receive(piece(ip, udp_segment(ip, 5000, 6000), 104, 104));
  auto& context = gateway_.context();
  expire_followed(context);
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_without_first), 0u);
  context.now_ms += fragment_table::lifetime_ms;
  expire_followed(context);
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_without_first), 1u);
}

// RFC 5722, and the trick behind it: the second part brings other ports than those that were judged.
TEST_P(follow_fragments_test, overlapping_ones_go_as_a_whole) {
  allow_port_6000();
  const auto ip = between_sites();
  const auto segment = udp_segment(ip, 5000, 6000), evil = udp_segment(ip, 5000, 22);
  receive(piece(ip, segment, 0, 104));
  EXPECT_EQ(passed(), 1u);
  receive(piece(ip, evil, 0, 112));
  receive(piece(ip, segment, 104, 104));
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_overlapping), 2u);
  auto copied = ip;
  copied.id = 8;
  receive(piece(copied, segment, 0, 104));
  receive(piece(copied, evil, 0, 104));
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_duplicate), 1u);
  EXPECT_EQ(passed(), 1u);
}

// RFC 1858: the first one stops short of the header, or the next one writes over it.
TEST_P(follow_fragments_test, tiny_ones_never_pass) {
  gateway_.add_rule(nullptr, nullptr, api::policy_action::bypass);
  api::policy_record ports;
  ports.destination_ports = {1, 1};
  gateway_.add_rule(ports);  // so that fragments are followed
  auto ip = between_sites();
  ip.protocol = 6;
  const auto whole = tcp_packet(ip, 1000, 80, 2, {}, filled(100));
  const bytes segment(whole.begin() + (v6() ? 40 : 20), whole.end());
  receive(piece(ip, segment, 0, 16));
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_tiny), 1u);
  receive(piece(ip, segment, 8, 24));
  receive(piece(ip, segment, 32, 64));
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_tiny), 3u) << "and all of that datagram";
  EXPECT_EQ(passed(), 0u);
}

TEST_P(follow_fragments_test, broken_ones_go) {
  allow_port_6000();
  const auto ip = between_sites();
  const auto segment = udp_segment(ip, 5000, 6000);
  receive(piece(ip, segment, 0, 100));  // more to come, and no whole units
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_malformed), 1u);
}

TEST_P(follow_fragments_test, more_than_are_followed_go) {
  allow_port_6000();
  const auto ip = between_sites();
  const auto segment = udp_segment(ip, 5000, 6000, 1400);
  for (std::size_t i = 0; i <= fragment_table::waiting_per_datagram; ++i) receive(piece(ip, segment, 8 + i * 16, 16));
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_limit), fragment_table::waiting_per_datagram + 1);
}

TEST_P(follow_fragments_test, while_nobody_names_ports_they_pass_as_they_come) {
  gateway_.add_rule(nullptr, nullptr, api::policy_action::bypass);
  const auto ip = between_sites();
  const auto segment = udp_segment(ip, 5000, 6000);
  receive(piece(ip, segment, 104, 104));
  receive(piece(ip, segment, 104, 104));
  EXPECT_EQ(passed(), 2u);
  EXPECT_TRUE(gateway_.context().fragments.empty());
}

class fragments_in_tunnels : public follow_fragments_test {
 protected:
  // UDP between the sites' ports 5000 and 6000.
  static api::sa_record for_ports(api::sa_direction direction, std::uint32_t spi) {
    auto record = sa_between(direction, esp_suite::aes128gcm16, spi);
    set_prefixes(record, {"10.1.0.0/16", "fd01::/64"}, {"10.5.0.0/16", "fd05::/64"});
    record.protocol = 17;
    record.local_ports = {5000, 5000};
    record.remote_ports = {6000, 6000};
    return record;
  }
};
INSTANTIATE_TEST_SUITE_P(families, fragments_in_tunnels, testing::Bool(),
                         [](const auto& chosen) { return chosen.param ? "ipv6" : "ipv4"; });

TEST_P(fragments_in_tunnels, go_in_by_their_ports) {
  const auto record = for_ports(api::sa_direction::outbound, 900);
  gateway_.add_outbound(record);
  const auto ip = between_sites();
  const auto segment = udp_segment(ip, 5000, 6000);
  receive(piece(ip, segment, 104, 104));
  receive(piece(ip, segment, 0, 104));
  receive(piece(ip, segment, 208, 104));
  const auto out = gateway_.sent(outside);
  ASSERT_EQ(out.size(), 3u);
  for (std::size_t i = 0; i < 3; ++i) EXPECT_EQ(open_at_peer(record, out[i]).sequence, i + 1);
  auto other = ip;
  other.id = 3;
  for (const std::size_t from : {0, 104, 208}) receive(piece(other, udp_segment(ip, 5000, 6001), from, 104));
  EXPECT_EQ(gateway_.drops(drop_reason::no_policy), 3u);
  EXPECT_EQ(passed(), 0u);
}

TEST_P(fragments_in_tunnels, come_out_by_their_ports) {
  const auto record = for_ports(api::sa_direction::inbound, 901);
  auto& sa = gateway_.add_inbound(record);
  const auto ip = between_sites(true);
  const auto good = udp_segment(ip, 6000, 5000), bad = udp_segment(ip, 6000, 5001);
  std::uint64_t sequence = 1;
  const auto comes = [&](const bytes& inner) {
    receive(esp_from_peer(record, inner, {.sequence = sequence++}), outside);
  };
  comes(piece(ip, good, 208, 104));
  comes(piece(ip, good, 0, 104));
  comes(piece(ip, good, 104, 104));
  EXPECT_EQ(passed(inside), 3u);
  EXPECT_EQ(sa.counters.packets.get(), 3u);
  auto other = ip;
  other.id = 3;
  comes(piece(other, bad, 104, 104));
  comes(piece(other, bad, 0, 104));
  comes(piece(other, bad, 208, 104));
  EXPECT_EQ(passed(inside), 0u);
  EXPECT_EQ(gateway_.drops(drop_reason::selector_mismatch), 3u);
}

// What one SA brings never completes what another one brought.
TEST_P(fragments_in_tunnels, do_not_mix) {
  const auto wide_record = [] {
    auto record = for_ports(api::sa_direction::inbound, 902);
    record.local_ports = record.remote_ports = {};
    return record;
  }();
  const auto record = for_ports(api::sa_direction::inbound, 901);
  gateway_.add_inbound(record);
  gateway_.add_inbound(wide_record);
  const auto ip = between_sites(true);
  const auto segment = udp_segment(ip, 6000, 5000);
  receive(esp_from_peer(wide_record, piece(ip, segment, 0, 104)), outside);
  EXPECT_EQ(passed(inside), 1u);
  receive(esp_from_peer(record, piece(ip, segment, 104, 104)), outside);
  EXPECT_EQ(passed(inside), 0u) << "waits for a first one of its own SA";
  receive(esp_from_peer(record, piece(ip, segment, 0, 104), {.sequence = 2}), outside);
  EXPECT_EQ(passed(inside), 2u);
}

// RFC 8200 4.5: only the first one's headers count; destination options may stand behind the fragment header.
TEST(fragments_of_ipv6, take_the_protocol_too) {
  little_gateway gateway;
  api::policy_record record;
  record.protocol = 17;
  record.destination_ports = {6000, 6000};
  record.action = api::policy_action::bypass;
  gateway.add_rule(record);
  auto ip = between("fd01::2", "fd05::3");
  const auto packet = udp_packet(ip, 5000, 6000, filled(100));
  const bytes options{17, 0, 1, 4, 0, 0, 0, 0};
  const auto data = join({options, {packet.begin() + 40, packet.end()}});
  const auto part = [&](std::size_t from, std::size_t size, bool more) {
    ip.first_extension = 44;
    ip.options = join({{60, 0}, be(from | (more ? 1 : 0), 2), be(9, 4)});
    return ip_packet(ip, {data.begin() + static_cast<std::ptrdiff_t>(from),
                          data.begin() + static_cast<std::ptrdiff_t>(std::min(from + size, data.size()))});
  };
  gateway.receive(inside, part(48, 400, false));
  gateway.receive(inside, part(0, 48, true));
  gateway.run();
  EXPECT_EQ(gateway.sent(outside).size(), 2u);
  EXPECT_EQ(gateway.all_drops(), 0u);
}

// A large message of the box's IKE, cut by its kernel: all of it passes, although no rule names ports.
TEST_P(follow_fragments_test, ike_of_the_box_passes_in_fragments) {
  const auto ip = v6() ? between("2001:db8::1", "2001:db8::2") : between("192.0.2.1", "192.0.2.2");
  ASSERT_FALSE(gateway_.tables().ports_decide());
  const auto segment = udp_segment(ip, 4500, 4500, 3000);
  std::vector<bytes> pieces;
  for (std::size_t at = 0; at < segment.size(); at += 1400) pieces.push_back(piece(ip, segment, at, 1400));
  for (const auto& one : pieces)
    ASSERT_TRUE(gateway_.workers().inject(gateway_.buffer(frame_of(peer_mac, outside_mac, one)), outside));
  gateway_.run();
  EXPECT_EQ(gateway_.sent(outside), pieces);
  EXPECT_EQ(gateway_.all_drops(), 0u);
  // Of anything else nothing passes.
  const auto other = udp_segment(ip, 5000, 4500, 3000);
  for (std::size_t at = 0; at < other.size(); at += 1400)
    ASSERT_TRUE(gateway_.workers().inject(gateway_.buffer(frame_of(peer_mac, outside_mac, piece(ip, other, at, 1400))),
                                          outside));
  gateway_.run();
  EXPECT_TRUE(gateway_.sent(outside).empty());
}

}  // namespace
}  // namespace trunkgate
