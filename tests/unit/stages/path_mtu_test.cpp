// The path's MTU: what routers say of our ESP packets, what is believed of it, and what is cut after encryption.
#include <gtest/gtest.h>
#include <rte_cycles.h>

#include "dataplane/stages/size_report.hpp"
#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

bytes first(const bytes& of, std::size_t size) { return {of.begin(), of.begin() + static_cast<std::ptrdiff_t>(size)}; }

struct outer_kind {
  bool v6, udp;
};

class path_mtu_test : public testing::TestWithParam<outer_kind> {
 protected:
  path_mtu_test() {
    record_.udp_encapsulation = GetParam().udp;
    if (v6()) record_.local = address("2001:db8::1"), record_.remote = address("2001:db8::2");
    sa_ = &gateway_.add_outbound(record_);
  }
  [[nodiscard]] static bool v6() { return GetParam().v6; }
  // What leaves outside when the host sends the packet.
  std::vector<bytes> sent_for(const bytes& packet) {
    gateway_.receive(inside, packet);
    gateway_.run();
    return gateway_.sent(outside);
  }
  bytes large_esp(std::size_t size = 1400) {
    const auto sent = sent_for(inner_v4(size));
    EXPECT_EQ(sent.size(), 1u);
    return sent.at(0);
  }
  // An IPv4 packet of `size` bytes with DF.
  static bytes inner_v4(std::size_t size) {
    auto ip = between("10.1.0.2", "10.2.0.3");
    ip.fragment = 0x4000;
    return udp_packet(ip, 5000, 6000, filled(size - 28));
  }
  // A router's "too big" about the packet, which it quotes as the protocol says.
  static bytes too_big(const bytes& about, std::uint32_t mtu, std::size_t quoted = 576) {
    const bytes quote = first(about, std::min(quoted, about.size()));
    if (v6()) return icmp_packet(between("2001:db8::99", "2001:db8::1", 58), 2, 0, join({be(mtu, 4), quote}));
    return icmp_packet(between("192.0.2.99", "192.0.2.1", 1), 3, 4, join({be(mtu, 4), quote}));
  }
  void tell(const bytes& icmp) {
    gateway_.receive(outside, icmp);
    gateway_.run();
  }
  std::uint16_t in_use() { return sa_->learned_mtu.in_use(1500, gateway_.context().now_ms); }
  // Where the ESP header, or the UDP header in front of it, begins.
  [[nodiscard]] static std::size_t header() { return v6() ? 40 : 20; }

  api::sa_record record_ = sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 0x00070001);
  little_gateway gateway_;
  outbound_sa* sa_ = nullptr;
};

TEST_P(path_mtu_test, a_report_is_believed_and_the_host_is_told) {
  const auto esp = large_esp();
  tell(too_big(esp, 1300));
  EXPECT_EQ(in_use(), 1300);
  EXPECT_EQ(gateway_.drops(drop_reason::path_mtu_learned), 1u);
  EXPECT_EQ(gateway_.all_drops(), 1u);
  EXPECT_TRUE(gateway_.punted().empty()) << "it is nothing for the kernel";
  // From now on the host hears what fits, and what fits is used to its last whole block.
  EXPECT_TRUE(sent_for(inner_v4(1400)).empty());
  const auto errors = gateway_.sent(inside);
  ASSERT_EQ(errors.size(), 1u);
  const auto fits = static_cast<std::uint16_t>(read_be(errors[0], 26, 2));
  const auto out = sent_for(inner_v4(fits));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_LE(out[0].size(), 1300u);
  EXPECT_GT(out[0].size() + 4, 1300u);
  EXPECT_TRUE(sent_for(inner_v4(fits + 1u)).empty());
}

TEST_P(path_mtu_test, it_gets_lower_step_by_step_and_never_higher) {
  const auto esp = large_esp();
  for (const std::uint16_t mtu : {1400, 1350, 1280}) {
    tell(too_big(esp, mtu));
    EXPECT_EQ(in_use(), mtu);
  }
  for (const std::uint16_t mtu : {1280, 1281, 1400}) tell(too_big(esp, mtu));
  EXPECT_EQ(in_use(), 1280);
  EXPECT_EQ(sa_->mtu_learned.load(), 3u);
  EXPECT_EQ(sa_->mtu_refused.load(), 3u);
}

// Nobody signs an ICMP error: what can't be true must change nothing.
TEST_P(path_mtu_test, forged_reports_change_nothing) {
  const auto esp = large_esp();
  const std::size_t spi = header() + (GetParam().udp ? 8 : 0);
  const auto changed = [&](std::size_t at, std::uint8_t by) {
    auto copy = esp;
    copy[at] = static_cast<std::uint8_t>(copy[at] + by);
    return copy;
  };
  // About packets of ours that can't be.
  std::uint64_t refused = 0;
  const auto refuses = [&](const bytes& icmp, const char* why) {
    tell(icmp);
    EXPECT_EQ(in_use(), 1500) << why;
    EXPECT_EQ(gateway_.drops(drop_reason::path_mtu_refused), ++refused) << why;
    EXPECT_EQ(sa_->mtu_refused.load(), refused) << why;
  };
  refuses(too_big(changed(spi + 7, 1), 1300), "a number that was not sent yet");
  refuses(too_big(changed(spi + 7, 0xff), 1300), "number 0");
  for (const std::uint32_t mtu : {1u, 68u, v6() ? 1279u : 575u}) refuses(too_big(esp, mtu), "below every path");
  for (const std::uint32_t mtu : {1500u, 65535u}) refuses(too_big(esp, mtu), "not lower");
  refuses(too_big(esp, static_cast<std::uint32_t>(esp.size())), "the packet was not larger");
  if (v6()) refuses(too_big(esp, 0x10000 + 1300), "more than any packet, whose low half looks right");
  // Not about us at all: no rule lets them in.
  std::uint64_t strange = 0;
  const auto ignores = [&](const bytes& icmp, const char* why) {
    tell(icmp);
    EXPECT_EQ(in_use(), 1500) << why;
    EXPECT_EQ(gateway_.drops(drop_reason::no_policy), ++strange) << why;
    EXPECT_EQ(sa_->mtu_refused.load(), refused) << why;
  };
  ignores(too_big(changed(spi + 3, 1), 1300), "another SPI");
  ignores(too_big(changed(header() - 1, 1), 1300), "to another peer");
  ignores(too_big(changed(header() - (v6() ? 17 : 5), 1), 1300), "from somebody else");
  if (GetParam().udp) {
    ignores(too_big(changed(header() + 1, 1), 1300), "another source port");
    ignores(too_big(changed(header() + 3, 1), 1300), "another destination port");
  }
  ignores(too_big(esp, 1300, spi + 7), "the number is cut off");
  ignores(too_big(esp, 1300, 10), "no whole header");
  auto damaged = too_big(esp, 1300);
  damaged.back() ^= 1;
  ignores(damaged, "the checksum is wrong");
  EXPECT_EQ(gateway_.all_drops(), refused + strange);
  tell(too_big(esp, 1300));
  EXPECT_EQ(in_use(), 1300) << "and the right one is still believed";
}

TEST_P(path_mtu_test, it_is_forgotten_after_ten_minutes) {
  auto& context = gateway_.context();
  const auto esp = large_esp();
  tell(too_big(esp, 1300));
  const auto learned_at = context.now_ms - sa_->learned_mtu.age_ms(context.now_ms);  // turns have passed since
  const auto goes_on = [&](std::uint64_t now_ms) {
    context.now_ms = now_ms;
    auto* packet = gateway_.buffer(inner_v4(1400));
    auto& m = meta(packet);
    m.ip_version = 4;
    m.ip_length = 1400;
    m.ingress = inside;
    m.egress = outside;
    m.out_sa = sa_;
    m.path = static_cast<std::uint8_t>(path_id::outbound);
    fragment(context, std::span<rte_mbuf* const>(&packet, 1));
    const bool passed = !gateway_.waiting_at(stage_id::esp_encapsulate).empty();
    EXPECT_NE(passed, !gateway_.waiting_at(stage_id::icmp_error).empty());
    return passed;
  };
  EXPECT_FALSE(goes_on(learned_at + 600'000));
  EXPECT_EQ(sa_->learned_mtu.reported(learned_at + 600'000), 1300);
  EXPECT_EQ(sa_->learned_mtu.age_ms(learned_at + 600'000), 600'000u);
  EXPECT_TRUE(goes_on(learned_at + 600'001));
  EXPECT_EQ(sa_->learned_mtu.reported(learned_at + 600'001), 0);
}

TEST_P(path_mtu_test, syns_are_clamped_to_it) {
  tell(too_big(large_esp(), 1300));
  for (const bool inner_v6 : {false, true}) {
    const auto ip = inner_v6 ? between("fd01::2", "fd02::3") : between("10.1.0.2", "10.2.0.3");
    const auto out = sent_for(tcp_packet(ip, 1000, 80, 2, {2, 4, 255, 255}));
    ASSERT_EQ(out.size(), 1u);
    const auto inner = open_at_peer(record_, out[0]).inner;
    EXPECT_EQ(read_be(inner, inner_v6 ? 62 : 42, 2), sa_->inner_mtu(1300) - (inner_v6 ? 60u : 40u));
    EXPECT_TRUE(checksums_hold(inner));
  }
}

TEST_P(path_mtu_test, a_flood_of_reports_is_limited) {
  const auto icmp = too_big(large_esp(), 68);
  for (int i = 0; i < 3000; ++i) gateway_.receive(outside, icmp);
  gateway_.run();
  EXPECT_GT(gateway_.drops(drop_reason::punt_rate_limited), 1000u);
  EXPECT_EQ(gateway_.drops(drop_reason::punt_rate_limited) + gateway_.drops(drop_reason::path_mtu_refused), 3000u);
  EXPECT_EQ(in_use(), 1500);
}

// One whole packet out of the fragments of the outer one.
bytes put_together(const std::vector<bytes>& parts, bool v6, std::size_t limit) {
  bytes whole;
  const std::size_t header = v6 ? 40 : 20, payload = v6 ? 48 : 20;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& p = parts[i];
    EXPECT_LE(p.size(), limit);
    const bool last = i + 1 == parts.size();
    if (i == 0) whole = first(p, header);
    const std::size_t at = whole.size() - header;
    if (v6) {
      EXPECT_EQ(p[6], 44);  // RFC 8200 4.5
      EXPECT_EQ(read_be(p, 4, 2), p.size() - 40);
      EXPECT_EQ(read_be(p, 42, 2), at | (last ? 0u : 1u));
      EXPECT_EQ(read_be(p, 44, 4), read_be(parts[0], 44, 4));
      whole[6] = p[40];
    } else {
      EXPECT_EQ(slow_checksum(first(p, 20)), 0);
      EXPECT_EQ(read_be(p, 2, 2), p.size());
      EXPECT_EQ(read_be(p, 6, 2), at / 8 | (last ? 0u : 0x2000u)) << "DF must be clear";
      EXPECT_EQ(read_be(p, 4, 2), read_be(parts[0], 4, 2));
    }
    whole.insert(whole.end(), p.begin() + static_cast<std::ptrdiff_t>(payload), p.end());
  }
  const auto length = be(whole.size() - (v6 ? 40 : 0), 2);
  std::copy(length.begin(), length.end(), whole.begin() + (v6 ? 4 : 2));
  if (!v6) {
    whole[6] = whole[7] = whole[10] = whole[11] = 0;
    const auto sum = be(slow_checksum(first(whole, 20)), 2);
    std::copy(sum.begin(), sum.end(), whole.begin() + 10);
  }
  return whole;
}

// An IPv6 host need not send less than 1,280 bytes (RFC 8200 5): where that does not fit, the outer packet is cut.
TEST_P(path_mtu_test, ipv6_gets_its_1280_bytes_through) {
  const std::uint16_t mtu = v6() ? 1280 : 576;
  tell(too_big(large_esp(), mtu));
  ASSERT_EQ(in_use(), mtu);
  ASSERT_LT(sa_->inner_mtu(mtu), 1280);
  std::uint64_t last_id = 0;
  for (const std::size_t size : {1280u, 1279u, 1200u, 600u}) {
    auto ip = between("fd01::2", "fd02::3");
    const auto packet = udp_packet(ip, 5000, 6000, filled(size - 48));
    const auto parts = sent_for(packet);
    const bool cut = size > sa_->inner_mtu(mtu);
    ASSERT_EQ(parts.size() > 1, cut) << size;
    if (!cut) continue;
    const std::uint64_t id = v6() ? read_be(parts[0], 44, 4) : read_be(parts[0], 4, 2);
    EXPECT_NE(id, last_id);
    last_id = id;
    --ip.hops;
    EXPECT_EQ(open_at_peer(record_, put_together(parts, v6(), mtu)).inner,
              udp_packet(ip, 5000, 6000, filled(size - 48)));
  }
  EXPECT_TRUE(sent_for(udp_packet(between("fd01::2", "fd02::3"), 5000, 6000, filled(1281 - 48))).empty());
  const auto errors = gateway_.sent(inside);
  ASSERT_EQ(errors.size(), 1u);
  EXPECT_EQ(read_be(errors[0], 40, 2), 0x0200u);
  EXPECT_EQ(read_be(errors[0], 44, 4), 1280u);
}

TEST_P(path_mtu_test, outer_fragments_without_buffers_are_counted) {
  gateway_.tables().ports[outside].mtu = 1280;
  gateway_.receive(inside, udp_packet(between("fd01::2", "fd02::3"), 5000, 6000, filled(1232)));
  std::vector<rte_mbuf*> taken;  // all buffers but that of the packet and one more
  while (auto* packet = rte_pktmbuf_alloc(gateway_.pool())) taken.push_back(packet);
  rte_pktmbuf_free(taken.back());
  taken.pop_back();
  gateway_.run();
  EXPECT_EQ(gateway_.drops(drop_reason::fragmentation_failed), 1u);
  EXPECT_TRUE(gateway_.sent(outside).empty());
  for (auto* packet : taken) rte_pktmbuf_free(packet);
}

// RFC 1191 7.1: a router that does not name a size means the next one of the table below the packet's.
TEST(believable_mtu, old_routers) {
  const auto mtu = [](std::uint16_t length, std::uint16_t in_use = 65535) {
    return believable_mtu({.sa = nullptr, .mtu = 0, .quoted_length = length, .sequence = 1}, false, 1, in_use);
  };
  EXPECT_EQ(mtu(1500), 1492);
  EXPECT_EQ(mtu(1492), 1006);
  EXPECT_EQ(mtu(1006), 576);
  EXPECT_EQ(mtu(9000), 8166);
  EXPECT_EQ(mtu(577), 576);
  EXPECT_EQ(mtu(576), 0);
  EXPECT_EQ(mtu(1500, 1400), 0) << "not below what is in use";
  EXPECT_EQ(believable_mtu({.sa = nullptr, .mtu = 0, .quoted_length = 1500, .sequence = 1}, true, 1, 1500), 0);
}

// Of an extended sequence number only the low half is on the wire (RFC 4303 2.2.1).
TEST(believable_mtu, extended_sequence_numbers) {
  const auto believes = [](std::uint32_t low, std::uint64_t last) {
    return believable_mtu({.sa = nullptr, .mtu = 1400, .quoted_length = 1500, .sequence = low}, false, last, 1500) != 0;
  };
  EXPECT_FALSE(believes(1, 0));
  EXPECT_FALSE(believes(0, 5));
  EXPECT_TRUE(believes(5, 5));
  EXPECT_FALSE(believes(6, 5));
  EXPECT_TRUE(believes(0xffff'ffff, 0x1'0000'0005));
  EXPECT_TRUE(believes(0, 0x1'0000'0005));
}

INSTANTIATE_TEST_SUITE_P(outer, path_mtu_test,
                         testing::Values(outer_kind{false, false}, outer_kind{false, true}, outer_kind{true, false},
                                         outer_kind{true, true}),
                         [](const auto& kind) {
                           return std::string(kind.param.v6 ? "ipv6" : "ipv4") + (kind.param.udp ? "_udp" : "");
                         });

}  // namespace
}  // namespace trunkgate
