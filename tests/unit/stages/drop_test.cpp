// Every reason to drop a packet that no sender on the wire can provoke at will, provoked here.
#include <gtest/gtest.h>
#include <rte_cycles.h>

#include "tests/unit/stages/failing_engine.hpp"
#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

bytes inner(std::size_t size = 20) { return udp_packet(between("10.1.0.2", "10.2.0.3"), 5000, 6000, filled(size)); }
bytes for_the_kernel() { return udp_packet(between("192.0.2.2", "192.0.2.1"), 500, 500, filled(28)); }

class drop_test : public testing::Test {
 protected:
  // Puts a parsed packet before a stage, as an earlier stage would.
  void put(stage_id stage, path_id path, const bytes& ip) {
    auto* packet = gateway_.buffer(ip);
    auto& m = meta(packet);
    m.path = static_cast<std::uint8_t>(path);
    m.ip_version = ip[0] >> 4;
    m.ip_length = static_cast<std::uint16_t>(ip.size());
    m.ingress = inside;
    m.egress = outside;
    gateway_.context().put(packet, stage);
  }
  // Runs one stage of worker 0 on what waits before it.
  void run(stage_function function, stage_id stage) {
    auto& queue = gateway_.context().queues[static_cast<std::size_t>(stage)];
    for (std::size_t done = 0; done < queue.count; done += burst_limit)
      function(gateway_.context(), std::span(queue.packets.data() + done, std::min(burst_limit, queue.count - done)));
    queue.count = 0;
  }
  void set_state(const char* next_hop, bool usable, bool failed) {
    gateway_.tables().routes->set_neighbour(outside, address(next_hop), peer_mac, usable, failed);
    ++gateway_.tables().generation;
  }
  little_gateway gateway_;
};

TEST_F(drop_test, frame_truncated) {
  const auto frame = frame_of(outside_mac, peer_mac, inner());
  for (std::size_t size = 1; size < 14; ++size)
    gateway_.receive_frame(outside, {frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(size)});
  const auto tagged = frame_of(outside_mac, peer_mac, inner(), 5);
  for (std::size_t size = 14; size < 18; ++size)
    gateway_.receive_frame(outside, {tagged.begin(), tagged.begin() + static_cast<std::ptrdiff_t>(size)});
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::frame_truncated), 17u);
  EXPECT_EQ(gateway_.all_drops(), 17u);
}

TEST_F(drop_test, frames_for_others) {
  gateway_.receive_frame(outside, frame_of(outside_mac, peer_mac, inner(), 77));
  gateway_.receive_frame(outside, frame_of(host_mac, peer_mac, inner()));
  auto strange = frame_of(outside_mac, peer_mac, inner());
  strange[12] = 0x88;
  gateway_.receive_frame(outside, strange);
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::frame_unknown_vlan), 1u);
  EXPECT_EQ(gateway_.drops(drop_reason::frame_not_for_us), 1u);
  EXPECT_EQ(gateway_.drops(drop_reason::frame_unknown_ethertype), 1u);
}

TEST_F(drop_test, fragmentation_failed) {
  gateway_.add_rule("10.1.0.0/16", "10.5.0.0/16", api::policy_action::bypass);
  gateway_.tables().ports[outside].mtu = 600;
  gateway_.receive(inside, udp_packet(between("10.1.0.2", "10.5.0.3"), 1, 2, filled(1400)));
  std::vector<rte_mbuf*> taken;  // all buffers but the one that is on its way
  while (auto* packet = rte_pktmbuf_alloc(gateway_.pool())) taken.push_back(packet);
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::fragmentation_failed), 1u);
  EXPECT_TRUE(gateway_.sent(outside).empty());
  for (auto* packet : taken) rte_pktmbuf_free(packet);
}

TEST_F(drop_test, stage_queue_full) {
  for (std::size_t i = 0; i < stage_queue::room + 3; ++i) put(stage_id::policy, path_id::outbound, inner());
  EXPECT_EQ(gateway_.drops(drop_reason::stage_queue_full), 3u);
  EXPECT_EQ(gateway_.waiting_at(stage_id::policy).size(), std::size_t{stage_queue::room});
}

TEST_F(drop_test, punt_ring_full) {
  // Faster than the host thread takes them, slower than the policer: each turn is a minute later.
  constexpr unsigned ring = 2047;
  auto& context = gateway_.context();
  for (unsigned i = 0; i < ring + 5; ++i) {
    context.now_tsc = rte_rdtsc() + i * rte_get_tsc_hz() * 60;
    put(stage_id::punt, path_id::to_box, for_the_kernel());
    run(punt, stage_id::punt);
  }
  EXPECT_EQ(gateway_.drops(drop_reason::punt_ring_full), 5u);
  EXPECT_EQ(gateway_.punted().size(), ring);
}

TEST_F(drop_test, punt_rate_limited_by_kind) {
  auto& context = gateway_.context();
  context.now_tsc = rte_rdtsc();  // one instant for all
  const auto send = [&](const bytes& packet, unsigned count, std::uint8_t protocol, std::uint16_t port) {
    const auto before = gateway_.drops(drop_reason::punt_rate_limited);
    for (unsigned i = 0; i < count; ++i) {
      auto* one = gateway_.buffer(frame_of(outside_mac, peer_mac, packet));
      auto& m = meta(one);
      m.path = static_cast<std::uint8_t>(path_id::to_box);
      m.ip_version = 4;
      m.l2_length = 14;
      m.l4_offset = 20;
      m.protocol = protocol;
      m.destination_port = port;
      m.ingress = outside;
      context.put(one, stage_id::punt);
      if (i % 256 == 255 || i + 1 == count) run(punt, stage_id::punt);
    }
    (void)gateway_.punted();
    return gateway_.drops(drop_reason::punt_rate_limited) - before;
  };
  const auto ping = icmp_packet(between("192.0.2.2", "192.0.2.1"), 8, 0, filled(12));
  EXPECT_EQ(send(ping, 250, 1, 0), 50u) << "200 at once";
  EXPECT_EQ(send(for_the_kernel(), 450, 17, 500), 0u) << "another kind has its own bucket";
  EXPECT_EQ(send(for_the_kernel(), 900, 17, 500), 850u);
}

TEST_F(drop_test, transmit_queue_full) {
  gateway_.add_outbound(sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 500));
  gateway_.wire(outside).blocked = true;
  for (int i = 0; i < 4; ++i) gateway_.receive(inside, inner());
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::transmit_queue_full), 4u);
  gateway_.wire(outside).blocked = false;
  gateway_.receive(inside, inner());
  gateway_.run();
  EXPECT_EQ(gateway_.sent(outside).size(), 1u);
}

TEST_F(drop_test, port_down) {
  gateway_.add_outbound(sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 500));
  gateway_.tables().ports[outside].up = false;
  gateway_.receive(inside, inner());
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::port_down), 1u);
  // And one whose device has just gone, while the port still says that it is up.
  gateway_.tables().ports[outside].up = true;
  gateway_.workers().remove_device(gateway_.tables().ports[outside].device);
  gateway_.receive(inside, inner());
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::port_down), 2u);
}

TEST_F(drop_test, route_unreachable) {
  gateway_.add_rule("10.1.0.0/16", nullptr, api::policy_action::bypass);
  gateway_.receive(inside, udp_packet(between("10.1.0.2", "10.66.0.3"), 1, 2, {}));
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::route_unreachable), 1u);
  auto to_nowhere = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 501);
  to_nowhere.remote = address("10.66.0.9");
  set_prefixes(to_nowhere, {"fd01::/64"}, {"fd09::/64"});
  gateway_.add_outbound(to_nowhere);
  gateway_.receive(inside, udp_packet(between("fd01::2", "fd09::3"), 1, 2, {}));
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::route_unreachable), 2u);
}

TEST_F(drop_test, neighbour_unresolved_when_the_kernel_gave_up) {
  gateway_.add_outbound(sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 500));
  set_state("192.0.2.2", false, true);
  for (int i = 0; i < 3; ++i) gateway_.receive(inside, inner());
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::neighbour_unresolved), 3u);
  resolve_request request;
  ASSERT_TRUE(gateway_.workers().next_resolve(request)) << "it is asked again";
  EXPECT_EQ(request.address, address("192.0.2.2"));
  EXPECT_EQ(request.port, outside);
  EXPECT_FALSE(gateway_.workers().next_resolve(request)) << "but not for every packet";
}

TEST_F(drop_test, neighbour_queue_full_and_then_unresolved_when_none_answers) {
  gateway_.add_outbound(sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 500));
  set_state("192.0.2.2", false, false);
  for (int i = 0; i < 70; ++i) gateway_.receive(inside, inner());
  gateway_.run();
  auto& context = gateway_.context();
  EXPECT_EQ(gateway_.drops(drop_reason::neighbour_queue_full), 6u);
  EXPECT_EQ(context.waiting.count, 64u);
  EXPECT_TRUE(gateway_.sent(outside).empty());
  // Nobody answers: after a while they are given up.
  for (std::size_t i = 0; i < 32; ++i) meta(context.waiting.packets[i]).wait_started_ms -= 2000;
  while (gateway_.drops(drop_reason::neighbour_unresolved) == 0) gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::neighbour_unresolved), 32u);
  // The others leave in their order as soon as it does.
  set_state("192.0.2.2", true, false);
  while (context.waiting.count != 0) gateway_.run();
  EXPECT_EQ(gateway_.sent(outside).size(), 32u);
}

TEST_F(drop_test, icmp_error_suppressed) {
  gateway_.add_rule("10.1.0.0/16", nullptr, api::policy_action::bypass);
  auto ip = between("10.1.0.2", "10.5.0.3");
  ip.hops = 1;
  const auto expired = udp_packet(ip, 1, 2, {});
  gateway_.receive(inside, icmp_packet(ip, 3, 1, filled(32)));  // an error itself
  gateway_.receive(inside, icmp_packet(ip, 11, 0, filled(32)));
  auto later = ip;
  later.fragment = 0x2001;
  gateway_.receive(inside, ip_packet(later, filled(32)));
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::hop_limit_expired), 3u);
  EXPECT_EQ(gateway_.drops(drop_reason::icmp_error_suppressed), 3u);
  EXPECT_TRUE(gateway_.sent(inside).empty());
  // About what it may, but too often within one second (RFC 1812 4.3.2.8).
  auto& context = gateway_.context();
  for (int i = 0; i < 2; ++i) {
    gateway_.receive(inside, expired);
    gateway_.run();
    EXPECT_EQ(gateway_.sent(inside).size(), 1u);
  }
  const auto before = gateway_.drops(drop_reason::icmp_error_suppressed);
  const auto second = context.icmp_errors_second;
  context.icmp_errors_left = 0;
  put(stage_id::icmp_error, path_id::errors, expired);
  context.now_ms = second * 1000;
  run(icmp_error, stage_id::icmp_error);
  EXPECT_EQ(gateway_.drops(drop_reason::icmp_error_suppressed), before + 1);
}

TEST(drop_with_two_workers, handover_ring_full) {
  little_gateway gateway({.workers = 2});
  gateway.add_outbound(sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 500), 1);
  constexpr unsigned ring = 1023;
  // Worker 0 works, worker 1 does not. Device 0, queue 0 is worker 0's.
  for (unsigned i = 0; i < ring + 7; ++i) {
    gateway.receive(inside, inner());
    gateway.workers().workers()[0]->turn();
  }
  EXPECT_EQ(gateway.drops(drop_reason::handover_ring_full), 7u);
  gateway.run();
  EXPECT_EQ(gateway.sent(outside).size(), ring);
}

TEST(drop_with_a_broken_engine, esp_encryption_failed) {
  start_test_eal();
  auto real = make_openssl_engine();
  ASSERT_TRUE(real);
  std::vector<std::unique_ptr<esp_engine>> candidates;
  candidates.push_back(std::make_unique<failing_engine>(std::move(*real)));
  const auto engines = crypto_engines::start(std::move(candidates));
  ASSERT_TRUE(engines) << engines.error().reason;
  little_gateway gateway({.engines = &*engines});
  const auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 500);
  auto& sa = gateway.add_outbound(record);
  gateway.receive(inside, inner());
  gateway.run();
  EXPECT_EQ(gateway.sent(outside).size(), 1u);
  failing_engine::broken = true;
  for (int i = 0; i < 3; ++i) gateway.receive(inside, inner());
  gateway.run();
  EXPECT_EQ(gateway.drops(drop_reason::esp_encryption_failed), 3u);
  EXPECT_EQ(sa.counters.other_drops.get(), 3u);
  EXPECT_TRUE(gateway.sent(outside).empty()) << "nothing leaves unencrypted";
  failing_engine::broken = false;
}

}  // namespace
}  // namespace trunkgate
