// ESP in transport mode, out of the box and into it: where it stands in the packet, and what it refuses.
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
bytes from(const bytes& of, std::size_t offset) { return part(of, offset, of.size()); }

// An SA between the box itself and the peer itself.
api::sa_record transport_sa(api::sa_direction direction, bool v6, bool udp, esp_suite suite = esp_suite::aes256gcm16) {
  auto record = sa_between(direction, suite, 0x6000);
  record.mode = api::sa_mode::transport;
  record.udp_encapsulation = udp;
  if (v6) {
    record.local = address("2001:db8::1");
    record.remote = address("2001:db8::2");
    set_prefixes(record, {"2001:db8::1/128"}, {"2001:db8::2/128"});
  } else {
    set_prefixes(record, {"192.0.2.1/32"}, {"192.0.2.2/32"});
  }
  return record;
}

ip_fields ours(bool v6, std::uint8_t protocol = 17) {
  return v6 ? between("2001:db8::1", "2001:db8::2", protocol) : between("192.0.2.1", "192.0.2.2", protocol);
}
ip_fields theirs(bool v6, std::uint8_t protocol = 17) {
  auto ip = ours(v6, protocol);
  std::swap(ip.source, ip.destination);
  return ip;
}

class transport_of : public testing::TestWithParam<std::tuple<bool, bool, esp_suite>> {
 protected:
  static bool v6() { return std::get<0>(GetParam()); }
  static bool udp() { return std::get<1>(GetParam()); }
  static std::size_t header() { return v6() ? 40 : 20; }

  void send_from_box(const bytes& ip) {
    ASSERT_TRUE(gateway_.workers().inject(gateway_.buffer(frame_of(peer_mac, outside_mac, ip)), outside));
    gateway_.run();
  }
  // What one packet of the box's own became.
  bytes protected_from_box(const bytes& ip) {
    send_from_box(ip);
    const auto out = gateway_.sent(outside);
    EXPECT_EQ(out.size(), 1u);
    return out.empty() ? bytes{} : out[0];
  }
  // The IP packet that the kernel gets for what the peer sent.
  bytes delivered(const bytes& outer) {
    gateway_.receive(outside, outer);
    gateway_.run();
    const auto frames = gateway_.punted();
    EXPECT_EQ(frames.size(), 1u);
    return frames.empty() ? bytes{} : from(frames[0], 14);
  }
  api::sa_record record(api::sa_direction direction) const {
    return transport_sa(direction, v6(), udp(), std::get<2>(GetParam()));
  }
  little_gateway gateway_;
};

TEST_P(transport_of, the_boxs_own_packet_keeps_its_header) {
  const auto sa = record(api::sa_direction::outbound);
  gateway_.add_outbound(sa);
  for (const std::size_t size : {0u, 1u, 7u, 100u, 1001u}) {
    auto ip = ours(v6());
    ip.traffic_class = 0xb9;
    ip.hops = 61;
    ip.fragment = v6() ? 0 : 0x4000;
    const auto plain = udp_packet(ip, 4000, 5000, filled(size));
    const auto outer = protected_from_box(plain);
    const auto got = open_at_peer(sa, outer);
    EXPECT_EQ(got.inner, from(plain, header()));
    EXPECT_EQ(got.next_header, 17);
    // Of the header only length, protocol and checksum are others.
    auto expected = part(plain, 0, header()), head = part(outer, 0, header());
    for (auto* bytes : {&expected, &head})
      for (const std::size_t at : v6() ? std::vector<std::size_t>{4, 5, 6} : std::vector<std::size_t>{2, 3, 9, 10, 11})
        (*bytes)[at] = 0;
    EXPECT_EQ(head, expected);
  }
  EXPECT_EQ(gateway_.all_drops(), 0u);
}

TEST_P(transport_of, the_peers_packet_reaches_the_kernel) {
  const auto sa = record(api::sa_direction::inbound);
  auto& in = gateway_.add_inbound(sa);
  std::uint64_t sequence = 0;
  for (const std::size_t size : {0u, 1u, 7u, 100u, 1001u})
    for (const bool tcp : {false, true}) {
      const auto plain = tcp ? tcp_packet(theirs(v6()), 5000, 4000, 2, {}, filled(size))
                             : udp_packet(theirs(v6()), 5000, 4000, filled(size));
      auto outer = esp_from_peer(sa, from(plain, header()),
                                 {.sequence = ++sequence, .next_header = static_cast<std::uint8_t>(tcp ? 6 : 17)});
      EXPECT_EQ(delivered(outer), plain);
    }
  EXPECT_EQ(gateway_.all_drops(), 0u);
  EXPECT_EQ(in.counters.packets.get(), sequence);
}

INSTANTIATE_TEST_SUITE_P(flavours, transport_of,
                         testing::Combine(testing::Bool(), testing::Bool(),
                                          testing::Values(esp_suite::aes256gcm16, esp_suite::aes128cbc_sha256)),
                         [](const auto& about) {
                           std::string suite(trunkgate::info(std::get<2>(about.param)).name);
                           std::erase(suite, '-');
                           return suite + (std::get<0>(about.param) ? "_v6" : "_v4") +
                                  (std::get<1>(about.param) ? "_udp" : "");
                         });

class transport : public testing::Test {
 protected:
  std::vector<bytes> sent_by_box(const bytes& ip) {
    EXPECT_TRUE(gateway_.workers().inject(gateway_.buffer(frame_of(peer_mac, outside_mac, ip)), outside));
    gateway_.run();
    return gateway_.sent(outside);
  }
  std::vector<bytes> for_the_kernel(const bytes& outer) {
    gateway_.receive(outside, outer);
    gateway_.run();
    return gateway_.punted();
  }
  std::uint64_t dropped(const bytes& outer, drop_reason reason) {
    const auto before = gateway_.drops(reason);
    EXPECT_TRUE(for_the_kernel(outer).empty());
    return gateway_.drops(reason) - before;
  }
  little_gateway gateway_;
};

TEST_F(transport, ipv4_options_stay_in_front) {
  const auto sa = transport_sa(api::sa_direction::outbound, false, false);
  gateway_.add_outbound(sa);
  auto ip = ours(false);
  ip.options = {7, 7, 4, 0, 0, 0, 0, 0};  // record route
  const auto plain = udp_packet(ip, 1, 2, filled(30));
  const auto out = sent_by_box(plain);
  ASSERT_EQ(out.size(), 1u);
  EXPECT_EQ(part(out[0], 20, 28), ip.options);
  EXPECT_EQ(out[0][9], 50);
  EXPECT_EQ(slow_checksum(part(out[0], 0, 28)), 0u);
  EXPECT_EQ(read_be(out[0], 2, 2), out[0].size());
  const auto got = open_esp(sa, from(out[0], 28));
  EXPECT_EQ(got.inner, from(plain, 28));
  EXPECT_EQ(got.next_header, 17);
}

// RFC 4303 3.1.1: behind hop-by-hop options, routing, and the destination options in front of it.
TEST_F(transport, ipv6_headers_that_are_read_on_the_way_stay_in_front) {
  const auto sa = transport_sa(api::sa_direction::outbound, true, false);
  const auto in = transport_sa(api::sa_direction::inbound, true, false);
  gateway_.add_outbound(sa);
  gateway_.add_inbound(in);
  const bytes padding{1, 4, 0, 0, 0, 0};  // PadN
  const auto header = [&](std::uint8_t next) { return join({{next, 0}, padding}); };
  const bytes routing{60, 0, 4, 0, 0, 0, 0, 0};  // used up: no segments left
  struct {
    bytes in_front;
    std::uint8_t first;
    bytes behind;  // destination options of the last station
    std::size_t names_esp_at;
    std::uint8_t next_header;
  } const table[]{
      {{}, 60, header(17), 6, 60},
      {header(17), 0, {}, 40, 17},
      {join({header(60), header(43), routing}), 0, header(17), 56, 60},
  };
  std::uint64_t sequence = 0;
  for (const auto& row : table) {
    auto ip = ours(true);
    ip.options = join({row.in_front, row.behind});
    ip.first_extension = row.first;
    const auto plain = udp_packet(ip, 1, 2, filled(30));
    const auto out = sent_by_box(plain);
    ASSERT_EQ(out.size(), 1u);
    const std::size_t esp_at = 40 + row.in_front.size();
    EXPECT_EQ(out[0][row.names_esp_at], 50);
    EXPECT_EQ(read_be(out[0], 4, 2) + 40, out[0].size());
    const auto got = open_esp(sa, from(out[0], esp_at));
    EXPECT_EQ(got.inner, from(plain, esp_at));
    EXPECT_EQ(got.next_header, row.next_header);
    // And the same back: what the peer puts behind those headers comes out as it was.
    auto back = theirs(true, 50);
    back.options = row.in_front;
    back.first_extension = row.in_front.empty() ? 50 : row.first;
    if (!row.in_front.empty()) back.options[row.in_front.size() - 8] = 50;
    auto expected = theirs(true);
    expected.options = ip.options;
    expected.first_extension = row.first;
    const auto whole = udp_packet(expected, 5, 6, filled(9));
    const auto sealed = seal(in, from(whole, esp_at), {.sequence = ++sequence, .next_header = row.next_header});
    const auto got_back = for_the_kernel(ip_packet(back, sealed));
    ASSERT_EQ(got_back.size(), 1u);
    EXPECT_EQ(from(got_back[0], 14), whole);
  }
  EXPECT_EQ(gateway_.all_drops(), 0u);
}

TEST_F(transport, authentication_headers_in_front_are_not_ours) {
  const auto in = transport_sa(api::sa_direction::inbound, true, false);
  gateway_.add_inbound(in);
  auto ip = theirs(true, 50);
  ip.options = join({{50, 2}, bytes(14)});
  ip.first_extension = 51;
  const auto plain = udp_packet(theirs(true), 1, 2, {});
  EXPECT_EQ(dropped(ip_packet(ip, seal(in, from(plain, 40), {.next_header = 17})), drop_reason::ipv6_bad_extension),
            1u);
}

TEST_F(transport, fragments_are_not_protected) {
  auto& sa = gateway_.add_outbound(transport_sa(api::sa_direction::outbound, false, false));
  auto ip = ours(false);
  for (const std::uint16_t fragment : {0x2000, 0x0010}) {
    ip.fragment = fragment;
    EXPECT_TRUE(sent_by_box(udp_packet(ip, 1, 2, filled(64))).empty());
  }
  EXPECT_EQ(gateway_.drops(drop_reason::transport_fragment), 2u);
  EXPECT_EQ(sa.counters.other_drops.get(), 2u);
}

TEST_F(transport, what_is_too_large_is_not_cut_before_encryption) {
  gateway_.tables().ports[outside].mtu = 1280;
  const auto sa = transport_sa(api::sa_direction::outbound, false, false);
  gateway_.add_outbound(sa);
  const auto plain = udp_packet(ours(false), 1, 2, filled(1300));
  const auto out = sent_by_box(plain);
  for (const auto& packet : out) EXPECT_EQ(packet[9], 50) << "nothing in clear";
  EXPECT_EQ(gateway_.drops(drop_reason::transport_fragment), 0u);
  auto ip = ours(false);
  ip.fragment = 0x4000;
  EXPECT_TRUE(sent_by_box(udp_packet(ip, 1, 2, filled(1300))).empty());
  EXPECT_EQ(gateway_.drops(drop_reason::packet_too_big), 1u) << "the kernel is told the size";
}

// The largest packet that is said to fit does fit, and the next larger one does not.
TEST_F(transport, the_size_that_fits_is_exact) {
  for (const bool v6 : {false, true})
    for (const bool udp : {false, true})
      for (const auto suite : {esp_suite::aes256gcm16, esp_suite::aes256cbc_sha1}) {
        little_gateway gateway;
        auto& sa = gateway.add_outbound(transport_sa(api::sa_direction::outbound, v6, udp, suite));
        const std::size_t fits = sa.inner_mtu(1500), headers = (v6 ? 40 : 20) + 8;
        auto ip = ours(v6);
        if (!v6) ip.fragment = 0x4000;
        for (const std::size_t size : {fits, fits + 1}) {
          const auto plain = udp_packet(ip, 1, 2, filled(size - headers));
          ASSERT_TRUE(gateway.workers().inject(gateway.buffer(frame_of(peer_mac, outside_mac, plain)), outside));
          gateway.run();
          const auto out = gateway.sent(outside);
          ASSERT_EQ(out.size(), size == fits ? 1u : 0u);
          if (size != fits) continue;
          EXPECT_LE(out[0].size(), 1500u);
          EXPECT_GT(out[0].size() + info(suite).block, 1500u);
        }
        EXPECT_EQ(gateway.drops(drop_reason::packet_too_big), 1u);
      }
}

TEST_F(transport, nobody_else_has_the_boxs_address) {
  gateway_.add_outbound(transport_sa(api::sa_direction::outbound, false, false));
  gateway_.receive(inside, udp_packet(ours(false), 1, 2, {}));
  gateway_.run();
  EXPECT_TRUE(gateway_.sent(outside).empty());
  EXPECT_EQ(gateway_.drops(drop_reason::ip_martian_source), 1u);
}

TEST_F(transport, in_clear_is_refused_where_the_peer_should_have_protected) {
  gateway_.add_outbound(transport_sa(api::sa_direction::outbound, false, false));
  EXPECT_EQ(dropped(udp_packet(theirs(false), 1, 2, {}), drop_reason::cleartext_must_be_protected), 1u);
}

TEST_F(transport, each_mode_has_its_own_next_headers) {
  const auto in = transport_sa(api::sa_direction::inbound, false, false);
  gateway_.add_inbound(in);
  const auto whole = udp_packet(theirs(false), 1, 2, filled(20));
  std::uint64_t n = 0;
  // A tunnel of the kernel's own inside transport mode (RFC 3884 3): its IP in IP is a payload like any other.
  for (const std::uint8_t next : {4, 41}) {
    const auto got = for_the_kernel(esp_from_peer(in, whole, {.sequence = ++n, .next_header = next}));
    ASSERT_EQ(got.size(), 1u);
    EXPECT_EQ(got[0][14 + 9], next);
    EXPECT_EQ(from(got[0], 14 + 20), whole);
  }
  EXPECT_EQ(dropped(esp_from_peer(in, whole, {.sequence = ++n, .next_header = 59}), drop_reason::esp_dummy), 1u);
  EXPECT_EQ(dropped(esp_from_peer(in, {}, {.sequence = ++n, .trailer = bytes{1, 2, 2, 17}}),
                    drop_reason::transport_truncated),
            1u);
  EXPECT_EQ(
      dropped(esp_from_peer(in, filled(6), {.sequence = ++n, .next_header = 17}), drop_reason::transport_truncated),
      1u);
  // Of the peer itself to the box itself, and nothing else.
  EXPECT_EQ(for_the_kernel(esp_from_peer(in, from(whole, 20), {.sequence = ++n, .next_header = 17})).size(), 1u);
}

// RFC 3948 3.1.2: the peer computed its checksum over the address it has behind the NAT.
TEST_F(transport, behind_a_nat_checksums_are_put_right) {
  for (const bool v6 : {false, true}) {
    auto in = transport_sa(api::sa_direction::inbound, v6, true);
    in.spi += v6;
    gateway_.add_inbound(in);
    auto behind = theirs(v6);
    behind.source = address(v6 ? "fd00::77" : "192.168.7.7");
    const std::size_t header = v6 ? 40 : 20;
    std::uint64_t n = 0;
    const auto arrives = [&](const bytes& private_packet, std::uint8_t next) {
      const auto got =
          for_the_kernel(esp_from_peer(in, from(private_packet, header), {.sequence = ++n, .next_header = next}));
      EXPECT_EQ(got.size(), 1u);
      return got.empty() ? bytes{} : from(got[0], 14);
    };
    for (const std::size_t size : {0u, 1u, 2u, 999u}) {
      EXPECT_EQ(arrives(tcp_packet(behind, 1, 2, 0x10, {}, filled(size)), 6),
                tcp_packet(theirs(v6), 1, 2, 0x10, {}, filled(size)));
      EXPECT_EQ(arrives(udp_packet(behind, 1, 2, filled(size)), 17), udp_packet(theirs(v6), 1, 2, filled(size)));
    }
    if (v6) continue;
    auto none = udp_packet(behind, 1, 2, filled(5));
    none[26] = none[27] = 0;
    const auto got = arrives(none, 17);
    EXPECT_EQ(read_be(got, 26, 2), 0u) << "no checksum over IPv4 stays none";
  }
}

}  // namespace
}  // namespace trunkgate
