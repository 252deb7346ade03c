#include <atomic>
#include <set>
#include <thread>

#include "tests/unit/port/frames.hpp"
#include "tests/unit/port/network_fixture.hpp"

namespace trunkgate::testing {
namespace {

// The port is on "wan" in the test's namespace; its cable ends at "far" in a namespace that the kernel serves.
struct af_packet : port_test {
  void SetUp() override {
    port_test::SetUp();
    far_ = std::make_unique<network_namespace>();
    connect();
  }
  void TearDown() override { run("ip link del wan 2>/dev/null || true"); }

  void connect() {
    run("ip link add wan type veth peer name far netns " + far_->path());
    run("sysctl -qw net.ipv6.conf.wan.disable_ipv6=1");
    run("ip link set wan up");
    far_->inside([] {
      run("sysctl -qw net.ipv6.conf.far.disable_ipv6=1");
      run("ip link set far up");
      run("ip address add 192.0.2.1/24 dev far");
      run("ip neighbour add 192.0.2.2 lladdr 02:00:00:00:00:02 dev far");
      wait_for_carrier("far");
    });
    wait_for_carrier("wan");
  }
  [[nodiscard]] std::unique_ptr<port_driver> open(std::uint16_t queues = 1) const {
    return open_or_fail(
        {.device = "wan", .kind = port_kind::automatic, .queues = queues, .mtu = 0, .pool = pool_.get()});
  }
  void far_sends(const std::string& text) const {
    far_->inside([&] { raw_socket("far", false).send(make_marker(text)); });
  }
  static std::string next_marker(port_driver& port) {
    while (auto* frame = receive_one(port)) {
      const auto text = marker_text(bytes_of(frame));
      rte_pktmbuf_free(frame);
      if (!text.empty()) return text;
    }
    return "nothing";
  }

  std::unique_ptr<network_namespace> far_;
};

TEST_F(af_packet, is_the_choice_for_a_veth_and_says_why) {
  const auto port = open();
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->description().path, "af_packet");
  EXPECT_TRUE(contains(port->description().note, "partial checksums"));
  EXPECT_EQ(port->description().netdev, "wan");
  EXPECT_EQ(port->description().mtu, 1500);
  EXPECT_TRUE(refresh_until(*port, [&] { return port->up(); }));
}

TEST_F(af_packet, unknown_device_names_those_that_exist) {
  const auto port = open_port({.device = "wann", .pool = pool_.get()});
  ASSERT_FALSE(port);
  EXPECT_TRUE(contains(port.error().reason, "wann"));
  EXPECT_TRUE(contains(port.error().reason, "wan,"));
}

TEST_F(af_packet, sets_the_mtu_that_is_asked_for) {
  const auto port = open_or_fail({.device = "wan", .mtu = 1400, .pool = pool_.get()});
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->description().mtu, 1400);
  run("ip link show wan | grep -q 'mtu 1400 '");
}

TEST_F(af_packet, sends_whole_and_chained_frames) {
  const auto port = open();
  ASSERT_NE(port, nullptr);
  const auto marker = make_marker("a frame in three pieces");
  const std::span<const std::uint8_t> bytes(marker);
  auto* chain = to_mbuf(pool_.get(), bytes.first(14));
  ASSERT_EQ(rte_pktmbuf_chain(chain, to_mbuf(pool_.get(), bytes.subspan(14, 10))), 0);
  ASSERT_EQ(rte_pktmbuf_chain(chain, to_mbuf(pool_.get(), bytes.subspan(24))), 0);
  far_->inside([&] {
    const raw_socket judge("far", false);
    rte_mbuf* frames[] = {to_mbuf(pool_.get(), make_marker("whole")), chain};
    EXPECT_EQ(port->transmit(0, frames, 2), 2);
    EXPECT_EQ(judge.receive(), make_marker("whole"));
    EXPECT_EQ(judge.receive(), marker);
  });
  EXPECT_EQ(port->counters().tx_packets, 2u);
  EXPECT_EQ(port->counters().tx_bytes, 120u);
}

TEST_F(af_packet, a_frame_longer_than_the_mtu_is_dropped_alone) {
  const auto port = open();
  ASSERT_NE(port, nullptr);
  rte_mbuf* frames[] = {to_mbuf(pool_.get(), frame_bytes(1800, 2)), to_mbuf(pool_.get(), make_marker("next"))};
  far_->inside([&] {
    const raw_socket judge("far", false);
    EXPECT_EQ(port->transmit(0, frames, 2), 2);
    EXPECT_EQ(judge.receive(), make_marker("next"));
  });
  EXPECT_EQ(port->counters().tx_dropped, 1u);
  EXPECT_EQ(port->counters().tx_packets, 1u);
}

TEST_F(af_packet, own_frames_do_not_come_back) {
  for (const std::uint16_t queues : {1, 2}) {
    const auto port = open(queues);
    ASSERT_NE(port, nullptr);
    EXPECT_EQ(port->description().rss, queues == 2);
    rte_mbuf* frame = to_mbuf(pool_.get(), make_marker("own"));
    ASSERT_EQ(port->transmit(0, &frame, 1), 1);
    raw_socket("wan", false).send(make_marker("of this host"));
    far_sends("theirs");
    std::multiset<std::string> seen;
    for (int attempt = 0; attempt < 200000 && seen.empty(); ++attempt)
      for (std::uint16_t queue = 0; queue < queues; ++queue)
        while (port->receive(queue, &frame, 1) == 1) {
          if (const auto text = marker_text(bytes_of(frame)); !text.empty()) seen.insert(text);
          rte_pktmbuf_free(frame);
        }
    EXPECT_EQ(seen, std::multiset<std::string>{"theirs"});
  }
}

TEST_F(af_packet, two_queues_share_the_flows) {
  const auto port = open(2);
  ASSERT_NE(port, nullptr);
  far_->inside([] {
    run("python3 -c 'import socket\n"
        "for p in range(64):\n"
        "  s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM); s.bind((\"192.0.2.1\",30000+p))\n"
        "  s.sendto(b\"x\"*100,(\"192.0.2.2\",9))'");
  });
  int seen[2] = {};
  for (std::uint16_t queue = 0; queue < 2; ++queue) {
    rte_mbuf* frame = nullptr;
    while (port->receive(queue, &frame, 1) == 1) {
      EXPECT_TRUE(checksums_right(frame));
      ++seen[queue];
      rte_pktmbuf_free(frame);
    }
  }
  EXPECT_EQ(seen[0] + seen[1], 64);
  EXPECT_GT(seen[0], 0);
  EXPECT_GT(seen[1], 0);
}

TEST_F(af_packet, vlan_tag_is_kept_and_checksum_complete) {
  const auto port = open();
  ASSERT_NE(port, nullptr);
  const frame_shape shape{.tcp = false, .payload = 700, .tagged = true};
  const auto sent = make_frame(shape);
  far_->inside([&] { raw_socket("far", true).send(sent, make_request(shape, 0)); });
  auto* frame = receive_one(*port);
  ASSERT_NE(frame, nullptr);
  const auto bytes = bytes_of(frame);
  EXPECT_EQ(part(bytes, 0, 44), part(sent, 0, 44));  // all in front of the checksum
  EXPECT_EQ(part(bytes, 46, 700), part(sent, 46, 700));
  EXPECT_EQ(bytes.size(), sent.size());
  EXPECT_TRUE(checksums_right(frame));
  rte_pktmbuf_free(frame);
}

TEST_F(af_packet, tagged_long_frames_are_cut_and_tagged) {
  const auto port = open();
  ASSERT_NE(port, nullptr);
  const frame_shape shape{.payload = 10000, .tagged = true};
  far_->inside([&] { raw_socket("far", true).send(make_frame(shape), make_request(shape, 1400)); });
  for (int segment = 0; segment < 8; ++segment) {
    auto* frame = receive_one(*port);
    ASSERT_NE(frame, nullptr);
    EXPECT_EQ(part(bytes_of(frame), 12, 6), (frame_bytes{0x81, 0x00, 0x00, 0x09, 0x08, 0x00}));
    EXPECT_TRUE(checksums_right(frame));
    rte_pktmbuf_free(frame);
  }
}

TEST_F(af_packet, frame_longer_than_a_buffer_is_dropped_and_counted) {
  run("ip link set wan mtu 9000");
  far_->inside([] { run("ip link set far mtu 9000"); });
  const auto port = open();
  ASSERT_NE(port, nullptr);
  const frame_shape shape{.payload = 5000};
  far_->inside([&] {
    const raw_socket sender("far", true);
    sender.send(make_frame(shape), make_request(shape, 0));
    sender.send(make_marker("after"), {});
  });
  EXPECT_EQ(next_marker(*port), "after");
  EXPECT_EQ(port->counters().rx_dropped, 1u);
}

TEST_F(af_packet, netdev_that_goes_and_comes_back) {
  const auto port = open();
  ASSERT_NE(port, nullptr);
  EXPECT_TRUE(refresh_until(*port, [&] { return port->up(); }));
  run("ip link del wan");
  rte_mbuf* frame = nullptr;
  EXPECT_EQ(port->receive(0, &frame, 1), 0);  // the socket says that it went: down without a refresh
  EXPECT_FALSE(port->up());
  port->refresh();
  EXPECT_EQ(port->wait_descriptor(0), -1);
  EXPECT_EQ(port->receive(0, &frame, 1), 0);
  frame = to_mbuf(pool_.get(), make_marker("lost"));
  EXPECT_EQ(port->transmit(0, &frame, 1), 0);
  rte_pktmbuf_free(frame);

  connect();
  EXPECT_TRUE(refresh_until(*port, [&] { return port->up(); }));
  far_sends("back");
  EXPECT_EQ(next_marker(*port), "back");
  far_->inside([&] {
    const raw_socket judge("far", false);
    frame = to_mbuf(pool_.get(), make_marker("out again"));
    EXPECT_EQ(port->transmit(0, &frame, 1), 1);
    EXPECT_EQ(judge.receive(), make_marker("out again"));
  });
}

TEST_F(af_packet, netdev_replaced_between_two_looks) {
  const auto port = open(2);
  ASSERT_NE(port, nullptr);
  run("ip link del wan");
  connect();
  EXPECT_TRUE(refresh_until(*port, [&] { return port->up(); }));
  rte_mbuf* frame = to_mbuf(pool_.get(), make_marker("out"));
  far_->inside([&] {
    const raw_socket judge("far", false);
    EXPECT_EQ(port->transmit(1, &frame, 1), 1);
    EXPECT_EQ(judge.receive(), make_marker("out"));
  });
}

TEST_F(af_packet, workers_go_on_while_the_netdev_is_replaced) {
  const auto port = open();
  ASSERT_NE(port, nullptr);
  std::atomic<bool> stop = false;
  std::atomic<int> seen = 0;
  std::thread worker([&] {
    while (!stop) {
      rte_mbuf* frame = to_mbuf(pool_.get(), make_marker("out"));
      if (port->transmit(0, &frame, 1) == 0) rte_pktmbuf_free(frame);
      if (port->receive(0, &frame, 1) == 0) continue;
      if (!marker_text(bytes_of(frame)).empty()) ++seen;
      rte_pktmbuf_free(frame);
    }
  });
  for (int round = 0; round < 5; ++round) {
    run("ip link del wan");
    connect();
    EXPECT_TRUE(refresh_until(*port, [&] { return port->up(); }));
    const int before = seen;
    far_sends("in");
    EXPECT_TRUE(refresh_until(*port, [&] { return seen > before; })) << round;
  }
  stop = true;
  worker.join();
}

TEST_F(af_packet, netdev_set_down_and_up_serves_again) {
  const auto port = open();
  ASSERT_NE(port, nullptr);
  run("ip link set wan down");
  rte_mbuf* frame = nullptr;
  EXPECT_EQ(port->receive(0, &frame, 1), 0);
  EXPECT_FALSE(port->up());
  port->refresh();
  EXPECT_FALSE(port->up());
  run("ip link set wan up");
  EXPECT_TRUE(refresh_until(*port, [&] { return port->up(); }));
  far_sends("again");
  EXPECT_EQ(next_marker(*port), "again");
}

TEST_F(af_packet, empty_pool_drops_counts_and_recovers) {
  auto small = make_pool(63);
  const auto port = open_or_fail({.device = "wan", .pool = small.get()});
  ASSERT_NE(port, nullptr);
  std::vector<rte_mbuf*> held(63);
  ASSERT_EQ(rte_pktmbuf_alloc_bulk(small.get(), held.data(), 63), 0);
  far_sends("no room for this");
  rte_mbuf* frame = nullptr;
  for (int attempt = 0; attempt < 200000 && port->counters().rx_dropped == 0; ++attempt)
    ASSERT_EQ(port->receive(0, &frame, 1), 0);
  EXPECT_EQ(port->counters().rx_dropped, 1u);

  // Three buffers, all ready to be received into: a long frame finds none for its segments.
  rte_pktmbuf_free_bulk(held.data(), 3);
  const frame_shape shape{.payload = 10000};
  far_->inside([&] { raw_socket("far", true).send(make_frame(shape), make_request(shape, 1000)); });
  rte_mbuf* frames[32];
  EXPECT_EQ(port->receive(0, frames, 32), 0) << "the buffers wait in the receive slots";
  EXPECT_EQ(port->counters().rx_dropped, 11u);

  rte_pktmbuf_free_bulk(held.data() + 3, 60);
  far_sends("room again");
  EXPECT_EQ(next_marker(*port), "room again");
}

TEST_F(af_packet, frames_the_socket_has_no_room_for_are_counted) {
  const auto port = open();
  ASSERT_NE(port, nullptr);
  const frame_shape shape{.payload = 60000};
  far_->inside([&] {
    const raw_socket sender("far", true);
    for (int count = 0; count < 1000; ++count) sender.send(make_frame(shape), make_request(shape, 1400));
  });
  EXPECT_GT(port->counters().rx_dropped, 0u);
  EXPECT_EQ(port->counters().rx_dropped, port->counters().rx_dropped);  // the kernel's figure is read once, kept here
}

}  // namespace
}  // namespace trunkgate::testing
