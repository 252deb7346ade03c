// What an SA is told to do with its outer header (RFC 4301 5.1.2, RFC 6040 4.1), and padding against traffic analysis.
#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

class outer_header_of : public testing::Test {
 protected:
  // The outer packet around one inner packet.
  static bytes around(const api::sa_record& record, const bytes& inner) {
    little_gateway gateway;
    gateway.add_outbound(record);
    gateway.receive(inside, inner);
    gateway.run();
    const auto out = gateway.sent(outside);
    EXPECT_EQ(out.size(), 1u);
    if (out.empty()) return {};
    EXPECT_EQ(open_at_peer(record, out[0]).inner.size(), inner.size());
    return out[0];
  }
  static bytes inner(bool v6, std::uint8_t traffic_class = 0, bool df = false) {
    auto ip = v6 ? between("fd01::2", "fd02::3") : between("10.1.0.2", "10.2.0.3");
    ip.traffic_class = traffic_class;
    if (!v6 && df) ip.fragment = 0x4000;
    return udp_packet(ip, 5000, 6000, filled(33));
  }
  static std::uint8_t traffic_class(const bytes& outer) {
    return outer.at(0) >> 4 == 4 ? outer[1] : static_cast<std::uint8_t>(read_be(outer, 0, 2) >> 4);
  }
  static api::sa_record sa(bool outer_v6) {
    auto record = sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, 0x900);
    if (outer_v6) {
      record.local = address("2001:db8::1");
      record.remote = address("2001:db8::2");
    }
    return record;
  }
};

TEST_F(outer_header_of, dscp_goes_by_the_table_and_ecn_by_the_mode) {
  for (const bool outer_v6 : {false, true})
    for (const bool compatible : {false, true}) {
      auto record = sa(outer_v6);
      record.outer.dscp[46] = 26;
      record.outer.dscp[0] = 10;
      record.outer.ecn = compatible ? api::ecn_mode::compatibility : api::ecn_mode::normal;
      const std::pair<int, int> table[]{{46, 26}, {0, 10}, {8, 8}, {63, 63}};
      for (const auto& [dscp, expected] : table)
        for (const int ecn : {0, 1, 2, 3}) {
          const auto given = static_cast<std::uint8_t>(dscp << 2 | ecn);
          for (const bool v6 : {false, true})
            EXPECT_EQ(traffic_class(around(record, inner(v6, given))), expected << 2 | (compatible ? 0 : ecn))
                << dscp << " " << ecn;
        }
    }
}

TEST_F(outer_header_of, df_is_copied_set_or_cleared) {
  const struct {
    api::df_mode mode;
    unsigned clear, set, inner_v6;
  } table[]{{api::df_mode::copy, 0, 0x4000, 0x4000},
            {api::df_mode::set, 0x4000, 0x4000, 0x4000},
            {api::df_mode::clear, 0, 0, 0}};
  for (const auto& row : table) {
    auto record = sa(false);
    record.outer.df = row.mode;
    EXPECT_EQ(read_be(around(record, inner(false)), 6, 2), row.clear);
    EXPECT_EQ(read_be(around(record, inner(false, 0, true)), 6, 2), row.set);
    EXPECT_EQ(read_be(around(record, inner(true)), 6, 2), row.inner_v6);
  }
}

TEST_F(outer_header_of, hop_limit_and_flow_label_are_the_sas) {
  auto labelled = inner(true);
  labelled[1] = 0x0c;
  labelled[2] = 0xaf;
  labelled[3] = 0xfe;
  auto record = sa(true);
  record.outer.hop_limit = 17;
  EXPECT_EQ(around(record, labelled)[7], 17);
  EXPECT_EQ(read_be(around(record, labelled), 0, 4) & 0xfffff, 0u) << "not copied unless asked for";
  record.outer.flow_label = 0x12345;
  EXPECT_EQ(read_be(around(record, labelled), 0, 4) & 0xfffff, 0x12345u);
  record.outer.flow_label = api::flow_label_copy;
  EXPECT_EQ(read_be(around(record, labelled), 0, 4) & 0xfffff, 0xcaffeu);
  EXPECT_EQ(read_be(around(record, inner(false)), 0, 4) & 0xfffff, 0u) << "an IPv4 packet has none";
  record = sa(false);
  record.outer.hop_limit = 255;
  EXPECT_EQ(around(record, inner(false))[8], 255);
}

class tfc : public testing::Test {
 protected:
  static constexpr std::size_t headers = 28;
  // What the peer finds inside, for a UDP packet with so many bytes.
  bytes opened_at_peer(std::size_t size) {
    gateway_.receive(inside, udp_packet(between("10.1.0.2", "10.2.0.3"), 5000, 6000, filled(size)));
    gateway_.run();
    const auto out = gateway_.sent(outside);
    EXPECT_EQ(out.size(), 1u);
    if (out.empty()) return {};
    last_outer_ = out[0].size();
    return open_at_peer(record_, out[0]).inner;
  }
  static bytes sent(std::size_t size) {
    auto ip = between("10.1.0.2", "10.2.0.3");
    --ip.hops;
    return udp_packet(ip, 5000, 6000, filled(size));
  }
  api::sa_record record_ = sa_between(api::sa_direction::outbound, esp_suite::aes256cbc_sha256, 0x901);
  little_gateway gateway_;
  std::size_t last_outer_ = 0;
};

TEST_F(tfc, small_packets_are_padded_with_zeros_to_one_size) {
  record_.tfc_padding = 400;
  auto& sa = gateway_.add_outbound(record_);
  for (const std::size_t size : {0u, 1u, 371u, 372u, 373u, 900u}) {
    auto expected = sent(size);
    if (expected.size() < 400) expected.resize(400);
    EXPECT_EQ(opened_at_peer(size), expected);
  }
  EXPECT_EQ(sa.counters.bytes.get(), 6 * headers + 1 + 371 + 372 + 373 + 900) << "padding is not carried";
}

TEST_F(tfc, padding_to_the_path_fills_it) {
  record_.tfc_padding = api::tfc_padding_to_mtu;
  auto& sa = gateway_.add_outbound(record_);
  for (const std::uint16_t mtu : {1500, 1280}) {
    gateway_.tables().ports[outside].mtu = mtu;
    for (const std::size_t size : {std::size_t{1}, sa.inner_mtu(mtu) - headers}) {
      EXPECT_EQ(opened_at_peer(size).size(), sa.inner_mtu(mtu));
      EXPECT_LE(last_outer_, mtu);
      EXPECT_GT(last_outer_ + info(record_.suite).block, mtu);
    }
  }
}

TEST_F(tfc, a_size_above_the_path_is_the_paths) {
  record_.tfc_padding = 1480;
  auto& sa = gateway_.add_outbound(record_);
  EXPECT_EQ(opened_at_peer(1).size(), sa.inner_mtu(1500));
}

}  // namespace
}  // namespace trunkgate
