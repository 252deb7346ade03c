#include "controlplane/cli/table.hpp"

#include <gtest/gtest.h>

#include "controlplane/cli/text.hpp"

namespace trunkgate {
namespace {

table sample() {
  table t({{"NAME"}, {"COUNT", table::alignment::right}, {"WHY"}});
  t.add(severity::fine, {"lan", "7", ""});
  t.add(severity::problem, {"wan-north", "12345", "cable pulled"});
  t.add(severity::notable, {"dmz", "", "some lost"});
  return t;
}

TEST(table, aligns_columns_and_puts_problems_first) {
  EXPECT_EQ(sample().text({}),
            "NAME       COUNT  WHY\n"
            "wan-north  12345  cable pulled\n"
            "dmz            -  some lost\n"
            "lan            7\n");
}

TEST(table, colours_only_when_asked) {
  EXPECT_EQ(sample().text({}).find('\033'), std::string::npos);
  const auto coloured = sample().text({.color = true});
  EXPECT_NE(coloured.find("\033[31mwan-north  12345  cable pulled\033[0m\n"), std::string::npos);
  EXPECT_NE(coloured.find("\033[33mdmz"), std::string::npos);
  EXPECT_NE(coloured.find("\nlan            7\n"), std::string::npos);
}

TEST(table, cuts_at_the_terminal_unless_wide) {
  const auto cut = sample().text({.terminal_width = 22});
  EXPECT_NE(cut.find("wan-north  12345  cab…\n"), std::string::npos) << cut;
  const auto whole = sample().text({.wide = true, .terminal_width = 22});
  EXPECT_NE(whole.find("cable pulled"), std::string::npos);
}

TEST(table, counts_characters_and_keeps_control_bytes_from_the_terminal) {
  table t({{"NAME"}, {"X"}});
  t.add(severity::fine, {"zürich", "a"});
  t.add(severity::fine, {"b\033[2J", "c\xc2\x9b"});
  EXPECT_EQ(t.text({}),
            "NAME    X\n"
            "zürich  a\n"
            "b?[2J   c??\n");
}

TEST(text, figures) {
  EXPECT_EQ(bytes_text(0), "0 B");
  EXPECT_EQ(bytes_text(999), "999 B");
  EXPECT_EQ(bytes_text(1500), "1.5 kB");
  EXPECT_EQ(bytes_text(999'999), "1.0 MB");
  EXPECT_EQ(bytes_text(UINT64_MAX), "18.4 EB");
  constexpr std::uint64_t second = 1'000'000'000;
  EXPECT_EQ(age_text(0), "0s");
  EXPECT_EQ(age_text(59 * second), "59s");
  EXPECT_EQ(age_text(184 * second), "3m04s");
  EXPECT_EQ(age_text((5 * 3600 + 7 * 60) * second), "5h07m");
  EXPECT_EQ(age_text((3 * 24 + 4) * 3600 * second), "3d04h");
  EXPECT_EQ(share_text(3, 5), "37.5%");
  EXPECT_EQ(share_text(0, 0), "");
  EXPECT_EQ(ratio_text(7, 2), "3.5");
  EXPECT_EQ(ratio_text(7, 0), "");
  EXPECT_EQ(mac_text({0x02, 0, 0, 0xab, 0, 1}), "02:00:00:ab:00:01");
  EXPECT_EQ(mac_text({}), "");
  EXPECT_EQ(range_text({}), "any");
  EXPECT_EQ(range_text({5060, 5060}), "5060");
  EXPECT_EQ(range_text({1024, 2047}), "1024-2047");
  EXPECT_EQ(protocol_text(-1), "any");
  EXPECT_EQ(protocol_text(17), "udp");
  EXPECT_EQ(protocol_text(89), "89");
}

TEST(text, cuts_between_characters) {
  EXPECT_EQ(cut_to_width("zürich", 6), "zürich");
  EXPECT_EQ(cut_to_width("zürich", 3), "zü…");
  EXPECT_EQ(cut_to_width("zürich", 1), "…");
}

}  // namespace
}  // namespace trunkgate
