// What does not fit: MSS clamping, fragments, and the ICMP errors that tell the sender.
#include <algorithm>

#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

bytes part(const bytes& of, std::size_t from, std::size_t to) {
  return {of.begin() + static_cast<std::ptrdiff_t>(from), of.begin() + static_cast<std::ptrdiff_t>(to)};
}

class size_test : public testing::Test {
 protected:
  // What the peer finds inside the one packet that left through the tunnel.
  bytes through_tunnel(const bytes& packet) {
    gateway_.receive(inside, packet);
    gateway_.run();
    const auto out = gateway_.sent(outside);
    EXPECT_EQ(out.size(), 1u);
    return out.size() == 1 ? open_at_peer(out_, out[0]).inner : bytes{};
  }
  std::vector<bytes> in_clear(const bytes& packet) {
    gateway_.receive(inside, packet);
    gateway_.run();
    return gateway_.sent(outside);
  }
  static std::uint16_t mss_at(const bytes& packet, std::size_t header, std::size_t option) {
    return static_cast<std::uint16_t>(read_be(packet, header + 20 + option, 2));
  }

  api::sa_record out_ = sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 600);
  api::sa_record in_ = sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 601);
  little_gateway gateway_;
  outbound_sa& sa_ = gateway_.add_outbound(out_);
  inbound_sa& in_sa_ = gateway_.add_inbound(in_);
};

TEST_F(size_test, mss_is_clamped_to_the_tunnel_at_even_and_odd_offsets) {
  const std::uint16_t v4_limit = sa_.inner_mtu(1500) - 40, v6_limit = sa_.inner_mtu(1500) - 60;
  for (const bool v6 : {false, true})
    for (const std::size_t nops : {0u, 1u, 2u, 3u})
      for (const std::uint16_t mss : {1460, 9000, 65535, 1400}) {
        const auto ip = v6 ? between("fd01::2", "fd02::3") : between("10.1.0.2", "10.2.0.3");
        const auto options = join({bytes(nops, 1), {2, 4}, be(mss, 2), {4, 2}});
        const auto inner = through_tunnel(tcp_packet(ip, 1000, 80, 2, options, filled(7)));
        ASSERT_FALSE(inner.empty());
        EXPECT_TRUE(checksums_hold(inner)) << "odd offsets: " << nops << " MSS " << mss;
        EXPECT_EQ(mss_at(inner, v6 ? 40 : 20, nops + 2), std::min(mss, v6 ? v6_limit : v4_limit));
      }
}

TEST_F(size_test, a_segment_of_the_clamped_size_fits_the_wire) {
  const auto inner = through_tunnel(tcp_packet(between("10.1.0.2", "10.2.0.3"), 1000, 80, 2, {2, 4, 255, 255}));
  const auto mss = mss_at(inner, 20, 2);
  const auto full = in_clear(tcp_packet(between("10.1.0.2", "10.2.0.3"), 1000, 80, 16, {}, bytes(mss)));
  ASSERT_EQ(full.size(), 1u);
  EXPECT_LE(full[0].size(), 1500u);
  EXPECT_GT(full[0].size() + 4, 1500u) << "room was wasted";
}

TEST_F(size_test, mss_is_never_raised_and_only_syns_are_touched) {
  auto later = between("10.1.0.2", "10.2.0.3");
  --later.hops;
  const auto ip = between("10.1.0.2", "10.2.0.3");
  for (const auto& [flags, options] : {std::pair<std::uint8_t, bytes>{2, {2, 4, 2, 0}},  // small
                                       {16, {2, 4, 255, 255}},                           // no SYN
                                       {2, {}},                                          // no option
                                       {2, {0, 2, 4, 255, 255}},                         // behind the end of options
                                       {2, {3, 1, 2, 4, 255, 255}},                      // an option of length 1
                                       {2, {3, 40, 2, 4, 255, 255}},                     // one past the end
                                       {2, {1, 1, 1, 2}},                                // cut
                                       {2, {2, 3, 255, 255}}})                           // wrong length
    EXPECT_EQ(through_tunnel(tcp_packet(ip, 1000, 80, flags, options)), tcp_packet(later, 1000, 80, flags, options));
}

TEST_F(size_test, the_answer_from_the_tunnel_is_clamped_as_well) {
  gateway_.receive(outside,
                   esp_from_peer(in_, tcp_packet(between("10.2.0.3", "10.1.0.2"), 80, 1000, 18, {2, 4, 5, 180}), {}));
  gateway_.run();
  const auto out = gateway_.sent(inside);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(mss_at(out[0], 20, 2), sa_.inner_mtu(1500) - 40);
  EXPECT_TRUE(checksums_hold(out[0]));
}

TEST_F(size_test, what_goes_in_clear_is_not_clamped) {
  gateway_.add_rule("10.1.0.0/16", "10.5.0.0/16", api::policy_action::bypass);
  const auto out = in_clear(tcp_packet(between("10.1.0.2", "10.5.0.3"), 1000, 80, 2, {2, 4, 35, 40}));
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(mss_at(out[0], 20, 2), 35u << 8 | 40);
}

// The original out of its parts, which must be in order, whole and right each by itself.
bytes put_together(const std::vector<bytes>& parts, std::size_t room) {
  bytes payload;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    const auto& p = parts[i];
    const std::size_t header = (p.at(0) & 15u) * 4;
    const bool last = i + 1 == parts.size();
    EXPECT_LE(p.size(), room);
    EXPECT_EQ(read_be(p, 2, 2), p.size());
    EXPECT_EQ(slow_checksum(part(p, 0, header)), 0);
    EXPECT_EQ(read_be(p, 6, 2), payload.size() / 8 | (last ? 0 : 0x2000));
    EXPECT_TRUE(last || (p.size() - header) % 8 == 0);
    payload.insert(payload.end(), p.begin() + static_cast<std::ptrdiff_t>(header), p.end());
  }
  return payload;
}

TEST_F(size_test, without_df_it_is_cut_before_encryption) {
  auto ip = between("10.1.0.2", "10.2.0.3");
  for (const std::uint16_t mtu : {1280, 1006, 600})
    for (const std::size_t size : {1425u, 1440u, 1472u}) {
      gateway_.tables().ports[outside].mtu = mtu;
      const auto room = sa_.inner_mtu(mtu);
      const auto whole = udp_packet(ip, 5000, 6000, filled(size));
      gateway_.receive(inside, whole);
      gateway_.run();
      std::vector<bytes> parts;
      for (const auto& packet : gateway_.sent(outside)) {
        EXPECT_LE(packet.size(), mtu);
        parts.push_back(open_at_peer(out_, packet).inner);
        EXPECT_EQ(read_be(parts.back(), 4, 2), ip.id);
      }
      EXPECT_GE(parts.size(), 2u);
      EXPECT_EQ(put_together(parts, room), part(whole, 20, whole.size()));
    }
  EXPECT_EQ(gateway_.all_drops(), 0u);
}

TEST_F(size_test, fragments_in_clear_and_fragments_of_fragments) {
  gateway_.add_rule("10.1.0.0/16", "10.5.0.0/16", api::policy_action::bypass);
  gateway_.tables().ports[outside].mtu = 600;
  const auto ip = between("10.1.0.2", "10.5.0.3");
  const auto whole = udp_packet(ip, 5000, 6000, filled(1400));
  EXPECT_EQ(put_together(in_clear(whole), 600), part(whole, 20, whole.size()));
  // A later fragment, of which more follow: its parts say so too and count on from where it stands.
  auto later = ip;
  later.fragment = 0x2000 | 100;
  const auto parts = in_clear(ip_packet(later, filled(800)));
  ASSERT_EQ(parts.size(), 2u);
  EXPECT_EQ(read_be(parts[0], 6, 2), 0x2000u | 100);
  EXPECT_EQ(read_be(parts[1], 6, 2), 0x2000u | (100 + (parts[0].size() - 20) / 8));
  EXPECT_EQ(parts[0].size() + parts[1].size() - 40, 800u);
}

TEST_F(size_test, with_df_the_sender_is_told_what_fits) {
  gateway_.tables().ports[outside].mtu = 1300;
  auto ip = between("10.1.0.2", "10.2.0.3");
  ip.fragment = 0x4000;
  const auto packet = udp_packet(ip, 5000, 6000, filled(1400));
  gateway_.receive(inside, packet);
  gateway_.run();
  const auto out = gateway_.sent(inside);
  ASSERT_EQ(out.size(), 1u);
  const auto& error = out[0];
  EXPECT_TRUE(checksums_hold(error));
  EXPECT_EQ(part(error, 12, 20), join({address_bytes(address("10.1.0.1")), address_bytes(address("10.1.0.2"))}));
  EXPECT_EQ(error[9], 1);
  EXPECT_EQ(read_be(error, 20, 2), 0x0304u);  // RFC 792, RFC 1191: fragmentation needed
  EXPECT_EQ(read_be(error, 24, 4), sa_.inner_mtu(1300));
  EXPECT_LE(error.size(), 576u);                         // RFC 1812 4.3.2.3
  EXPECT_EQ(part(error, 40, 48), part(packet, 12, 20));  // the packet as it came, but for the hop
  EXPECT_EQ(part(error, 48, error.size()), part(packet, 20, 20 + error.size() - 48));
  EXPECT_EQ(slow_checksum(part(error, 28, 48)), 0);
  EXPECT_EQ(gateway_.drops(drop_reason::packet_too_big), 1u);
  // A packet of the size that it was told goes through.
  EXPECT_EQ(through_tunnel(udp_packet(ip, 5000, 6000, filled(sa_.inner_mtu(1300) - 28u))).size(), sa_.inner_mtu(1300));
}

TEST_F(size_test, ipv6_is_never_cut) {
  gateway_.tables().ports[outside].mtu = 1400;
  const auto packet = udp_packet(between("fd01::2", "fd02::3"), 5000, 6000, filled(1400));
  gateway_.receive(inside, packet);
  gateway_.run();
  const auto out = gateway_.sent(inside);
  ASSERT_EQ(out.size(), 1u);
  const auto& error = out[0];
  EXPECT_TRUE(checksums_hold(error));
  EXPECT_EQ(part(error, 8, 40), join({address_bytes(address("fd01::1")), address_bytes(address("fd01::2"))}));
  EXPECT_EQ(read_be(error, 40, 2), 0x0200u);  // RFC 4443 3.2: packet too big
  EXPECT_EQ(read_be(error, 44, 4), sa_.inner_mtu(1400));
  EXPECT_EQ(error.size(), 1280u);  // RFC 4443 2.4 (c)
  EXPECT_EQ(part(error, 56, error.size()), part(packet, 8, 8 + error.size() - 56));
}

TEST_F(size_test, the_last_hop_is_answered) {
  for (const bool v6 : {false, true}) {
    auto ip = v6 ? between("fd01::2", "fd02::3") : between("10.1.0.2", "10.2.0.3");
    for (const std::uint8_t hops : {0, 1}) {
      ip.hops = hops;
      const auto packet = udp_packet(ip, 5000, 6000, filled(10));
      gateway_.receive(inside, packet);
      gateway_.run();
      const auto out = gateway_.sent(inside);
      ASSERT_EQ(out.size(), 1u);
      EXPECT_TRUE(checksums_hold(out[0]));
      EXPECT_EQ(read_be(out[0], v6 ? 40 : 20, 2), v6 ? 0x0300u : 0x0b00u);
      EXPECT_EQ(part(out[0], v6 ? 48 : 28, out[0].size()), packet) << "the packet as it came";
    }
  }
  EXPECT_EQ(gateway_.drops(drop_reason::hop_limit_expired), 4u);
}

// Fragments of ESP for this gateway become whole before they are decrypted.
std::vector<bytes> cut_up(const bytes& packet, std::size_t size) {
  std::vector<bytes> parts;
  const bool v6 = packet[0] >> 4 == 6;
  const std::size_t header = v6 ? 40 : 20;
  for (std::size_t at = header; at < packet.size(); at += size) {
    const std::size_t end = std::min(packet.size(), at + size);
    const auto field = static_cast<std::uint16_t>((at - header) / 8);
    const bool more = end != packet.size();
    auto ip = between(v6 ? "2001:db8::2" : "192.0.2.2", v6 ? "2001:db8::1" : "192.0.2.1", packet[v6 ? 6 : 9]);
    ip.fragment = static_cast<std::uint16_t>(field | (more ? 0x2000 : 0));
    if (v6) {
      ip.first_extension = 44;
      ip.options = join({{packet[6], 0}, be(field * 8u | (more ? 1 : 0), 2), be(77, 4)});
    }
    parts.push_back(ip_packet(ip, part(packet, at, end)));
  }
  return parts;
}

TEST_F(size_test, fragments_of_esp_are_put_together) {
  std::uint32_t spi = 700;
  for (const bool v6 : {false, true})
    for (const bool udp : {false, true})
      for (const bool backwards : {false, true}) {
        auto record = sa_between(api::sa_direction::inbound, esp_suite::aes128gcm16, spi++);
        record.udp_encapsulation = udp;
        if (v6) record.local = address("2001:db8::1"), record.remote = address("2001:db8::2");
        gateway_.add_inbound(record);
        auto ip = between("10.2.0.3", "10.1.0.2");
        auto parts = cut_up(esp_from_peer(record, udp_packet(ip, 1, 2, filled(1300))), 504);
        if (backwards) std::reverse(parts.begin(), parts.end());
        ASSERT_EQ(parts.size(), 3u);
        for (const auto& one : parts) gateway_.receive(outside, one);
        gateway_.run();
        const auto out = gateway_.sent(inside);
        ASSERT_EQ(out.size(), 1u) << "v6 " << v6 << " udp " << udp << " backwards " << backwards;
        --ip.hops;
        EXPECT_EQ(out[0], udp_packet(ip, 1, 2, filled(1300)));
      }
  EXPECT_EQ(gateway_.all_drops(), 0u);
}

// One packet can make a whole table entry of old parts die, so hundreds of them in one burst are more than a row holds.
TEST_F(size_test, many_forgotten_fragments_are_dropped_and_counted) {
  constexpr unsigned flows = 200, each = 4;
  for (unsigned round = 0; round < 2; ++round) {
    for (unsigned n = 0; n < flows; ++n)
      for (unsigned i = 0; i < (round == 0 ? each : 1); ++i) {
        auto ip = between("192.0.2.2", "192.0.2.1", 50);
        ip.id = static_cast<std::uint16_t>(n);
        ip.fragment = static_cast<std::uint16_t>(0x2000 | (1 + i));
        gateway_.receive(outside, ip_packet(ip, filled(8)));
      }
    if (round == 0) {
      gateway_.run();
      continue;
    }
    // All of the second round in one burst, long after the first.
    auto& context = gateway_.context();
    context.now_tsc += 1'000'000'000'000ull;
    std::vector<rte_mbuf*> burst;
    rte_mbuf* frames[64];
    while (const unsigned count = gateway_.wire(outside).receive(0, frames, 64))
      for (unsigned i = 0; i < count; ++i) {
        auto& m = meta(frames[i]) = packet_meta{};
        m.egress = gateway_.tables().ports[outside].device;
        burst.push_back(frames[i]);
      }
    ASSERT_EQ(burst.size(), std::size_t{flows});
    classify(context, burst);
    auto& queue = context.queues[static_cast<std::size_t>(stage_id::reassemble)];
    ASSERT_EQ(queue.count, std::size_t{flows});
    reassemble(context, std::span(queue.packets.data(), queue.count));
    queue.count = 0;
  }
  EXPECT_GE(gateway_.drops(drop_reason::fragment_timeout), std::uint64_t{100} * each);
}

// A flood of fragments gets a share of the buffers and no more; when they have timed out, others find room again.
TEST_F(size_test, fragments_hold_a_quarter_of_the_buffers_at_most) {
  const unsigned share = gateway_.pool()->size / 4;
  const auto fragment = [this](unsigned n) {
    auto ip = between("192.0.2.2", "192.0.2.1", 50);
    ip.id = static_cast<std::uint16_t>(n / 4);
    ip.fragment = static_cast<std::uint16_t>(0x2000 | (1 + n % 4));
    gateway_.receive(outside, ip_packet(ip, filled(8)));
    gateway_.run();
  };
  for (unsigned n = 0; n < share + 10; ++n) fragment(n);
  EXPECT_EQ(gateway_.context().fragments_held, share);
  EXPECT_EQ(rte_mempool_in_use_count(gateway_.pool()), share);
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_table_full), 10u);
  EXPECT_EQ(gateway_.all_drops(), 10u);
  auto& context = gateway_.context();
  context.now_tsc += 1'000'000'000'000ull;
  expire_fragments(context);
  EXPECT_EQ(context.fragments_held, 0u);
  EXPECT_EQ(rte_mempool_in_use_count(gateway_.pool()), 0u);
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_timeout), share);
}

TEST_F(size_test, fragments_that_do_not_fit_together) {
  const auto send = [this](std::uint16_t id, std::uint16_t field, std::size_t size) {
    auto ip = between("192.0.2.2", "192.0.2.1", 50);
    ip.id = id;
    ip.fragment = field;
    gateway_.receive(outside, ip_packet(ip, filled(size)));
    gateway_.run();
  };
  for (std::uint16_t i = 0; i < 9; ++i) send(1, 0x2000 | i, 8);  // more than eight
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_mismatch), 8u);
  EXPECT_EQ(gateway_.context().fragments_held, 1u);  // the ninth begins anew
  send(2, 0x2000 | 0, 16);
  send(2, 0x2000 | 0, 16);  // twice
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_mismatch), 10u);
  send(3, 1, 24);  // the last one
  send(3, 0x2000 | 0, 24);
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_mismatch), 12u) << "they overlap";
  send(4, 1, 0);
  EXPECT_EQ(gateway_.drops(drop_reason::fragment_mismatch), 13u) << "an empty one";
  EXPECT_EQ(gateway_.all_drops(), 13u);
}

}  // namespace
}  // namespace trunkgate
