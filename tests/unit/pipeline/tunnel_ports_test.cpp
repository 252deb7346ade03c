// Interfaces of route-based tunnels: in the kernel, among the ports, and bound to the SA that came last.
#include <algorithm>

#include <gtest/gtest.h>

#include "dataplane/main/port_set.hpp"
#include "dataplane/main/sa_set.hpp"
#include "tests/unit/host/namespace.hpp"
#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;
using testing::ip_json;
using testing::shell;

class tunnel_ports : public ::testing::Test {
 protected:
  tunnel_ports() {
    // No link-local addresses: the kernel's announcements of them would be counted among the drops.
    shell("echo 1 > /proc/sys/net/ipv6/conf/default/addr_gen_mode");
    kernel_ = std::move(*kernel_sync::open(gateway_.tables(), [](const kernel_link&, bool) {}));
    ports_ = std::make_unique<port_set>(gateway_.workers(), host_, *kernel_);
  }

  static api::port_record interface(const std::string& name) {
    api::port_record record;
    record.port = api::name(name);
    record.driver = api::port_driver_kind::tunnel;
    return record;
  }
  static api::sa_record sa(api::sa_direction direction, std::uint32_t spi, const char* name = "vpn") {
    auto record = sa_between(direction, esp_suite::aes128gcm16, spi);
    record.interface = api::name(name);
    set_prefixes(record, {"0.0.0.0/0", "::/0"}, {"0.0.0.0/0", "::/0"});
    return record;
  }
  static api::sa_record outbound(std::uint32_t spi) { return sa(api::sa_direction::outbound, spi); }
  void change(std::deque<api::sa_record> wanted, const std::vector<api::sa_record>& removed = {}) {
    auto prepared = sas_.prepare({.sas = wanted, .removed = removed, .moved = {}});
    ASSERT_TRUE(prepared) << prepared.error().reason;
    sas_.commit(**prepared);
    ports_->refresh_tunnels();
  }
  std::uint16_t open(const std::string& name = "vpn") {
    auto index = ports_->open(interface(name));
    EXPECT_TRUE(index) << index.error().reason;
    return *index;
  }
  static std::string route_to(std::uint16_t port, const char* destination, fib& routes, const ip_address& via = {}) {
    const fib::next_hop hop{port, via};
    const auto added =
        routes.add_route(parse_ip_prefix(destination).value(), route_verdict::forward, 0, std::span(&hop, 1));
    routes.commit();
    return added ? "" : added.error().reason;
  }
  // The packets that left for the peer, as the SPI that each was protected with; 0: none left, 1: in clear.
  std::uint32_t spi_of(const char* source, const char* destination) {
    gateway_.receive(inside, udp_packet(between(source, destination), 5000, 6000, filled(20)));
    gateway_.run();
    const auto out = gateway_.sent(outside);
    if (out.empty()) return 0;
    return out[0][9] == 50 ? static_cast<std::uint32_t>(read_be(out[0], 20, 4)) : 1;
  }
  static bool carrier(const char* name) {
    const auto flags = ip_json(std::string("link show ") + name)[0]["flags"];
    return std::find(flags.begin(), flags.end(), "LOWER_UP") != flags.end();
  }
  static int mtu(const char* name) { return ip_json(std::string("link show ") + name)[0]["mtu"]; }

  little_gateway gateway_;
  host_thread host_{gateway_.workers()};
  std::unique_ptr<kernel_sync> kernel_;
  std::unique_ptr<port_set> ports_;
  sa_set sas_{gateway_.tables(),
              engines(),
              gateway_.store(),
              1,
              [this](std::string_view name) { return ports_->find(name); },
              [](const api::event&) {}};
};

TEST_F(tunnel_ports, the_link_follows_the_sa) {
  const auto index = open();
  EXPECT_TRUE(is_tunnel_port(index));
  EXPECT_FALSE(carrier("tg-vpn"));
  change({outbound(1000)});
  EXPECT_TRUE(carrier("tg-vpn"));
  EXPECT_EQ(mtu("tg-vpn"), 1446);  // 1,500 - 20 - 8 - 8 - 16 = 1,448, of which the trailer takes 2
  gateway_.tables().ports[outside].mtu = 1400;
  ports_->refresh_tunnels();
  EXPECT_EQ(mtu("tg-vpn"), 1346);
  change({}, {outbound(1000)});
  EXPECT_FALSE(carrier("tg-vpn"));
  ports_->close("vpn");
  EXPECT_EQ(shell("ip -o link | grep -c tg-vpn || true")[0], '0');
}

TEST_F(tunnel_ports, the_sa_that_came_last_has_the_traffic) {
  ASSERT_EQ(route_to(open(), "10.7.0.0/16", *gateway_.tables().routes), "");
  EXPECT_EQ(spi_of("10.1.0.2", "10.7.0.1"), 0u);
  EXPECT_EQ(gateway_.drops(drop_reason::no_sa), 1u);
  change({outbound(1000)});
  EXPECT_EQ(spi_of("10.1.0.2", "10.7.0.1"), 1000u);
  EXPECT_EQ(spi_of("10.1.0.2", "10.8.0.1"), 0u) << "any-any selectors do not take what no route leads there";
  EXPECT_EQ(gateway_.drops(drop_reason::no_policy), 1u);
  change({outbound(900)});
  EXPECT_EQ(spi_of("10.1.0.2", "10.7.0.1"), 900u);
  change({}, {outbound(1000)});
  EXPECT_EQ(spi_of("10.1.0.2", "10.7.0.1"), 900u);
  change({outbound(1001)});
  change({}, {outbound(1001)});
  EXPECT_EQ(spi_of("10.1.0.2", "10.7.0.1"), 900u) << "the one before it is there still";
  change({}, {outbound(900)});
  EXPECT_EQ(spi_of("10.1.0.2", "10.7.0.1"), 0u);
  EXPECT_EQ(gateway_.drops(drop_reason::no_sa), 2u);
  ports_->close("vpn");
}

TEST_F(tunnel_ports, an_sa_for_one_ip_version_takes_no_other) {
  const auto index = open();
  ASSERT_EQ(route_to(index, "10.7.0.0/16", *gateway_.tables().routes), "");
  ASSERT_EQ(route_to(index, "fd07::/64", *gateway_.tables().routes), "");
  auto four = outbound(1000);
  set_prefixes(four, {"0.0.0.0/0"}, {"0.0.0.0/0"});
  change({four});
  EXPECT_EQ(spi_of("10.1.0.2", "10.7.0.1"), 1000u);
  EXPECT_EQ(spi_of("fd01::2", "fd07::1"), 0u);
  EXPECT_EQ(gateway_.drops(drop_reason::no_sa), 1u);
  ports_->close("vpn");
}

TEST_F(tunnel_ports, an_interface_opened_anew_has_its_sas_again) {
  open();
  change({outbound(1000), sa(api::sa_direction::inbound, 2000)});
  ports_->close("vpn");
  open("other");  // takes the number that vpn had
  const auto index = open();
  sas_.rebind_interfaces();
  ASSERT_EQ(route_to(index, "10.7.0.0/16", *gateway_.tables().routes), "");
  EXPECT_EQ(spi_of("10.1.0.2", "10.7.0.1"), 1000u);
  gateway_.receive(outside, esp_from_peer(sa(api::sa_direction::inbound, 2000),
                                          udp_packet(between("10.7.0.1", "10.1.0.1"), 1, 2, filled(20))));
  gateway_.run();
  EXPECT_EQ(gateway_.context().punted[index].get(), 1u);
  gateway_.run();
  ports_->close("vpn");
  ports_->close("other");
}

TEST_F(tunnel_ports, a_way_to_the_peer_through_a_tunnel_is_refused) {
  ASSERT_EQ(route_to(open(), "192.0.2.2/32", *gateway_.tables().routes, address("169.254.0.2")), "");
  change({outbound(1000)});
  ASSERT_EQ(route_to(ports_->find("vpn"), "10.7.0.0/16", *gateway_.tables().routes), "");
  EXPECT_EQ(spi_of("10.1.0.2", "10.7.0.1"), 0u);
  EXPECT_EQ(gateway_.drops(drop_reason::peer_behind_tunnel), 1u);
  ports_->close("vpn");
}

TEST_F(tunnel_ports, an_unknown_interface_is_refused_by_name) {
  std::deque<api::sa_record> wanted{outbound(1000)};
  const auto prepared = sas_.prepare({.sas = wanted, .removed = {}, .moved = {}});
  ASSERT_FALSE(prepared);
  EXPECT_NE(prepared.error().reason.find("there is no interface vpn"), std::string::npos) << prepared.error().reason;
}

TEST_F(tunnel_ports, there_is_room_for_128) {
  for (unsigned i = 0; i < tunnel_port_limit; ++i) open("t" + std::to_string(i));
  const auto more = ports_->open(interface("more"));
  ASSERT_FALSE(more);
  EXPECT_NE(more.error().reason.find("no more than 128 tunnels"), std::string::npos) << more.error().reason;
  for (unsigned i = 0; i < tunnel_port_limit; ++i) ports_->close("t" + std::to_string(i));
}

}  // namespace
}  // namespace trunkgate
