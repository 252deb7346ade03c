#include "drivers/host/mirror.hpp"

#include <net/if.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <fstream>
#include <map>
#include <optional>
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/host/namespace.hpp"

namespace trunkgate {
namespace {

using testing::fresh_namespace;
using testing::ip_json;
using testing::shell;

ip_address address(const char* text) { return parse_ip_address(text).value(); }
ip_prefix prefix(const char* text) { return parse_ip_prefix(text).value(); }
int index_of(const char* device) { return static_cast<int>(::if_nametoindex(device)); }

// The picture a listener has who knows nothing but the events.
class mirror : public ::testing::Test {
 protected:
  void open() {
    mirror_events events;
    events.link = [this](const kernel_link& link, bool present) {
      links.erase(link.index);
      if (present) links[link.index] = link;
    };
    events.address = [this](int link, const ip_prefix& at, bool present) {
      EXPECT_EQ(addresses.contains({link, at}), !present);
      addresses.erase({link, at});
      if (present) addresses.emplace(link, at);
    };
    events.neighbour = [this](const kernel_neighbour& neighbour, bool present) {
      neighbours.erase({neighbour.link, neighbour.address});
      if (present) neighbours[{neighbour.link, neighbour.address}] = neighbour;
    };
    events.route = [this](const kernel_route& route, bool present) {
      EXPECT_TRUE(present || routes.contains({route.destination, route.metric}));
      routes.erase({route.destination, route.metric});
      if (present) routes[{route.destination, route.metric}] = route;
    };
    auto opened = kernel_mirror::open(std::move(events));
    ASSERT_TRUE(opened) << opened.error().reason;
    mirror_ = std::move(*opened);
    dispatch();
  }
  void dispatch() {
    const auto done = mirror_->dispatch();
    ASSERT_TRUE(done) << done.error().reason;
  }
  template <class Condition>
  bool until(Condition condition, int milliseconds = 5000) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
    while (!condition()) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
      pollfd waiting{mirror_->descriptor(), POLLIN, 0};
      if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) return condition();
      dispatch();
    }
    return true;
  }
  const kernel_route* route(const char* destination, std::uint32_t metric = 0) {
    const auto found = routes.find({prefix(destination), metric});
    return found == routes.end() ? nullptr : &found->second;
  }

  fresh_namespace here_;
  std::unique_ptr<kernel_mirror> mirror_;
  std::map<int, kernel_link> links;
  std::set<std::pair<int, ip_prefix>> addresses;
  std::map<std::pair<int, ip_address>, kernel_neighbour> neighbours;
  std::map<std::pair<ip_prefix, std::uint32_t>, kernel_route> routes;
};

void make_veth() { shell("ip link add veth0 type veth peer name veth1; ip link set veth0 up; ip link set veth1 up"); }

TEST_F(mirror, first_dispatch_tells_what_is_there) {
  make_veth();
  shell("ip addr add 192.0.2.1/24 dev veth0; ip addr add 2001:db8::1/64 dev veth0 nodad");
  shell("ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev veth0; ip neigh add proxy 192.0.2.10 dev veth0");
  shell("ip route add 198.51.100.0/24 via 192.0.2.9 metric 7; ip -6 route add default via 2001:db8::9");
  open();
  const int veth = index_of("veth0");
  ASSERT_TRUE(links.contains(veth));
  EXPECT_EQ(links[veth].name, "veth0");
  EXPECT_EQ(links[veth].mtu, 1500U);
  EXPECT_TRUE(links[veth].up);
  EXPECT_TRUE(addresses.contains({veth, prefix("192.0.2.1/24")}));
  EXPECT_TRUE(addresses.contains({veth, prefix("2001:db8::1/64")}));
  ASSERT_TRUE(neighbours.contains({veth, address("192.0.2.9")}));
  EXPECT_TRUE((neighbours[{veth, address("192.0.2.9")}].usable));
  EXPECT_FALSE(neighbours.contains({veth, address("192.0.2.10")}));
  ASSERT_NE(route("198.51.100.0/24", 7), nullptr);
  EXPECT_EQ(route("198.51.100.0/24", 7)->next_hops.at(0).gateway, address("192.0.2.9"));
  ASSERT_NE(route("192.0.2.1/32"), nullptr);
  EXPECT_EQ(route("192.0.2.1/32")->kind, kernel_route_kind::local);
  ASSERT_NE(route("192.0.2.255/32"), nullptr);
  EXPECT_EQ(route("192.0.2.255/32")->kind, kernel_route_kind::broadcast);
  ASSERT_NE(route("2001:db8::1/128"), nullptr);
  EXPECT_EQ(route("2001:db8::1/128")->kind, kernel_route_kind::local);
  ASSERT_NE(route("::/0", 1024), nullptr);
  ASSERT_NE(route("ff00::/8", 256), nullptr);
  EXPECT_EQ(route("ff00::/8", 256)->kind, kernel_route_kind::multicast);
}

TEST_F(mirror, follows_links_and_addresses) {
  open();
  make_veth();
  const int veth = index_of("veth0");
  ASSERT_TRUE(until([&] { return links.contains(veth) && links[veth].up; }));
  shell("ip link set veth1 down");  // veth0 loses its carrier
  EXPECT_TRUE(until([&] { return !links[veth].up; }));
  shell("ip link set veth1 up; ip addr add 192.0.2.1/24 dev veth0; ip link set veth0 mtu 1400");
  EXPECT_TRUE(until([&] { return addresses.contains({veth, prefix("192.0.2.1/24")}) && links[veth].mtu == 1400; }));
  shell("ip addr del 192.0.2.1/24 dev veth0");
  EXPECT_TRUE(until([&] { return !addresses.contains({veth, prefix("192.0.2.1/24")}); }));
  shell("ip link del veth0");
  EXPECT_TRUE(until([&] { return !links.contains(veth); }));
}

TEST_F(mirror, follows_routes) {
  make_veth();
  shell("ip addr add 192.0.2.1/24 dev veth0; ip addr add 2001:db8::1/64 dev veth0 nodad");
  open();
  shell(
      "ip route add 203.0.113.0/24 via 192.0.2.2; ip route add blackhole 198.51.100.0/24; "
      "ip route add 10.0.0.0/8 nexthop via 192.0.2.2 nexthop via 192.0.2.3; ip -6 route add 2001:db8:1::/48 via "
      "2001:db8::2");
  EXPECT_TRUE(until([&] {
    return route("203.0.113.0/24") && route("198.51.100.0/24") && route("10.0.0.0/8") && route("2001:db8:1::/48", 1024);
  }));
  EXPECT_EQ(route("198.51.100.0/24")->kind, kernel_route_kind::unreachable);
  EXPECT_EQ(route("10.0.0.0/8")->next_hops.size(), 2U);
  EXPECT_EQ(route("10.0.0.0/8")->next_hops.at(1).gateway, address("192.0.2.3"));
  shell("ip route replace 203.0.113.0/24 via 192.0.2.7; ip -6 route append 2001:db8:1::/48 via 2001:db8::3");
  EXPECT_TRUE(until([&] { return route("203.0.113.0/24")->next_hops.at(0).gateway == address("192.0.2.7"); }));
  EXPECT_TRUE(until([&] { return route("2001:db8:1::/48", 1024)->next_hops.size() == 2; }));
  shell("ip -6 route del 2001:db8:1::/48 via 2001:db8::2");
  EXPECT_TRUE(until([&] { return route("2001:db8:1::/48", 1024)->next_hops.size() == 1; }));
  EXPECT_EQ(route("2001:db8:1::/48", 1024)->next_hops.at(0).gateway, address("2001:db8::3"));
  shell("ip route del 203.0.113.0/24; ip route del blackhole 198.51.100.0/24; ip -6 route del 2001:db8:1::/48");
  EXPECT_TRUE(
      until([&] { return !route("203.0.113.0/24") && !route("198.51.100.0/24") && !route("2001:db8:1::/48", 1024); }));
}

// The kernel sends no RTM_DELROUTE for IPv4 routes that a link takes with it.
TEST_F(mirror, sees_ipv4_routes_go_with_their_link) {
  make_veth();
  shell("ip addr add 192.0.2.1/24 dev veth0; ip route add 203.0.113.0/24 via 192.0.2.2");
  open();
  ASSERT_NE(route("203.0.113.0/24"), nullptr);
  shell("ip link set veth0 down");
  EXPECT_TRUE(until([&] { return !route("203.0.113.0/24"); }));
}

TEST_F(mirror, local_table_wins_and_the_main_route_reappears) {
  make_veth();
  shell("ip addr add 192.0.2.1/24 dev veth0; ip route add 203.0.113.1/32 via 192.0.2.2");
  open();
  shell("ip route add local 203.0.113.1/32 dev lo");
  EXPECT_TRUE(until([&] { return route("203.0.113.1/32")->kind == kernel_route_kind::local; }));
  shell("ip route del local 203.0.113.1/32 dev lo table local");
  EXPECT_TRUE(until([&] { return route("203.0.113.1/32")->kind == kernel_route_kind::forward; }));
}

TEST_F(mirror, resolves_neighbours_by_real_arp_and_ndp) {
  // The other end is in a namespace of its own, which dies with the sleeping process.
  shell(
      "ip link add veth0 type veth peer name veth1; ip link set veth0 up; ip addr add 192.0.2.1/24 dev veth0; "
      "ip addr add 2001:db8::1/64 dev veth0 nodad");
  const std::string holder = shell("unshare -n sleep 60 >/dev/null 2>&1 & echo -n $!");
  const std::string inside = "nsenter -t " + holder + " -n ";
  shell("while [ $(readlink /proc/" + holder +
        "/ns/net) = $(readlink /proc/self/ns/net) ]; do :; done; ip link set veth1 netns " + holder);
  shell(inside + "ip link set veth1 address 02:00:00:00:00:22 up; " + inside + "ip addr add 192.0.2.2/24 dev veth1; " +
        inside + "ip addr add 2001:db8::2/64 dev veth1 nodad");
  open();
  const int veth = index_of("veth0");
  for (const char* other : {"192.0.2.2", "2001:db8::2"}) {
    mirror_->resolve(veth, address(other));
    const std::pair<int, ip_address> key{veth, address(other)};
    EXPECT_TRUE(until([&] { return neighbours.contains(key) && neighbours[key].usable; })) << other;
    EXPECT_EQ(neighbours[key].mac, (std::array<std::uint8_t, 6>{2, 0, 0, 0, 0, 0x22}));
  }
  mirror_->resolve(veth, address("192.0.2.77"));  // nobody
  const std::pair<int, ip_address> nobody{veth, address("192.0.2.77")};
  EXPECT_TRUE(until([&] { return neighbours.contains(nobody); }, 8000));
  EXPECT_FALSE(neighbours[nobody].usable);
  shell("ip neigh flush dev veth0; kill " + holder);
  EXPECT_TRUE(until([&] { return !neighbours.contains({veth, address("192.0.2.2")}); }));
}

TEST_F(mirror, adds_and_removes_idempotently) {
  make_veth();
  open();
  const int veth = index_of("veth0");
  for (int twice = 0; twice < 2; ++twice) {
    EXPECT_TRUE(mirror_->add_address(veth, prefix("192.0.2.1/24")));
    EXPECT_TRUE(mirror_->add_address(veth, prefix("2001:db8::1/64")));
    EXPECT_TRUE(mirror_->add_route(prefix("203.0.113.0/24"), address("192.0.2.2"), 0));
    EXPECT_TRUE(mirror_->add_route(prefix("198.51.100.0/24"), {}, veth));
    EXPECT_TRUE(mirror_->add_route(prefix("2001:db8:1::/48"), address("2001:db8::2"), veth));
  }
  EXPECT_EQ(ip_json("route show 203.0.113.0/24")[0]["gateway"], "192.0.2.2");
  EXPECT_EQ(ip_json("route show 198.51.100.0/24")[0]["scope"], "link");
  EXPECT_EQ(ip_json("-6 route show 2001:db8:1::/48")[0]["gateway"], "2001:db8::2");
  EXPECT_TRUE(until([&] { return route("203.0.113.0/24") && addresses.contains({veth, prefix("2001:db8::1/64")}); }));
  for (int twice = 0; twice < 2; ++twice) {
    EXPECT_TRUE(mirror_->remove_route(prefix("203.0.113.0/24"), address("192.0.2.2"), 0));
    EXPECT_TRUE(mirror_->remove_route(prefix("198.51.100.0/24"), {}, veth));
    EXPECT_TRUE(mirror_->remove_route(prefix("2001:db8:1::/48"), address("2001:db8::2"), veth));
    EXPECT_TRUE(mirror_->remove_address(veth, prefix("192.0.2.1/24")));
    EXPECT_TRUE(mirror_->remove_address(veth, prefix("2001:db8::1/64")));
  }
  EXPECT_TRUE(ip_json("route show").empty());
  EXPECT_TRUE(until([&] { return !route("203.0.113.0/24") && !addresses.contains({veth, prefix("192.0.2.1/24")}); }));
  EXPECT_FALSE(mirror_->add_route(prefix("203.0.113.0/24"), {}, 0));
  EXPECT_FALSE(mirror_->add_route(prefix("203.0.113.0/24"), address("192.0.2.2"), 0));  // no way to the gateway now
}

// Nobody calls dispatch() while the routes come: whether they fit the socket's buffer or overrun it, none may be
// missing.
TEST_F(mirror, many_routes_are_told_and_taken_back) {
  make_veth();
  shell("ip addr add 192.0.2.1/24 dev veth0");
  open();
  const auto told = [&] {  // the link's own IPv6 routes come and go meanwhile
    return std::ranges::count_if(
        routes, [](const auto& entry) { return prefix("10.0.0.0/8").contains(entry.first.first.address); });
  };
  constexpr int count = 100000;
  const std::string file = ::testing::TempDir() + "trunkgate-routes";
  const auto batch = [&](const char* verb) {
    std::ofstream out(file);
    for (int i = 0; i < count; ++i)
      out << "route " << verb << " 10." << i / 65536 << '.' << i / 256 % 256 << '.' << i % 256 << "/32 via 192.0.2.2\n";
    out.close();
    shell("ip -batch " + file);
  };
  batch("add");
  EXPECT_TRUE(until([&] { return told() == count; }, 20000)) << told();
  batch("del");
  EXPECT_TRUE(until([&] { return told() == 0; }, 20000)) << told();
}

}  // namespace
}  // namespace trunkgate
