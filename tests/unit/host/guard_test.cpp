#include <net/if.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>

#include <gtest/gtest.h>

#include "drivers/host/mirror.hpp"
#include "drivers/host/netdev_guard.hpp"
#include "drivers/host/tap.hpp"
#include "tests/unit/host/namespace.hpp"

namespace trunkgate {
namespace {

using testing::fresh_namespace;
using testing::ip_json;
using testing::packet_socket;
using testing::shell;

constexpr std::array<std::uint8_t, 6> mac{0x02, 0, 0, 0, 0, 0x17};

// wan <-> far, a veth pair whose far end is the wire: frames are put in and looked at there by packet sockets.
class guard : public ::testing::Test {
 protected:
  void SetUp() override {
    make_netdev();
    shell(
        "ip link add other type veth peer name other2; ip link set other2 up; ip link set other up; ip addr add "
        "10.9.0.1/24 dev other");
    for (const char* device : {"other", "other2"}) wait_for_link_local(device);  // their routes are in the picture too
    shell(
        "ip addr add 192.0.2.1/24 brd + dev wan; ip addr add 192.0.2.5/24 dev wan; ip addr add 10.1.0.1/16 dev wan "
        "label wan:1; "
        "ip addr add 2001:db8::1/64 dev wan nodad; ip addr add 2001:db8::2/128 dev wan nodad");
    shell(
        "ip route add 203.0.113.7 dev wan; ip route add default via 192.0.2.254 src 192.0.2.5; "
        "ip route add default via 203.0.113.7 metric 100; ip route add 198.51.100.0/24 via 10.1.0.9 metric 20 mtu "
        "1300; "
        "ip route append 198.51.100.0/24 via 10.1.0.10 metric 20; ip route add 172.16.0.0/12 via 192.0.2.9 table 77; "
        "ip route add 100.64.0.0/10 nexthop via 192.0.2.9 weight 2 nexthop via 10.9.0.9; "
        "ip -6 route add default via fe80::99 dev wan; ip -6 route add 2001:db8:5::/48 via 2001:db8::9 src 2001:db8::2 "
        "metric 50");
    open_tap();
  }
  static void make_netdev() {
    shell(
        "ip link add wan address 02:00:00:00:00:17 type veth peer name far; "
        "echo 0 >/proc/sys/net/ipv6/conf/wan/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/far/disable_ipv6; "
        "ip link set far up; ip link set wan up");
    wait_for_link_local("wan");
  }
  // The kernel notices the carrier, and makes the address, up to a second after the link came up.
  static void wait_for_link_local(const std::string& device) {
    shell("for i in $(seq 2000); do ip -6 addr show dev " + device +
          " scope link | grep -q fe80 && exit; done; exit 1");
  }
  void open_tap() {
    auto opened = tap_device::open("tg0", mac, 1500);
    ASSERT_TRUE(opened) << opened.error().reason;
    tap.emplace(std::move(*opened));
  }
  std::unique_ptr<netdev_guard> engage() {
    auto made = netdev_guard::engage("wan", "tg0");
    EXPECT_TRUE(made) << made.error().reason;
    return made ? std::move(*made) : nullptr;
  }
  // What `ip` shows of the netdev, and of all routes but the TAP's own.
  static std::string picture() {
    shell("for i in $(seq 2000); do ip -6 addr show tentative | grep -q inet6 || exit 0; done; exit 1");
    // An IPv6 address is there before the kernel's worker has added its local route.
    shell(
        "for a in $(ip -6 -o addr show dev wan | awk '{ sub(\"/.*\", \"\", $4); print $4 }'); do "
        "for i in $(seq 2000); do ip -6 route show table local | grep -q \"local $a dev wan\" && break; done; done");
    nlohmann::json shown;
    shown["addresses"] = ip_json("addr show dev wan");
    for (const char* family : {"-4", "-6"})
      for (auto& entry : ip_json(std::string(family) + " route show table all"))
        if (entry.value("dev", "") != "tg0") shown[family].push_back(entry);
    if (shown.contains("-6")) std::sort(shown["-6"].begin(), shown["-6"].end());
    return shown.dump(1);
  }
  static void expect_moved() {
    EXPECT_TRUE(ip_json("addr show dev wan")[0]["addr_info"].empty());
    EXPECT_TRUE(ip_json("-4 route show table all dev wan").empty());
    const std::string on_tap = shell("ip addr show dev tg0");
    for (const char* address : {"192.0.2.1/24 brd 192.0.2.255 scope global tg0", "192.0.2.5/24",
                                "10.1.0.1/16 scope global tg0:1", "2001:db8::1/64", "2001:db8::2/128", "fe80::"})
      EXPECT_NE(on_tap.find(address), std::string::npos) << address << "\n" << on_tap;
    const std::string routes = shell("{ ip route show table all; ip -6 route show table all; } | sed 's/ linkdown//'");
    for (const char* route :
         {"default via 192.0.2.254 dev tg0 src 192.0.2.5", "default via 203.0.113.7 dev tg0 metric 100",
          "203.0.113.7 dev tg0 scope link", "198.51.100.0/24 via 10.1.0.9 dev tg0 metric 20 mtu 1300",
          "198.51.100.0/24 via 10.1.0.10 dev tg0 metric 20", "172.16.0.0/12 via 192.0.2.9 dev tg0 table 77",
          "nexthop via 192.0.2.9 dev tg0 weight 2", "nexthop via 10.9.0.9 dev other weight 1",
          "default via fe80::99 dev tg0 metric 1024",
          "2001:db8:5::/48 via 2001:db8::9 dev tg0 src 2001:db8::2 metric 50"})
      EXPECT_NE(routes.find(route), std::string::npos) << route << "\n" << routes;
  }

  fresh_namespace here_;
  std::optional<tap_device> tap;
};

std::string arp_request(const char* target) {
  std::string frame(6, '\xff');
  frame += std::string("\x02\0\0\0\0\x99", 6) + "\x08\x06" + std::string("\0\x01\x08\0\x06\x04\0\x01", 8);
  frame += std::string("\x02\0\0\0\0\x99", 6) + std::string("\xc0\0\x02\x63", 4) + std::string(6, '\0') +
           std::string(target, 4);
  return frame;
}
const std::string arp_reply = std::string("\0\x02\x02\0\0\0\0\x17", 8);  // "is at 02:00:00:00:00:17"

// ICMP echo request 192.0.2.99 > 192.0.2.1, checksums included.
std::string echo_request() {
  std::string frame = std::string("\x02\0\0\0\0\x17\x02\0\0\0\0\x99\x08\0", 14);
  frame += std::string("\x45\0\0\x20\0\0\0\0\x40\x01\xf6\x78\xc0\0\x02\x63\xc0\0\x02\x01", 20);
  frame += std::string("\x08\0\x33\x37\0\x01\0\x01", 8) + std::string("abcd", 4);
  return frame;
}

std::string ipv4_packets_received() { return shell("awk '/^Ip: [0-9]/ { print $4 }' /proc/net/snmp"); }

TEST_F(guard, keeps_the_kernel_off_but_shows_packet_sockets_all) {
  const packet_socket wire("far");
  const auto ask = [&] { wire.send(arp_request("\xc0\0\x02\x01")); };
  ask();
  ASSERT_TRUE(wire.sees(arp_reply, 2000)) << "the test can't see an ARP reply";
  shell("ip neigh replace 192.0.2.99 lladdr 02:00:00:00:00:99 dev wan nud permanent");
  wire.send(echo_request());
  ASSERT_TRUE(wire.sees(std::string("\0\0\x3b\x37\0\x01\0\x01", 8), 2000)) << "the test can't see an echo reply";

  const auto engaged = engage();
  ASSERT_NE(engaged, nullptr);
  expect_moved();
  shell("ip neigh replace 192.0.2.99 lladdr 02:00:00:00:00:99 dev wan nud permanent");
  const packet_socket data_plane("wan");
  ask();
  EXPECT_TRUE(data_plane.sees(arp_request("\xc0\0\x02\x01"), 2000));
  EXPECT_FALSE(wire.sees(arp_reply, 300));
  const std::string received = ipv4_packets_received();
  wire.send(echo_request());
  EXPECT_TRUE(data_plane.sees(echo_request(), 2000));
  // Its address is the TAP's now: without the drop rule the kernel would take the packet for itself.
  EXPECT_EQ(ipv4_packets_received(), received);
  EXPECT_FALSE(wire.sees(std::string("\0\0\x3b\x37\0\x01\0\x01", 8), 300));
  ASSERT_TRUE(engaged->release());
  ask();
  EXPECT_TRUE(wire.sees(arp_reply, 2000));
}

TEST_F(guard, release_restores_what_was_there) {
  const std::string before = picture();
  const auto engaged = engage();
  ASSERT_NE(engaged, nullptr);
  expect_moved();
  EXPECT_NE(shell("ip link show wan").find("NOARP"), std::string::npos);
  EXPECT_EQ(ip_json("-d link show dev wan")[0]["inet6_addr_gen_mode"], "none");
  EXPECT_NE(picture(), before);
  const auto released = engaged->release();
  ASSERT_TRUE(released) << released.error().reason;
  EXPECT_EQ(picture(), before);
  EXPECT_EQ(ip_json("-d link show dev wan")[0]["inet6_addr_gen_mode"], "eui64");
  EXPECT_EQ(shell("nft list ruleset"), "");
}

TEST_F(guard, a_successor_after_a_crash_takes_over) {
  shell("ip link set wan addrgenmode none");
  const std::string before = picture();
  (void)engage();  // its object goes without release, its TAP's descriptor is closed
  tap.reset();
  expect_moved();
  EXPECT_NE(shell("nft list ruleset").find("drop"), std::string::npos);
  open_tap();
  const auto mirror = kernel_mirror::open({});
  ASSERT_TRUE(mirror);
  const int index = tap->index();
  const auto configured = parse_ip_prefix("192.168.7.1/24").value();
  ASSERT_TRUE((*mirror)->add_address(index, configured));
  ASSERT_TRUE(
      (*mirror)->add_route(parse_ip_prefix("192.168.9.0/24").value(), parse_ip_address("192.168.7.2").value(), index));
  const auto engaged = engage();
  ASSERT_NE(engaged, nullptr);
  expect_moved();
  const auto released = engaged->release({configured});
  ASSERT_TRUE(released) << released.error().reason;
  ASSERT_TRUE(tap->remove());
  EXPECT_EQ(ip_json("-d link show dev wan")[0]["inet6_addr_gen_mode"], "none");
  EXPECT_EQ(shell("ip addr show dev wan").find("192.168.7.1"), std::string::npos);
  EXPECT_EQ(shell("ip route").find("192.168."), std::string::npos);
  const std::string after = picture();
  for (const char* address :
       {"192.0.2.1", "192.0.2.5", "wan:1", "2001:db8::1", "2001:db8::2", "203.0.113.7", "fe80::99"})
    EXPECT_NE(after.find(address), std::string::npos) << address;
  EXPECT_EQ(shell("nft list ruleset"), "");
}

TEST_F(guard, the_netdev_comes_back) {
  const auto engaged = engage();
  ASSERT_NE(engaged, nullptr);
  shell("ip link del wan");
  EXPECT_NE(shell("ip route").find("default via 192.0.2.254 dev tg0 src 192.0.2.5"), std::string::npos);
  EXPECT_FALSE(engaged->reengage());
  make_netdev();
  shell("ip addr add 192.0.2.1/24 dev wan");  // as a network manager would
  const auto again = engaged->reengage();
  ASSERT_TRUE(again) << again.error().reason;
  EXPECT_TRUE(ip_json("addr show dev wan")[0]["addr_info"].empty());
  const packet_socket wire("far");
  const packet_socket data_plane("wan");
  wire.send(arp_request("\xc0\0\x02\x01"));
  EXPECT_TRUE(data_plane.sees(arp_request("\xc0\0\x02\x01"), 2000));
  EXPECT_FALSE(wire.sees(arp_reply, 300));
  ASSERT_TRUE(engaged->reengage());  // once more without need
  ASSERT_TRUE(engaged->release());
  wire.send(arp_request("\xc0\0\x02\x01"));
  EXPECT_TRUE(wire.sees(arp_reply, 2000));
}

TEST_F(guard, says_what_is_missing) {
  const auto absent = netdev_guard::engage("nothing", "tg0");  // it may come later
  ASSERT_TRUE(absent);
  EXPECT_FALSE((*absent)->reengage());
  EXPECT_FALSE(netdev_guard::engage("wan", "nothing"));
}

TEST(kernel_forwarding, is_turned_off_everywhere) {
  const fresh_namespace here;
  shell("ip link add lan0 type veth peer name lan1; sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
  ASSERT_TRUE(forbid_kernel_forwarding());
  shell("sysctl -qw net.ipv4.conf.lan0.forwarding=1");  // one device by itself
  ASSERT_TRUE(forbid_kernel_forwarding());
  EXPECT_EQ(shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/net/ipv4/conf/lan0/forwarding "
                  "/proc/sys/net/ipv6/conf/lan0/forwarding "
                  "/proc/sys/net/ipv6/conf/all/forwarding"),
            "0\n0\n0\n0\n");
}

}  // namespace
}  // namespace trunkgate
