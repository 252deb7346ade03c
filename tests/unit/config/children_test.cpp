// Tunnel and transport mode, outer header, lifetimes and interfaces of tunnels.
#include "tests/unit/config/base.hpp"

namespace trunkgate::test {
namespace {

const std::string child_start = "      net:\n        local: [10.1.0.0/16]\n        remote: [10.2.0.0/16]\n";
std::string with_child(const std::string& lines) { return edited(base, child_start, "      net:\n" + lines); }
std::string with_line(const std::string& line) {
  return edited(base, child_start, child_start + "        " + line + "\n");
}

loaded load(const std::string& text) { return load_configuration_text("test.yaml", text); }
const child_settings& only_child(const loaded& from) { return from.config->tunnels.at(0).children.at(0); }

TEST(Children, TransportModeProtectsTheTwoEnds) {
  const auto got = load(with_child("        mode: transport\n"));
  ASSERT_TRUE(got.config) << lines_of(got).front();
  EXPECT_EQ(only_child(got).mode, child_mode::transport);
  EXPECT_EQ(to_string(only_child(got).local.at(0)), "203.0.113.2/32");
  EXPECT_EQ(to_string(only_child(got).remote.at(0)), "203.0.113.25/32");
}

TEST(Children, TransportModeRefusesNetworks) {
  const auto got = lines_of(load(with_line("mode: transport")));
  ASSERT_EQ(got.size(), 2u);
  EXPECT_NE(got[0].find("transport mode protects the gateway itself and the peer itself"), std::string::npos) << got[0];
}

TEST(Children, WithoutSelectorsIsAnError) {
  const auto got = lines_of(load(with_child("        replay_window: 64\n")));
  ASSERT_FALSE(got.empty());
  EXPECT_NE(got[0].find("needs at least one prefix"), std::string::npos) << got[0];
}

TEST(Children, OuterHeader) {
  const auto got =
      load(with_line("outer: { dscp: cs1, dscp_map: [{from: ef, to: 63}], ecn: compatibility, df: clear, hop_limit: 7, "
                     "flow_label: copy }"));
  ASSERT_TRUE(got.config) << lines_of(got).front();
  const auto& outer = only_child(got).outer;
  EXPECT_EQ(outer.dscp[0], 8);
  EXPECT_EQ(outer.dscp[46], 63);
  EXPECT_EQ(outer.ecn, outer_ecn::compatibility);
  EXPECT_EQ(outer.df, outer_df::clear);
  EXPECT_EQ(outer.hop_limit, 7);
  EXPECT_FALSE(outer.flow_label.has_value());
}

TEST(Children, OuterHeaderIsCopiedIfNothingIsSaid) {
  const auto got = load(base);
  ASSERT_TRUE(got.config);
  for (unsigned i = 0; i < 64; ++i) EXPECT_EQ(only_child(got).outer.dscp[i], i);
  EXPECT_EQ(only_child(got).outer.hop_limit, 64);
  EXPECT_EQ(only_child(got).outer.flow_label, 0u);
}

TEST(Children, Lifetimes) {
  const auto got =
      load(with_line("lifetime: { soft: { time: 50m, bytes: 900M }, hard: { time: 1h, packets: 1000000 } }"));
  ASSERT_TRUE(got.config) << lines_of(got).front();
  const auto& child = only_child(got);
  EXPECT_EQ(child.soft.seconds, 3000u);
  EXPECT_EQ(child.soft.bytes, 900'000'000u);
  EXPECT_EQ(child.soft.packets, 0u);
  EXPECT_EQ(child.hard.seconds, 3600u);
  EXPECT_EQ(child.hard.packets, 1'000'000u);
}

TEST(Children, ASoftLifetimeComesBeforeTheHardOne) {
  const auto got = lines_of(load(with_line("lifetime: { soft: { time: 1h }, hard: { time: 1h } }")));
  ASSERT_EQ(got.size(), 1u);
  EXPECT_NE(got[0].find("lifetime.soft.time: must be less"), std::string::npos) << got[0];
}

TEST(Children, BadScalars) {
  for (const auto* line : {"outer: { dscp: af51 }", "outer: { dscp: 64 }", "lifetime: { hard: { time: 10 } }",
                           "lifetime: { hard: { time: 0s } }", "lifetime: { hard: { bytes: 5Q } }",
                           "lifetime: { hard: { bytes: 99999999999999T } }", "tfc_padding: 63", "mode: beet"})
    EXPECT_EQ(lines_of(load(with_line(line))).size(), 1u) << line;
}

TEST(Interfaces, ArePortsOfTheirOwn) {
  auto text = edited(with_child(""), "    peer: 203.0.113.25\n",
                     "    peer: 203.0.113.25\n    interface: { name: branch, addresses: [169.254.0.1/30] }\n");
  text = edited(text, "from: lan, to: wan", "from: lan, to: branch");
  const auto got = load(text);
  ASSERT_TRUE(got.config) << lines_of(got).front();
  const auto& tunnel = got.config->tunnels.at(0);
  EXPECT_EQ(tunnel.interface->name, "branch");
  EXPECT_EQ(tunnel.children.at(0).local.size(), 2u);
  EXPECT_EQ(tunnel.children.at(0).remote.at(1).cover().length, 0);
}

TEST(Interfaces, NeedANameOfTheirOwnAndNoSelectors) {
  auto text = edited(base, "    peer: 203.0.113.25\n", "    peer: 203.0.113.25\n    interface: { name: wan }\n");
  const auto got = lines_of(load(text));
  ASSERT_EQ(got.size(), 3u);
  EXPECT_NE(got[0].find("the name wan is also that of ports.wan"), std::string::npos) << got[0];
  EXPECT_NE(got[1].find("carries what the routes lead into it"), std::string::npos) << got[1];
}

TEST(Interfaces, HaveAddressesThatAnInterfaceCanHave) {
  const auto text = edited(with_child(""), "    peer: 203.0.113.25\n",
                           "    peer: 203.0.113.25\n    interface: { name: branch, addresses: [224.0.0.1/30] }\n");
  const auto got = lines_of(load(text));
  ASSERT_EQ(got.size(), 1u);
  EXPECT_NE(got[0].find("224.0.0.1 is no address that an interface can have"), std::string::npos) << got[0];
}

TEST(Interfaces, AreAtMost128) {
  auto text =
      std::string("gateway: { name: hq }\nports: { wan: { device: eth0, addresses: [203.0.113.2/24] } }\ntunnels:\n");
  for (int i = 1; i <= 129; ++i) {
    const auto n = std::to_string(i), spi = std::to_string(1000 + i);
    text += "  t" + n + ": { local: { address: 203.0.113.2 }, peer: 203.0.113.25, interface: { name: i" + n +
            " }, children: { all: { manual: { esp: aes256cbc-sha256, out: { spi: " + spi + ", key: { env: O" + n +
            " } }, in: { spi: " + spi + ", key: { env: I" + n + " } } } } } }\n";
  }
  const auto got = lines_of(load(text));
  ASSERT_EQ(got.size(), 1u) << got.front();
  EXPECT_NE(got[0].find("tunnels.t129.interface: is one too many: 128"), std::string::npos) << got[0];
}

}  // namespace
}  // namespace trunkgate::test
