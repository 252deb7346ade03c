#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/port/frames.hpp"
#include "tests/unit/port/network_fixture.hpp"

namespace trunkgate::testing {
namespace {

struct ethdev : port_test {
  [[nodiscard]] std::unique_ptr<port_driver> open(port_kind kind, const std::string& device,
                                                  std::uint16_t queues = 1) const {
    return open_or_fail({.device = device, .kind = kind, .queues = queues, .mtu = 0, .pool = pool_.get()});
  }
  void send(port_driver& port, const std::string& text) const {
    auto* frame = to_mbuf(pool_.get(), make_marker(text));
    ASSERT_EQ(port.transmit(0, &frame, 1), 1);
  }
  static std::string receive(port_driver& port) {
    while (auto* frame = receive_one(port)) {
      const auto text = marker_text(bytes_of(frame));
      rte_pktmbuf_free(frame);
      if (!text.empty()) return text;
    }
    return "nothing";
  }
};

TEST_F(ethdev, ring_gives_back_what_it_took) {
  const auto port = open(port_kind::ring, "");
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->description().path, "ring");
  EXPECT_TRUE(port->up());
  EXPECT_EQ(port->wait_descriptor(0), -1);
  send(*port, "round");
  EXPECT_EQ(receive(*port), "round");
  EXPECT_EQ(port->counters().tx_packets, 1u);
  EXPECT_EQ(port->counters().rx_packets, 1u);
}

TEST_F(ethdev, null_gives_without_end_and_takes_all) {
  const auto port = open(port_kind::null, "size=128", 2);
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->description().rx_queues, 2);
  auto* frame = receive_one(*port, 1);
  ASSERT_NE(frame, nullptr);
  EXPECT_EQ(rte_pktmbuf_pkt_len(frame), 128u);
  EXPECT_EQ(port->transmit(1, &frame, 1), 1);
}

TEST_F(ethdev, pcap_reads_and_writes_files) {
  const auto folder = std::filesystem::temp_directory_path() / ("port_test_" + std::to_string(getpid()));
  std::filesystem::create_directory(folder);
  const auto in = (folder / "in.pcap").string(), out = (folder / "out.pcap").string();
  run("python3 -c 'from scapy.all import *; wrpcap(\"" + in +
      "\", Ether(dst=\"ff:ff:ff:ff:ff:ff\",type=0x88b5)/Raw(b\"from scapy\".ljust(46, bytes(1))))'");
  {
    const auto port = open(port_kind::pcap, "rx_pcap=" + in + ",tx_pcap=" + out);
    ASSERT_NE(port, nullptr);
    EXPECT_EQ(receive(*port), "from scapy");
    send(*port, "to scapy");
  }
  run("python3 -c 'from scapy.all import *; p=rdpcap(\"" + out +
      "\"); assert len(p)==1 and bytes(p[0])[14:22]==b\"to scapy\"'");
  {
    const auto reader = open(port_kind::pcap, "rx_pcap=" + in);
    ASSERT_NE(reader, nullptr);
    send(*reader, "nowhere to go");
    EXPECT_EQ(reader->counters().tx_packets + reader->counters().tx_dropped, 1u);
  }
  std::filesystem::remove_all(folder);
}

TEST_F(ethdev, tap_is_a_netdev_of_the_kernel) {
  if (access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "no /dev/net/tun on this machine";
  const auto port = open(port_kind::tap, "iface=tgtap0");
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->description().netdev, "tgtap0");
  run("ip link set tgtap0 up");
  wait_for_carrier("tgtap0");
  const raw_socket kernel("tgtap0", false);
  send(*port, "into the kernel");
  frame_bytes frame;
  do frame = kernel.receive();
  while (!frame.empty() && marker_text(frame).empty());
  EXPECT_EQ(marker_text(frame), "into the kernel");
  kernel.send(make_marker("out of the kernel"));
  EXPECT_EQ(receive(*port), "out of the kernel");
}

TEST_F(ethdev, af_xdp_on_a_veth_and_again_when_it_comes_back) {
  const auto make_cable = [] {
    run("ip link add xdp0 type veth peer name xdp1");
    run("ethtool -K xdp1 tx off tso off gso off >/dev/null; ethtool -K xdp0 gro off >/dev/null");
    run("ip link set xdp0 up; ip link set xdp1 up");
    wait_for_carrier("xdp1");
  };
  make_cable();
  {
    const auto port = open(port_kind::af_xdp, "xdp0");
    ASSERT_NE(port, nullptr);
    if (port->description().path != "af_xdp") {
      const auto note = port->description().note;
      run("ip link del xdp0");
      GTEST_SKIP() << note;
    }
    EXPECT_EQ(port->description().netdev, "xdp0");
    const auto passes_both_ways = [&] {
      const raw_socket peer("xdp1", false);
      send(*port, "out");
      frame_bytes frame;
      do frame = peer.receive();
      while (!frame.empty() && marker_text(frame).empty());
      EXPECT_EQ(marker_text(frame), "out");
      peer.send(make_marker("in"));
      EXPECT_EQ(receive(*port), "in");
    };
    passes_both_ways();
    run("ip link del xdp0");
    port->refresh();
    EXPECT_FALSE(port->up());
    make_cable();
    EXPECT_TRUE(refresh_until(*port, [&] { return port->up(); }));
    passes_both_ways();
  }
  run("ip link del xdp0");
}

TEST_F(ethdev, af_xdp_that_is_impossible_falls_back_and_says_why) {
  const auto port = open(port_kind::af_xdp, "lo");  // loopback has no XDP in its driver
  ASSERT_NE(port, nullptr);
  EXPECT_EQ(port->description().path, "af_packet");
  EXPECT_TRUE(contains(port->description().note, "AF_XDP is not possible"));
}

TEST_F(ethdev, wrong_arguments_are_an_error_with_the_reason) {
  const auto port = open_port({.device = "rx_pcap=/nonexistent", .kind = port_kind::pcap, .pool = pool_.get()});
  ASSERT_FALSE(port);
  EXPECT_TRUE(contains(port.error().reason, "net_pcap"));
  const auto absent = open_port({.device = "0000:ff:1f.7", .pool = pool_.get()});
  ASSERT_FALSE(absent);
  EXPECT_TRUE(contains(absent.error().reason, "there are: "));
}

}  // namespace
}  // namespace trunkgate::testing
