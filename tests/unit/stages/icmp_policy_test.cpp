// ICMP as the SPD sees it: types as selectors, classes, and errors that are known by what they quote (RFC 4301 6).
#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

bytes ping(const char* source, const char* destination, std::uint8_t type = 8) {
  return icmp_packet(between(source, destination, 1), type, 0, filled(20));
}
bytes udp(const char* source, const char* destination, std::uint16_t from = 5000, std::uint16_t to = 6000) {
  return udp_packet(between(source, destination), from, to, filled(40));
}
// An error of `router` to `to`, about `quoted`.
bytes error(const char* router, const char* to, const bytes& quoted, std::uint8_t type = 3, std::uint8_t code = 1) {
  const bool v6 = quoted[0] >> 4 == 6;
  const auto fields = between(router, to, v6 ? 58 : 1);
  bytes rest(4);  // behind type, code and checksum
  rest.insert(rest.end(), quoted.begin(), quoted.end());
  return icmp_packet(fields, type, code, rest);
}

class icmp_policy : public testing::Test {
 protected:
  void receive(std::uint16_t port, const bytes& packet) {
    gateway_.receive(port, packet);
    gateway_.run();
  }
  std::uint64_t dropped(std::uint16_t port, const bytes& packet, drop_reason reason) {
    const auto before = gateway_.drops(reason);
    receive(port, packet);
    return gateway_.drops(reason) - before;
  }
  api::sa_record out_record_ = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 700);
  api::sa_record in_record_ = sa_between(api::sa_direction::inbound, esp_suite::aes128gcm16, 701);
  little_gateway gateway_;
};

TEST_F(icmp_policy, a_rule_may_name_a_type) {
  api::policy_record record;
  record.protocol = 1;
  record.source_ports = record.destination_ports = {0x0800, 0x08ff};
  record.action = api::policy_action::bypass;
  gateway_.add_rule(record);
  receive(inside, ping("10.1.0.2", "10.5.0.3"));
  EXPECT_EQ(gateway_.sent(outside).size(), 1u);
  EXPECT_EQ(dropped(inside, ping("10.1.0.2", "10.5.0.3", 13), drop_reason::no_policy), 1u);
  receive(inside, ping("10.1.0.2", "10.5.0.3"));
  EXPECT_EQ(gateway_.sent(outside).size(), 1u) << "another type's verdict is not this one's";
}

TEST_F(icmp_policy, an_sa_may_name_a_type) {
  for (auto* record : {&out_record_, &in_record_}) {
    record->protocol = 1;
    record->local_ports = record->remote_ports = {0x0800, 0x08ff};
  }
  gateway_.add_outbound(out_record_);
  gateway_.add_inbound(in_record_);
  receive(inside, ping("10.1.0.2", "10.2.0.3"));
  EXPECT_EQ(gateway_.sent(outside).size(), 1u);
  EXPECT_EQ(dropped(inside, ping("10.1.0.2", "10.2.0.3", 0), drop_reason::no_policy), 1u);
  receive(outside, esp_from_peer(in_record_, ping("10.2.0.3", "10.1.0.2")));
  EXPECT_EQ(gateway_.sent(inside).size(), 1u);
  EXPECT_EQ(dropped(outside, esp_from_peer(in_record_, ping("10.2.0.3", "10.1.0.2", 0), {.sequence = 2}),
                    drop_reason::selector_mismatch),
            1u);
}

TEST_F(icmp_policy, the_class_chooses_the_sa_and_the_receiver_does_not_mind) {
  auto voice = out_record_;
  voice.spi = 710;
  voice.dscp = 1ull << 46;
  out_record_.order = 1;
  in_record_.dscp = 1ull << 46;
  gateway_.add_outbound(voice);
  gateway_.add_outbound(out_record_);
  gateway_.add_inbound(in_record_);
  auto fields = between("10.1.0.2", "10.2.0.3");
  for (const auto& [mark, spi] : {std::pair(0, 700u), {46 << 2, 710u}, {46 << 2 | 1, 710u}, {34 << 2, 700u}}) {
    fields.traffic_class = static_cast<std::uint8_t>(mark);
    receive(inside, udp_packet(fields, 1, 2, filled(9)));
    const auto out = gateway_.sent(outside);
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(read_be(out[0], 20, 4), spi) << mark;
  }
  receive(outside, esp_from_peer(in_record_, udp("10.2.0.3", "10.1.0.2")));
  EXPECT_EQ(gateway_.sent(inside).size(), 1u);
  // In clear from the other side it is still the tunnel's, whatever its class.
  EXPECT_EQ(dropped(outside, udp("10.2.0.3", "10.1.0.2"), drop_reason::cleartext_must_be_protected), 1u);
}

TEST_F(icmp_policy, an_error_comes_out_of_the_tunnel_that_carries_what_it_quotes) {
  gateway_.add_inbound(in_record_);
  std::uint64_t sequence = 1;
  const auto comes = [&](const bytes& inner) {
    receive(outside, esp_from_peer(in_record_, inner, {.sequence = sequence++}));
    return gateway_.sent(inside).size();
  };
  const auto about = udp("10.1.0.2", "10.2.0.3");
  EXPECT_EQ(comes(error("198.51.100.9", "10.1.0.2", about)), 1u);
  EXPECT_EQ(comes(error("2001:db8:9::1", "fd01::2", udp("fd01::2", "fd02::3"), 3, 0)), 1u) << "ICMPv6";
  EXPECT_EQ(gateway_.drops(drop_reason::selector_mismatch), 0u);
  EXPECT_EQ(comes(error("198.51.100.9", "10.1.0.9", about)), 0u) << "not to the sender of what it quotes";
  EXPECT_EQ(comes(error("198.51.100.9", "10.1.0.2", udp("10.1.0.2", "10.9.0.3"))), 0u) << "not this tunnel's";
  EXPECT_EQ(comes(error("198.51.100.9", "10.1.0.2", udp("10.2.0.3", "10.1.0.2"))), 0u) << "the wrong way round";
  EXPECT_EQ(comes(error("198.51.100.9", "10.1.0.2", about, 5, 1)), 0u) << "a redirect";
  EXPECT_EQ(comes(error("198.51.100.9", "10.1.0.2", about, 8, 0)), 0u) << "no error";
  EXPECT_EQ(comes(error("198.51.100.9", "10.1.0.2", {about.begin(), about.begin() + 19})), 0u) << "nothing quoted";
  EXPECT_EQ(gateway_.drops(drop_reason::selector_mismatch), 6u);
}

TEST_F(icmp_policy, the_quoted_ports_count) {
  in_record_.protocol = 17;
  in_record_.local_ports = {5000, 5000};
  gateway_.add_inbound(in_record_);
  receive(outside, esp_from_peer(in_record_, error("198.51.100.9", "10.1.0.2", udp("10.1.0.2", "10.2.0.3", 5000))));
  EXPECT_EQ(gateway_.sent(inside).size(), 1u);
  EXPECT_EQ(dropped(outside,
                    esp_from_peer(in_record_, error("198.51.100.9", "10.1.0.2", udp("10.1.0.2", "10.2.0.3", 5001)),
                                  {.sequence = 2}),
                    drop_reason::selector_mismatch),
            1u);
}

TEST_F(icmp_policy, an_error_goes_into_the_tunnel_that_carries_what_it_answers) {
  gateway_.add_outbound(out_record_);
  const auto about = udp("10.2.0.3", "10.1.0.2");
  const auto packet = error("172.16.0.1", "10.2.0.3", about);
  for (std::uint64_t sequence = 1; sequence <= 2; ++sequence) {  // the flow cache must not remember either answer
    receive(inside, packet);
    const auto out = gateway_.sent(outside);
    ASSERT_EQ(out.size(), 1u);
    EXPECT_EQ(open_at_peer(out_record_, out[0]).sequence, sequence);
    EXPECT_EQ(dropped(inside, error("172.16.0.1", "10.2.0.3", udp("10.2.0.3", "10.9.0.2")), drop_reason::no_policy),
              1u);
  }
  EXPECT_EQ(dropped(inside, ping("172.16.0.1", "10.2.0.3"), drop_reason::no_policy), 1u) << "no error";
  EXPECT_EQ(dropped(outside, packet, drop_reason::no_policy), 1u) << "from where the quoted packet never was";
}

// Between two tunnels: what came out by its quotation goes on by it.
TEST_F(icmp_policy, an_error_goes_from_tunnel_to_tunnel) {
  set_prefixes(in_record_, {"10.7.0.0/16"}, {"10.2.0.0/16"});
  set_prefixes(out_record_, {"10.2.0.0/16"}, {"10.7.0.0/16"});
  gateway_.add_inbound(in_record_);
  gateway_.add_outbound(out_record_);
  receive(outside, esp_from_peer(in_record_, error("198.51.100.9", "10.7.0.1", udp("10.7.0.1", "10.2.0.3"))));
  const auto out = gateway_.sent(outside);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(open_at_peer(out_record_, out[0]).sequence, 1u);
}

TEST_F(icmp_policy, a_rule_comes_before_the_quotation) {
  gateway_.add_outbound(out_record_);
  gateway_.add_rule("172.16.0.0/16", nullptr, api::policy_action::discard);
  EXPECT_EQ(dropped(inside, error("172.16.0.1", "10.2.0.3", udp("10.2.0.3", "10.1.0.2")), drop_reason::policy_discard),
            1u);
}

}  // namespace
}  // namespace trunkgate
