#include "config/locate.hpp"

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

TEST(locate, finds_a_value_or_what_is_around_it) {
  const std::string text =
      "gateway: {name: hq}\n"                // 1
      "tunnels:\n"                           // 2
      "  hq:\n"                              // 3
      "    psk: {file: hq.psk}\n"            // 4
      "    children:\n"                      // 5
      "      lan:\n"                         // 6
      "        esp: [aes256gcm16-x25519]\n"  // 7
      "routes:\n"                            // 8
      "  - {to: 0.0.0.0/0}\n"                // 9
      "  - {to: 10.0.0.0/8}\n";              // 10
  std::vector<diagnostic> diagnostics;
  const auto root = parse_document("a.yaml", text, diagnostics);
  ASSERT_TRUE(diagnostics.empty());
  const struct {
    const char* path;
    int line, column;
    const char* found;
  } cases[] = {
      {"tunnels.hq.children.lan.esp", 7, 9, "tunnels.hq.children.lan.esp"},
      {"tunnels.hq.psk", 4, 5, "tunnels.hq.psk"},
      {"tunnels.hq.ike.proposals", 3, 3, "tunnels.hq"},  // a default: its tunnel
      {"tunnels.hq.children.lan.remote", 6, 7, "tunnels.hq.children.lan"},
      {"routes[1].to", 10, 6, "routes[1].to"},
      {"routes[7]", 8, 1, ""},
      {"tunnels.other.psk", 2, 1, "tunnels"},
      {"fly", 0, 0, ""},
      {"", 0, 0, ""},
  };
  for (const auto& [path, line, column, found] : cases) {
    const auto got = locate(root, path);
    EXPECT_EQ(got.at.line, line) << path;
    EXPECT_EQ(got.at.column, column) << path;
    EXPECT_EQ(got.path, found) << path;
  }
}

}  // namespace
}  // namespace trunkgate
