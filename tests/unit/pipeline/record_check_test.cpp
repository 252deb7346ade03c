// What the API takes and what it refuses, field by field.
#include "dataplane/main/record_check.hpp"

#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"

namespace trunkgate::test {
namespace {

template <class Record>
std::string refused(Record record, auto&& change) {
  change(record);
  const auto done = check(record);
  return done ? "" : done.error().reason;
}

ip_range range(const char* text) { return parse_ip_range(text).value(); }

TEST(record_check, policies) {
  api::policy_record good;
  good.policy = api::name("web");
  good.source = range("10.0.0.1-10.0.0.9");
  good.destination = range("192.0.2.0/24");
  good.protocol = 6;
  EXPECT_EQ(refused(good, [](auto&) {}), "");
  EXPECT_EQ(refused(good, [](auto& r) { r.source = r.destination = ip_range(); }), "");
  const auto says = [&](auto&& change) { return refused(good, change); };
  EXPECT_EQ(says([](auto& r) { r.action = static_cast<api::policy_action>(3); }), "policy web: unknown action");
  const std::string addresses = "policy web: addresses are not from a lower to a higher one of one family";
  EXPECT_EQ(says([](auto& r) { std::swap(r.source.first, r.source.last); }), addresses);
  EXPECT_EQ(says([](auto& r) { r.destination.last = range("2001:db8::1").first; }), addresses);
  EXPECT_EQ(says([](auto& r) { r.source.first.family = static_cast<ip_family>(7); }), addresses);
  EXPECT_EQ(says([](auto& r) { r.source.last.bytes[15] = 1; }), addresses);  // IPv4 with something behind it
  EXPECT_EQ(says([](auto& r) { r.source = range("2001:db8::/32"); }),
            "policy web: source and destination must be of one address family");
  const std::string numbers = "policy web: protocol or ports are out of their range";
  EXPECT_EQ(says([](auto& r) { r.protocol = 256; }), numbers);
  EXPECT_EQ(says([](auto& r) { r.protocol = -2; }), numbers);
  EXPECT_EQ(says([](auto& r) { r.source_ports = {2, 1}; }), numbers);
  EXPECT_EQ(says([](auto& r) { r.destination_ports = {65535, 0}; }), numbers);
}

TEST(record_check, sas) {
  const auto good = sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 0x1000);
  EXPECT_EQ(refused(good, [](auto&) {}), "");
  const auto ends_with = [&](const char* why, auto&& change) {
    const auto said = refused(good, change);
    EXPECT_TRUE(said.starts_with("tunnel ") && said.ends_with(why)) << said;
  };
  ends_with("unknown suite", [](auto& r) { r.suite = static_cast<esp_suite>(esp_suite_count); });
  ends_with("unknown direction", [](auto& r) { r.direction = static_cast<api::sa_direction>(2); });
  ends_with("unknown mode", [](auto& r) { r.mode = static_cast<api::sa_mode>(2); });
  ends_with("too many selectors", [](auto& r) { r.local_count = api::ranges_per_side + 1; });
  ends_with("of one family", [](auto& r) { std::swap(r.remote_ranges[0].first, r.remote_ranges[0].last); });
  ends_with("out of their range", [](auto& r) { r.remote_ports = {9, 8}; });
  ends_with("out of their range", [](auto& r) { r.protocol = 300; });
  ends_with("wrong length for its suite", [](auto& r) { --r.key_length; });
  ends_with("reserved", [](auto& r) { r.spi = 255; });
  ends_with("64 to 65536 packets", [](auto& r) { r.replay_window = 65537; });
  ends_with("one address family", [](auto& r) { r.remote = parse_ip_address("2001:db8::9").value(); });
  ends_with("six bits", [](auto& r) { r.outer.dscp[5] = 64; });
  ends_with("20 bits", [](auto& r) { r.outer.flow_label = 1u << 20; });
  ends_with("must not be 0", [](auto& r) { r.outer.hop_limit = 0; });
  ends_with("needs tunnel mode", [](auto& r) {
    r.mode = api::sa_mode::transport;
    r.tfc_padding = 100;
  });
}

TEST(record_check, ports_and_routes) {
  api::port_record port;
  port.port = api::name("wan");
  port.address_count = 1;
  port.addresses[0] = parse_ip_prefix("192.0.2.1/24").value();
  EXPECT_EQ(refused(port, [](auto&) {}), "");
  EXPECT_EQ(refused(port, [](auto& r) { r.address_count = api::addresses_per_port + 1; }),
            "port wan: too many addresses");
  EXPECT_EQ(refused(port, [](auto& r) { r.addresses[0].length = 33; }), "port wan: an address is none");
  EXPECT_EQ(refused(port, [](auto& r) { r.driver = static_cast<api::port_driver_kind>(99); }),
            "port wan: unknown driver");
  api::route_record route;
  route.destination = parse_ip_prefix("0.0.0.0/0").value();
  route.via = parse_ip_address("192.0.2.9").value();
  EXPECT_EQ(refused(route, [](auto&) {}), "");
  const std::string families = "route: destination and next hop must be of one address family";
  EXPECT_EQ(refused(route, [](auto& r) { r.via = parse_ip_address("fe80::1").value(); }), families);
  EXPECT_EQ(refused(route, [](auto& r) { r.destination.length = 40; }), families);
}

TEST(record_check, pairs_traps_and_moves) {
  auto good = sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 0x1000);
  good.tunnel = api::name("t");
  good.pair = 0x1000;
  EXPECT_EQ(refused(good, [](auto&) {}), "");
  EXPECT_EQ(refused(good, [](auto& r) { r.worker = 63; }), "");
  const auto says = [&](auto&& change) { return refused(good, change); };
  EXPECT_EQ(says([](auto& r) { r.pair = 0x1001; }), "tunnel t: a pair has the number of its inbound SPI");
  EXPECT_EQ(says([](auto& r) {
              r.direction = api::sa_direction::outbound;
              r.pair = 255;
            }),
            "tunnel t: SPIs below 256 are reserved");
  EXPECT_EQ(says([](auto& r) { r.keying = api::sa_keying::manual; }), "tunnel t: a pair by hand has no number");
  EXPECT_EQ(says([](auto& r) { r.keying = static_cast<api::sa_keying>(2); }), "tunnel t: unknown kind of keying");
  EXPECT_EQ(says([](auto& r) { r.worker = 64; }), "tunnel t: there is no such worker");
  api::trap_record trap;
  static_cast<api::selector_record&>(trap) = good;
  EXPECT_EQ(refused(trap, [](auto&) {}), "");
  EXPECT_EQ(refused(trap, [](auto& r) { r.local_count = 9; }), "tunnel t: too many selectors");
  EXPECT_EQ(refused(trap, [](auto& r) { r.remote_ports = {2, 1}; }),
            "tunnel t: a selector's protocol or ports are out of their range");
  const api::move_record move{.pair = 0x1000, .local = good.local, .remote = good.remote};
  EXPECT_EQ(refused(move, [](auto&) {}), "");
  EXPECT_EQ(refused(move, [](auto& r) { r.remote = address("2001:db8::1"); }),
            "move: both ends must be of one address family");
  EXPECT_EQ(refused(move, [](auto& r) { r.local = {}; }), "move: both ends must be of one address family");
  EXPECT_EQ(refused(move, [](auto& r) { r.direction = static_cast<api::sa_direction>(2); }), "move: unknown direction");
}

}  // namespace
}  // namespace trunkgate::test
