#include "dataplane/packet/quoted.hpp"

#include <gtest/gtest.h>

#include "tests/unit/packet/packets.hpp"

namespace trunkgate::test {
namespace {

const bytes esp = join({be(0x1001, 4), be(77, 4), filled(40)});

TEST(Quoted, EspAndEspInUdp) {
  const auto plain = parse_quoted(ip_packet(between("192.0.2.1", "192.0.2.2", 50), esp), 4);
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->source, address("192.0.2.1"));
  EXPECT_EQ(plain->destination, address("192.0.2.2"));
  EXPECT_EQ(plain->length, 20 + 48);
  EXPECT_TRUE(plain->has_spi);
  EXPECT_EQ(plain->spi, 0x1001u);
  EXPECT_EQ(plain->sequence, 77u);
  const auto in_udp = parse_quoted(udp_packet(between("2001:db8::1", "2001:db8::2"), 4500, 4501, esp), 6);
  ASSERT_TRUE(in_udp);
  EXPECT_EQ(in_udp->source_port, 4500);
  EXPECT_EQ(in_udp->destination_port, 4501);
  EXPECT_EQ(in_udp->spi, 0x1001u);
}

TEST(Quoted, EightBytesBehindTheHeaderAreEnough) {  // RFC 792
  auto packet = ip_packet(between("192.0.2.1", "192.0.2.2", 50), esp);
  packet.resize(28);
  const auto got = parse_quoted(packet, 4);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->has_spi);
  EXPECT_EQ(got->length, 68);
  packet.resize(27);
  EXPECT_FALSE(parse_quoted(packet, 4)->has_spi);
}

TEST(Quoted, TcpHasPortsAndNoSpi) {
  const auto got = parse_quoted(tcp_packet(between("10.0.0.1", "10.0.0.2"), 80, 4000, 2, {}), 4);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->has_ports);
  EXPECT_EQ(got->source_port, 80);
  EXPECT_FALSE(got->has_spi);
}

TEST(Quoted, ALaterFragmentHasNothingBehindItsHeader) {
  auto fields = between("10.0.0.1", "10.0.0.2", 17);
  fields.fragment = 100;
  const auto got = parse_quoted(ip_packet(fields, filled(64)), 4);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->later_fragment);
  EXPECT_FALSE(got->has_ports);
}

TEST(Quoted, CutAnywhereItIsNothingOrLess) {
  for (const auto& [source, destination] : {std::pair{"192.0.2.1", "192.0.2.2"}, {"fd00::1", "fd00::2"}}) {
    auto fields = between(source, destination, 50);
    const std::uint8_t version = fields.source.family == ip_family::v4 ? 4 : 6;
    const auto whole = ip_packet(fields, esp);
    const std::size_t header = version == 4 ? 20 : 40;
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const bytes cut(whole.begin(), whole.begin() + static_cast<std::ptrdiff_t>(size));
      const auto got = parse_quoted(cut, version);
      EXPECT_EQ(got.has_value(), size >= header) << size;
      EXPECT_EQ(got && got->has_spi, size >= header + 8) << size;
      EXPECT_FALSE(parse_quoted(cut, version == 4 ? 6 : 4)) << size;
    }
  }
}

TEST(Quoted, TypeAndCodeOfIcmpStandForPorts) {
  const auto got = parse_quoted(icmp_packet(between("10.2.0.3", "10.1.0.2"), 8, 1, filled(4)), 4);
  ASSERT_TRUE(got);
  EXPECT_TRUE(got->has_ports && !got->has_spi);
  EXPECT_EQ(got->source_port, 0x0801);
  EXPECT_EQ(got->destination_port, 0x0801);
}

TEST(Quoted, WhichIcmpQuotes) {
  EXPECT_TRUE(is_icmp_error(4, 3));
  EXPECT_TRUE(is_icmp_error(4, 11));
  EXPECT_FALSE(is_icmp_error(4, 8));
  EXPECT_FALSE(is_icmp_error(4, 0));
  EXPECT_TRUE(is_icmp_error(6, 2));
  EXPECT_FALSE(is_icmp_error(6, 128));
}

}  // namespace
}  // namespace trunkgate::test
