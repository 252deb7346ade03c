// parse_ip: what it says of good headers, which reason it gives for bad ones, and that it stays inside the bytes.
#include "dataplane/packet/parse.hpp"

#include <algorithm>
#include <memory>

#include <gtest/gtest.h>

#include "dataplane/packet/headers.hpp"
#include "tests/unit/packet/packets.hpp"

namespace trunkgate {
namespace {

using test::be;
using test::between;
using test::bytes;
using test::filled;
using test::join;

// On the heap and of the exact size: the address sanitizer sees one byte too far.
drop_reason parse(const bytes& packet, packet_meta& m, bool checksum_known_good = false) {
  const auto exact = std::make_unique<std::uint8_t[]>(packet.size());
  std::copy(packet.begin(), packet.end(), exact.get());
  return parse_ip({exact.get(), packet.size()}, m, checksum_known_good);
}
drop_reason parse(const bytes& packet) {
  packet_meta m;
  return parse(packet, m);
}

test::ip_fields v4(std::uint8_t protocol = 17) { return between("10.1.0.2", "10.2.0.3", protocol); }
test::ip_fields v6(std::uint8_t protocol = 17) { return between("2001:db8::2", "2001:db8:1::3", protocol); }

test::ip_fields v6_with(std::uint8_t first, const bytes& extensions, std::uint8_t protocol = 17) {
  auto ip = v6(protocol);
  ip.first_extension = first;
  ip.options = extensions;
  return ip;
}

bytes changed(bytes packet, std::size_t offset, std::uint8_t value) {
  packet.at(offset) = value;
  if (packet[0] >> 4 == 4 && packet.size() >= 20) {  // another value, not another checksum
    const std::size_t header = std::min<std::size_t>((packet[0] & 15u) * 4, packet.size());
    packet[10] = packet[11] = 0;
    const auto sum = test::slow_checksum({packet.begin(), packet.begin() + static_cast<std::ptrdiff_t>(header)});
    packet[10] = static_cast<std::uint8_t>(sum >> 8);
    packet[11] = static_cast<std::uint8_t>(sum);
  }
  return packet;
}

TEST(parse_ip, reads_an_ipv4_datagram) {
  auto ip = v4();
  ip.traffic_class = 0xb9;
  packet_meta m;
  EXPECT_EQ(parse(test::udp_packet(ip, 1000, 2000, filled(30)), m), drop_reason::none);
  EXPECT_EQ(m.ip_version, 4);
  EXPECT_EQ(m.ip_length, 58);
  EXPECT_EQ(m.l4_offset, 20);
  EXPECT_EQ(m.protocol, protocol_udp);
  EXPECT_EQ(m.traffic_class, 0xb9);
  EXPECT_TRUE(m.has_ports);
  EXPECT_EQ(m.source_port, 1000);
  EXPECT_EQ(m.destination_port, 2000);
  EXPECT_FALSE(m.fragment);
}

TEST(parse_ip, reads_ipv4_options_and_leaves_padding_out) {
  auto ip = v4();
  ip.options = bytes(40, 1);
  auto packet = test::tcp_packet(ip, 1, 2, 2, {2, 4, 5, 180});
  const auto length = packet.size();
  packet.resize(length + 7);  // Ethernet padding
  packet_meta m;
  EXPECT_EQ(parse(packet, m), drop_reason::none);
  EXPECT_EQ(m.l4_offset, 60);
  EXPECT_EQ(m.ip_length, length);
}

TEST(parse_ip, reads_ipv6_through_its_extension_headers) {
  const bytes hop_by_hop{43, 0, 1, 4, 0, 0, 0, 0}, routing{60, 0, 4, 0, 0, 0, 0, 0},
      options = join({{51, 1}, bytes(14)}),
      authentication = join({{17, 4}, bytes(22)});  // RFC 4302 2.2: length in words, less 2
  auto ip = v6_with(0, join({hop_by_hop, routing, options, authentication}));
  ip.traffic_class = 0x2e;
  packet_meta m;
  EXPECT_EQ(parse(test::udp_packet(ip, 7, 9, filled(5)), m), drop_reason::none);
  EXPECT_EQ(m.ip_version, 6);
  EXPECT_EQ(m.protocol, protocol_udp);
  EXPECT_EQ(m.l4_offset, 40 + 8 + 8 + 16 + 24);
  EXPECT_EQ(m.destination_port, 9);
  EXPECT_EQ(m.traffic_class, 0x2e);
  EXPECT_FALSE(m.fragment);
}

TEST(parse_ip, knows_fragments) {
  packet_meta m;
  auto first = v4();
  first.fragment = 0x2000;
  EXPECT_EQ(parse(test::udp_packet(first, 7, 9, filled(8)), m), drop_reason::none);
  EXPECT_TRUE(m.fragment && !m.later_fragment && m.has_ports);
  auto later = v4();
  later.fragment = 0x2005;
  EXPECT_EQ(parse(test::ip_packet(later, filled(3)), m), drop_reason::none);
  EXPECT_TRUE(m.fragment && m.later_fragment && !m.has_ports);
  EXPECT_EQ(m.source_port, 0);

  EXPECT_EQ(parse(test::udp_packet(v6_with(44, {17, 0, 0, 1, 1, 2, 3, 4}), 7, 9, filled(8)), m), drop_reason::none);
  EXPECT_TRUE(m.fragment && !m.later_fragment && m.has_ports);
  // Behind a later fragment's header there is payload, whatever its first bytes look like.
  EXPECT_EQ(parse(test::ip_packet(v6_with(44, {0, 0, 0, 8, 1, 2, 3, 4}), filled(3)), m), drop_reason::none);
  EXPECT_TRUE(m.fragment && m.later_fragment && !m.has_ports);
  EXPECT_EQ(m.protocol, 0);
  EXPECT_EQ(parse(test::udp_packet(v6(), 7, 9, {}), m), drop_reason::none);
  EXPECT_FALSE(m.fragment || m.later_fragment) << "flags of the packet before";
}

TEST(parse_ip, takes_any_length_of_udp_in_a_first_fragment_only) {
  auto ip = v4();
  const auto whole = test::udp_packet(ip, 7, 9, filled(8));
  EXPECT_EQ(parse(changed(whole, 25, 17)), drop_reason::transport_truncated);
  auto first = changed(whole, 25, 200);
  EXPECT_EQ(parse(changed(first, 6, 0x20)), drop_reason::none);
  EXPECT_EQ(parse(changed(changed(first, 6, 0x20), 25, 7)), drop_reason::transport_truncated);
}

struct bad_packet {
  const char* what;
  bytes packet;
  drop_reason reason;
};

TEST(parse_ip, names_what_is_wrong) {
  const auto udp4 = test::udp_packet(v4(), 1, 2, filled(4)), udp6 = test::udp_packet(v6(), 1, 2, filled(4));
  const auto tcp4 = test::tcp_packet(v4(), 1, 2, 2, {});
  auto bad_sum = udp4;
  bad_sum[10] ^= 1;
  bytes chain;
  for (int i = 0; i < 9; ++i) chain = join({chain, {static_cast<std::uint8_t>(i == 8 ? 17 : 60), 0, 1, 4, 0, 0, 0, 0}});
  const std::vector<bad_packet> table{
      {"nothing", {}, drop_reason::ip_bad_header_length},
      {"version 5", {0x55, 0, 0, 20}, drop_reason::ip_bad_version},
      {"version 0", bytes(60), drop_reason::ip_bad_version},
      {"IPv4 of 19 bytes", bytes(udp4.begin(), udp4.begin() + 19), drop_reason::ip_bad_header_length},
      {"IPv4 header of 4 words", changed(udp4, 0, 0x44), drop_reason::ip_bad_header_length},
      {"IPv4 header longer than the packet", changed(udp4, 0, 0x4f), drop_reason::ip_bad_header_length},
      {"IPv4 shorter than its header", changed(udp4, 3, 19), drop_reason::ip_bad_total_length},
      {"IPv4 longer than what arrived", changed(udp4, 3, static_cast<std::uint8_t>(udp4.size() + 1)),
       drop_reason::ip_bad_total_length},
      {"IPv4 checksum", bad_sum, drop_reason::ip_bad_checksum},
      {"IPv6 of 39 bytes", bytes(udp6.begin(), udp6.begin() + 39), drop_reason::ip_bad_header_length},
      {"IPv6 longer than what arrived", changed(udp6, 5, 13), drop_reason::ip_bad_total_length},
      {"nine extension headers", test::udp_packet(v6_with(60, chain), 1, 2, {}), drop_reason::ipv6_bad_extension},
      {"extension past the end", test::ip_packet(v6(60), {17, 1, 0, 0, 0, 0, 0, 0}), drop_reason::ipv6_bad_extension},
      {"extension cut", test::ip_packet(v6(0), {17, 0, 1, 4, 0, 0, 0}), drop_reason::ipv6_bad_extension},
      {"authentication header past the end", test::ip_packet(v6(51), {17, 1, 0, 0, 0, 0, 0, 0}),
       drop_reason::ipv6_bad_extension},
      {"type 0 routing header (RFC 5095)", test::udp_packet(v6_with(43, {17, 0, 0, 1, 0, 0, 0, 0}), 1, 2, {}),
       drop_reason::ipv6_bad_extension},
      {"no UDP header", test::ip_packet(v4(17), filled(7)), drop_reason::transport_truncated},
      {"UDP shorter than its header", changed(udp4, 25, 7), drop_reason::transport_truncated},
      {"UDP longer than the packet", changed(udp6, 45, 13), drop_reason::transport_truncated},
      {"no TCP header", test::ip_packet(v4(6), filled(19)), drop_reason::transport_truncated},
      {"TCP header of 4 words", changed(tcp4, 32, 0x40), drop_reason::transport_truncated},
      {"TCP options past the end", changed(tcp4, 32, 0x60), drop_reason::transport_truncated},
      {"SCTP", test::ip_packet(v4(132), filled(11)), drop_reason::transport_truncated},
      {"ICMP", test::ip_packet(v4(1), filled(3)), drop_reason::transport_truncated},
      {"ICMPv6", test::ip_packet(v6(58), filled(3)), drop_reason::transport_truncated},
  };
  for (const auto& row : table) EXPECT_EQ(info(parse(row.packet)).name, info(row.reason).name) << row.what;
}

TEST(parse_ip, believes_the_device_about_the_checksum) {
  auto packet = test::udp_packet(v4(), 1, 2, filled(4));
  packet[10] ^= 1;
  packet_meta m;
  EXPECT_EQ(parse(packet, m, true), drop_reason::none);
}

TEST(parse_ip, eight_extension_headers_are_followed) {
  bytes chain;
  for (int i = 0; i < 8; ++i) chain = join({chain, {static_cast<std::uint8_t>(i == 7 ? 17 : 60), 0, 1, 4, 0, 0, 0, 0}});
  EXPECT_EQ(parse(test::udp_packet(v6_with(60, chain), 1, 2, {})), drop_reason::none);
}

// Cut anywhere, with and without a length field that says so, a packet is either good and inside its bytes or refused.
// RFC 4301 4.4.1.1: a message's type and code are selectors where others have ports.
TEST(parse_ip, takes_type_and_code_of_icmp_for_ports) {
  for (const auto& packet : {test::icmp_packet(v4(), 3, 4, filled(12)), test::icmp_packet(v6(), 3, 4, filled(12))}) {
    packet_meta m;
    ASSERT_EQ(parse(packet, m), drop_reason::none);
    EXPECT_TRUE(m.has_ports);
    EXPECT_EQ(m.source_port, 0x0304);
    EXPECT_EQ(m.destination_port, 0x0304);
  }
}

TEST(parse_ip, stays_inside_a_cut_packet) {
  const bytes extensions{60, 0, 1, 4, 0, 0, 0, 0, 17, 0, 1, 4, 0, 0, 0, 0};
  auto options = v4();
  options.options = bytes(12, 1);
  const std::vector<bytes> packets{
      test::udp_packet(v4(), 1, 2, filled(9)),
      test::udp_packet(options, 1, 2, filled(9)),
      test::tcp_packet(v4(), 1, 2, 2, {2, 4, 5, 180}),
      test::tcp_packet(v6(), 1, 2, 2, {1, 1, 2, 4, 5, 180, 0, 0}),
      test::icmp_packet(v4(), 8, 0, filled(12)),
      test::icmp_packet(v6(), 128, 0, filled(12)),
      test::ip_packet(v4(132), filled(16)),
      test::udp_packet(v6_with(0, extensions), 1, 2, filled(3)),
      test::ip_packet(v6(50), filled(40)),
      test::udp_packet(v6_with(44, {17, 0, 0, 1, 1, 2, 3, 4}), 1, 2, filled(9)),
  };
  for (const auto& whole : packets) {
    ASSERT_EQ(parse(whole), drop_reason::none);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      EXPECT_NE(parse(cut), drop_reason::none) << size;
      const bool v4_packet = whole[0] >> 4 == 4;
      if (size < (v4_packet ? 20u : 40u)) continue;
      cut = v4_packet ? changed(changed(cut, 2, 0), 3, static_cast<std::uint8_t>(size))
                      : changed(cut, 5, static_cast<std::uint8_t>(size - 40));
      packet_meta m;
      if (parse(cut, m) != drop_reason::none) continue;
      EXPECT_EQ(m.ip_length, size);
      EXPECT_LE(m.l4_offset, m.ip_length);
      EXPECT_TRUE(!m.has_ports || m.l4_offset + (m.protocol == 1 || m.protocol == 58 ? 4 : 8) <= m.ip_length);
    }
  }
}

TEST(source_is_martian, for_addresses_that_no_wire_brings) {
  const auto martian = [](const char* source, const char* destination) {
    const auto packet = test::ip_packet(between(source, destination), {});
    return source_is_martian(packet, packet[0] >> 4);
  };
  for (const char* source : {"127.0.0.1", "0.0.0.0", "0.1.2.3", "224.0.0.1", "240.0.0.1", "255.255.255.255"})
    EXPECT_TRUE(martian(source, "10.0.0.1")) << source;
  for (const char* source : {"10.0.0.1", "1.0.0.0", "223.255.255.255", "126.1.1.1", "128.0.0.1"})
    EXPECT_FALSE(martian(source, "10.0.0.1")) << source;
  for (const char* source : {"::1", "ff02::1"}) EXPECT_TRUE(martian(source, "2001:db8::1")) << source;
  for (const char* source : {"::", "fe80::1", "2001:db8::2", "::2", "1::1"})
    EXPECT_FALSE(martian(source, "2001:db8::1")) << source;
}

}  // namespace
}  // namespace trunkgate
