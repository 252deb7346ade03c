// The kernel judges: it cuts the same frame in software when a veth says that it can't, and must get the same bytes.
#include "drivers/port/segmenter.hpp"

#include <cstdio>

#include "tests/unit/port/frames.hpp"
#include "tests/unit/port/network_fixture.hpp"

namespace trunkgate::testing {
namespace {

std::vector<frame_bytes> cut(const frame_bytes& frame, const offload_header& request, std::uint16_t mtu) {
  std::vector<frame_bytes> segments;
  segmenter cutter;
  if (!cutter.start(frame, request, mtu)) return segments;
  const auto expected = cutter.segments_left();
  while (!cutter.done()) {
    frame_bytes segment(cutter.largest_segment());
    segment.resize(cutter.next(segment.data()));
    segments.push_back(segment);
  }
  EXPECT_EQ(segments.size(), expected);
  return segments;
}

struct segmenter_against_kernel : port_test, ::testing::WithParamInterface<frame_shape> {};

TEST_P(segmenter_against_kernel, gives_the_same_bytes) {
  run("ip link add seg0 type veth peer name seg1");
  run("ethtool -K seg0 tso off gso off tx off rxvlan off txvlan off >/dev/null");
  run("ethtool -K seg1 gro off rxvlan off >/dev/null");
  run("sysctl -qw net.ipv6.conf.seg0.disable_ipv6=1 net.ipv6.conf.seg1.disable_ipv6=1");
  run("ip link set seg0 up; ip link set seg1 up");
  wait_for_carrier("seg0");
  {
    const auto& shape = GetParam();
    const auto frame = make_frame(shape);
    const auto request = make_request(shape, 1000);
    const raw_socket sender("seg0", true), judge("seg1", false);
    sender.send(frame, request);
    const auto segments = cut(frame, request, 1500);
    ASSERT_EQ(segments.size(), (shape.payload + 999) / 1000);
    for (const auto& segment : segments) {
      auto theirs = judge.receive();
      // Without this the judge's own kernel would have put the tag aside.
      if (shape.tagged && theirs.size() + 4 == segment.size())
        theirs.insert(theirs.begin() + 12, segment.begin() + 12, segment.begin() + 16);
      ASSERT_EQ(segment, theirs);
    }
  }
  run("ip link del seg0");
}

INSTANTIATE_TEST_SUITE_P(shapes, segmenter_against_kernel,
                         ::testing::Values(frame_shape{4, true, 5500, 0x18, false},   // PSH
                                           frame_shape{4, true, 5000, 0x99, false},   // CWR, PSH, FIN, ACK
                                           frame_shape{4, true, 64000, 0x10, false},  //
                                           frame_shape{6, true, 5500, 0x99, false},   //
                                           frame_shape{4, false, 5500, 0, false},     //
                                           frame_shape{6, false, 5500, 0, false},     //
                                           frame_shape{4, true, 3001, 0x18, true}));

TEST(segmenter, keeps_to_the_mtu_when_the_sender_had_a_larger_one) {
  const frame_shape shape{.payload = 9000};
  for (const auto& segment : cut(make_frame(shape), make_request(shape, 4000), 1500)) EXPECT_LE(segment.size(), 1514u);
}

TEST(segmenter, refuses_what_it_cannot_cut) {
  const frame_shape shape{.payload = 3000};
  const auto frame = make_frame(shape);
  const auto good = make_request(shape, 1000);
  const auto refused = [&](auto change) {
    auto request = good;
    change(request);
    return cut(frame, request, 1500).empty();
  };
  EXPECT_FALSE(refused([](offload_header&) {}));
  EXPECT_TRUE(refused([](offload_header& r) { r.segmentation = 3; }));  // UDP fragmentation offload
  EXPECT_TRUE(refused([](offload_header& r) { r.segmentation = offload_header::tcpv6; }));
  EXPECT_TRUE(refused([](offload_header& r) { r.segment_payload = 0; }));
  EXPECT_TRUE(refused([](offload_header& r) { r.checksum_start = 84; }));  // the inner header of a tunnel
  EXPECT_TRUE(cut(make_frame({.payload = 0}), make_request({}, 1000), 1500).empty());
  EXPECT_TRUE(cut(frame, good, 40).empty());
}

// Scapy judges: it fills the CRC32c itself.
TEST(checksum, sctp_has_a_crc) {
  FILE* scapy = popen(
      "python3 -c 'from scapy.all import *; load_layer(\"sctp\"); import sys; sys.stdout.buffer.write(bytes("
      "Ether(src=\"02:00:00:00:00:01\",dst=\"02:00:00:00:00:02\")/IP(src=\"192.0.2.1\",dst=\"192.0.2.2\")/"
      "SCTP(sport=1,dport=2,tag=3)/SCTPChunkData(data=b\"voice\"*20)))' 2>/dev/null",
      "r");
  ASSERT_NE(scapy, nullptr);
  frame_bytes expected(2000);
  expected.resize(fread(expected.data(), 1, expected.size(), scapy));
  ASSERT_EQ(pclose(scapy), 0);
  ASSERT_GT(expected.size(), 100u);
  auto frame = expected;
  for (std::size_t at = 42; at < 46; ++at) frame[at] = 0;
  ASSERT_TRUE(complete_checksum(frame, 34, 8));
  EXPECT_EQ(frame, expected);
}

TEST(checksum, refuses_a_field_outside_the_frame) {
  auto frame = make_frame({});
  EXPECT_FALSE(complete_checksum(frame, frame.size() - 2, 16));
  EXPECT_FALSE(complete_checksum(frame, 0xffff, 0xffff));
  EXPECT_TRUE(complete_checksum(frame, frame.size() - 2, 0));
}

}  // namespace
}  // namespace trunkgate::testing
