// classify has a short way for the usual packet. It must say of every packet what the long way says, which a VLAN tag
// leads to.
#include <random>

#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"

namespace trunkgate {
namespace {

using namespace test;

constexpr std::uint16_t vlan = 42, tagged = 2;

// Where a frame went, and what is known of it then.
struct judgement {
  drop_reason drop = drop_reason::none;
  stage_id stage = stage_id::count_;
  packet_meta known;
  bytes content;  // from the IP header on
};

class classify_test : public testing::Test {
 protected:
  classify_test() {
    auto& port = gateway_.tables().ports[tagged];
    port.device = gateway_.tables().ports[outside].device;
    port.vlan = vlan;
    port.mac = outside_mac;
    port.up = true;
    port.present = true;
    gateway_.add_inbound(sa_between(api::sa_direction::inbound, esp_suite::aes128gcm16, 0x1234));
  }

  std::array<std::uint64_t, drop_reason_count> drops_so_far() {
    std::array<std::uint64_t, drop_reason_count> out{};
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = gateway_.context().drops[i].get();
    return out;
  }

  judgement judge(const bytes& frame) {
    auto& context = gateway_.context();
    auto* packet = gateway_.buffer(frame);
    meta(packet).path = static_cast<std::uint8_t>(path_id::outbound);
    meta(packet).egress = gateway_.tables().ports[outside].device;
    const auto before = drops_so_far();
    classify(context, {&packet, 1});
    judgement out;
    const auto after = drops_so_far();
    for (std::size_t i = 0; i < after.size(); ++i)
      if (after[i] != before[i]) out.drop = static_cast<drop_reason>(i);
    for (std::size_t s = 0; s < stage_count; ++s) {
      auto& queue = context.queues[s];
      if (queue.count == 0) continue;
      out.stage = static_cast<stage_id>(s);
      out.known = meta(queue.packets[0]);
      out.content = content_of(queue.packets[0]);
      out.content.erase(out.content.begin(), out.content.begin() + out.known.l2_length);
      queue.count = 0;
    }
    return out;
  }

  static void expect_same(const judgement& is, const judgement& should) {
    ASSERT_EQ(is.drop, should.drop);
    ASSERT_EQ(is.stage, should.stage);
    ASSERT_EQ(is.content, should.content);
    auto known = is.known;
    if (is.stage == stage_id::count_) return;
    EXPECT_EQ(known.ingress, outside);
    EXPECT_EQ(known.l2_length + 4, should.known.l2_length);
    known.ingress = should.known.ingress;
    known.l2_length = should.known.l2_length;
    ASSERT_EQ(std::memcmp(&known, &should.known, sizeof known), 0);
  }

  little_gateway gateway_;
};

bytes esp_packet() {
  return ip_packet(between("192.0.2.2", "192.0.2.1", 50), join({be(0x1234, 4), be(7, 4), filled(48)}));
}

// The header checksum as it should be, so that not all that is changed fails there.
void mend_checksum(bytes& ip) {
  if (ip.size() < 20) return;
  ip[10] = ip[11] = 0;
  const std::size_t length = std::min<std::size_t>((ip[0] & 15u) * 4u, ip.size());
  const auto sum =
      slow_checksum({ip.begin(), ip.begin() + static_cast<std::ptrdiff_t>(std::max<std::size_t>(length, 20))});
  ip[10] = static_cast<std::uint8_t>(sum >> 8);
  ip[11] = static_cast<std::uint8_t>(sum);
}

TEST_F(classify_test, the_short_way_says_what_the_long_way_says) {
  const std::vector<bytes> originals{
      udp_packet(between("192.0.2.2", "10.1.0.2"), 5000, 6000, filled(30)),
      udp_packet(between("192.0.2.2", "192.0.2.1"), 4500, 4500, join({be(0x1234, 4), be(7, 4), filled(40)})),
      udp_packet(between("192.0.2.2", "192.0.2.1"), 4500, 4500, filled(1, 0xff)),
      tcp_packet(between("192.0.2.2", "10.1.0.2"), 5000, 6000, 2, {2, 4, 5, 0xb4}, filled(10)),
      esp_packet(),
      icmp_packet(between("192.0.2.2", "10.1.0.2", 1), 8, 0, filled(12)),
      udp_packet(between("2001:db8::2", "fd01::2"), 5000, 6000, filled(30)),
  };
  std::mt19937 chance(20);
  unsigned passed = 0, dropped = 0;
  for (unsigned round = 0; round < 60'000; ++round) {
    auto ip = originals[chance() % originals.size()];
    for (unsigned changes = chance() % 3; changes != 0; --changes)
      ip[chance() % std::min<std::size_t>(ip.size(), 44)] = static_cast<std::uint8_t>(chance());
    if (chance() % 4 == 0) ip.resize(1 + chance() % ip.size());
    if (chance() % 4 == 0) ip.resize(ip.size() + chance() % 8);  // the link's padding
    if (ip[0] >> 4 == 4 && chance() % 8 != 0) mend_checksum(ip);
    const auto is = judge(frame_of(outside_mac, peer_mac, ip));
    const auto should = judge(frame_of(outside_mac, peer_mac, ip, vlan));
    ASSERT_NO_FATAL_FAILURE(expect_same(is, should)) << "round " << round;
    (is.stage == stage_id::count_ ? dropped : passed)++;
  }
  EXPECT_GT(passed, 10'000u);
  EXPECT_GT(dropped, 10'000u);
}

TEST_F(classify_test, a_frame_for_somebody_else_is_refused) {
  const auto ip = udp_packet(between("192.0.2.2", "10.1.0.2"), 5000, 6000, filled(30));
  EXPECT_EQ(judge(frame_of(host_mac, peer_mac, ip)).drop, drop_reason::frame_not_for_us);
  EXPECT_EQ(judge(frame_of({2, 0, 0, 0, 0, 3}, peer_mac, ip)).drop, drop_reason::frame_not_for_us);
}

}  // namespace
}  // namespace trunkgate
