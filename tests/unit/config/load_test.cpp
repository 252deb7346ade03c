// Whole files: what is read from them, the limits, and the text that an operator sees.
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/config/base.hpp"

namespace trunkgate {

namespace {

using test::base;
using test::edited;
using test::lines_of;

// A folder of its own that goes with the test.
class temporary_folder {
 public:
  temporary_folder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "config_test.XXXXXX").string();
    path_ = mkdtemp(pattern.data());
  }
  temporary_folder(const temporary_folder&) = delete;
  ~temporary_folder() { std::filesystem::remove_all(path_); }
  [[nodiscard]] std::string file(const std::string& name, const std::string& text, mode_t mode) const {
    auto path = path_ + "/" + name;
    std::ofstream(path) << text;
    chmod(path.c_str(), mode);
    return path;
  }

 private:
  std::string path_;
};

configuration good(const std::string& text) {
  auto result = load_configuration_text("/etc/trunkgate/trunkgate.yaml", text);
  EXPECT_EQ(lines_of(result), std::vector<std::string>{});
  return result.config.value_or(configuration{});
}

TEST(load, reads_values_and_fills_in_defaults) {
  auto config = good(base);
  EXPECT_EQ(config.gateway.name, "hq");
  EXPECT_EQ(config.gateway.workers, 0u);
  EXPECT_EQ(config.gateway.busy_poll, busy_poll_mode::automatic);
  EXPECT_TRUE(config.gateway.hugepages);
  EXPECT_EQ(config.gateway.flow_entries, 65536u);
  EXPECT_EQ(config.directory, "/etc/trunkgate");
  ASSERT_EQ(config.ports.size(), 2u);
  EXPECT_EQ(config.ports[0].mtu, 0);
  EXPECT_EQ(config.ports[0].driver, driver_choice::automatic);
  EXPECT_EQ(to_string(config.ports[0].addresses.at(0)), "203.0.113.2/24");
  EXPECT_EQ(config.ports[1].mtu, 1500);
  ASSERT_EQ(config.tunnels.size(), 1u);
  EXPECT_FALSE(config.tunnels[0].udp_encapsulation.enabled);
  const auto& child = config.tunnels[0].children.at(0);
  EXPECT_EQ(child.replay_window, 4096u);
  EXPECT_EQ(child.protocol, -1);
  EXPECT_EQ(child.local_ports, number_range{});
  EXPECT_EQ(child.manual->suite, esp_suite::aes256cbc_sha256);
  EXPECT_TRUE(child.manual->esn);
  EXPECT_EQ(child.manual->out.spi, 0x1001u);
  EXPECT_EQ(child.manual->in.key.name, "in.key");
  EXPECT_EQ(child.manual->in.key.path, "tunnels.branch.children.net.manual.in.key");
  EXPECT_EQ(config.policies.at(0).action, rule_action::bypass);
  EXPECT_FALSE(config.policies[0].both_ways);
}

TEST(load, every_word_and_number_arrives) {
  auto text =
      edited(base, "name: hq",
             "name: hq, workers: 3, busy_poll: never, hugepages: never, buffers: 4096, flow_entries: 128, lab: true");
  text = edited(text, "device: eth0", "driver: af_xdp, vlan: 4094, mtu: 9000, device: eth0");
  text = edited(text, "    children:", "    udp_encapsulation: { peer_port: 4501 }\n    children:");
  text = edited(text, "        manual:",
                "        protocol: 132\n        local_port: 5\n        remote_port: 6\n        replay_window: 65536\n  "
                "      manual:");
  text = edited(text, "10.2.0.0/16", "10.2.3.4/16");  // host bits of a selector do not count
  text = edited(text, "action: bypass",
                "protocol: udp, source_ports: 1024-65535, destination_ports: 53, both_ways: true, action: protect");
  auto config = good(text);
  EXPECT_EQ(config.gateway.workers, 3u);
  EXPECT_EQ(config.gateway.busy_poll, busy_poll_mode::never);
  EXPECT_FALSE(config.gateway.hugepages);
  EXPECT_EQ(config.gateway.buffers, 4096u);
  EXPECT_EQ(config.gateway.flow_entries, 128u);
  EXPECT_TRUE(config.gateway.lab);
  EXPECT_EQ(config.ports.at(0).driver, driver_choice::af_xdp);
  EXPECT_EQ(config.ports[0].vlan, 4094);
  EXPECT_EQ(config.ports[0].mtu, 9000);
  EXPECT_TRUE(config.tunnels.at(0).udp_encapsulation.enabled);
  EXPECT_EQ(config.tunnels[0].udp_encapsulation.local_port, 4500);
  EXPECT_EQ(config.tunnels[0].udp_encapsulation.peer_port, 4501);
  const auto& child = config.tunnels[0].children.at(0);
  EXPECT_EQ(child.protocol, 132);
  EXPECT_EQ(child.local_ports, (number_range{5, 5}));
  EXPECT_EQ(child.remote_ports, (number_range{6, 6}));
  EXPECT_EQ(child.replay_window, 65536u);
  EXPECT_EQ(to_string(child.remote.at(0)), "10.2.0.0/16");
  EXPECT_EQ(config.policies.at(0).action, rule_action::protect);
  EXPECT_EQ(config.policies[0].source_ports, (number_range{1024, 65535}));
  EXPECT_EQ(config.policies[0].destination_ports, (number_range{53, 53}));
  EXPECT_EQ(config.policies[0].protocol, 17);
  EXPECT_TRUE(config.policies[0].both_ways);
}

TEST(load, the_schema_alone_gives_scalars_their_type) {
  auto config = good(edited(edited(base, "name: hq", "name: no"), "mtu: 1500", "mtu: 01500"));
  EXPECT_EQ(config.gateway.name, "no");
  EXPECT_EQ(config.ports.at(1).mtu, 1500);  // not octal
  config = good(edited(edited(base, "name: hq", "name: 010"), "mtu: 1500", "mtu: \"1500\""));
  EXPECT_EQ(config.gateway.name, "010");
  EXPECT_EQ(config.ports.at(1).mtu, 1500);
}

TEST(load, examples_are_without_fault) {
  int count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(TRUNKGATE_SOURCE_DIR "/config/examples")) {
    if (entry.path().extension() != ".yaml") continue;
    auto result = load_configuration(entry.path().string());
    for (const auto& found : lines_of(result))  // their keys and certificates are to be made
      EXPECT_NE(found.find("No such file or directory"), std::string::npos) << found;
    EXPECT_TRUE(result.config.has_value()) << entry.path();
    ++count;
  }
  EXPECT_GE(count, 4);
}

TEST(load, a_file_that_cannot_be_read_says_why) {
  EXPECT_EQ(format_diagnostics(load_configuration("/nonexistent.yaml")),
            "/nonexistent.yaml: error: cannot be read: No such file or directory\n1 error, 0 warnings; nothing was "
            "applied\n");
  EXPECT_FALSE(load_configuration("/").config.has_value());
}

TEST(load, limits_hold) {
  EXPECT_EQ(format_diagnostics(load_configuration_text("f", std::string((16u << 20) + 1, '#'))),
            "f: error: larger than 16 MiB\n1 error, 0 warnings; nothing was applied\n");
  EXPECT_EQ(format_diagnostics(load_configuration_text("f", "")),
            "f: error: empty: nothing is configured\n1 error, 0 warnings; nothing was applied\n");
  EXPECT_FALSE(load_configuration_text("f", std::string(100000, '[')).config.has_value());
  EXPECT_EQ(lines_of(load_configuration_text("f", std::string("a: b\n\0", 6))),
            std::vector<std::string>{"2:1: error: a zero byte: this is no text file"});
  EXPECT_EQ(
      lines_of(load_configuration_text("f", "[]")),
      std::vector<std::string>{"1:1: error: must be a map of sections: gateway, ports, routes, tunnels, policies"});
}

TEST(format, shows_the_line_a_caret_and_the_remedy) {
  auto text =
      edited(edited(base, "aes256cbc-sha256-esn", "aes256cbc-sha26"), "peer: 203.0.113.25", "peer: \"203.0.113.2\"");
  EXPECT_EQ(format_diagnostics(load_configuration_text("bad.yaml", text)),
            R"(bad.yaml:10:11: error: tunnels.branch.peer: is the gateway's own address, local.address
   10 |     peer: "203.0.113.2"
      |           ^^^^^^^^^^^^^
bad.yaml:16:16: error: tunnels.branch.children.net.manual.esp: unknown value "aes256cbc-sha26"
   16 |           esp: aes256cbc-sha26
      |                ^^^^^^^^^^^^^^^ did you mean "aes256cbc-sha256"?
2 errors, 0 warnings; nothing was applied
)");
}

TEST(format, the_caret_stands_right_behind_wide_characters) {
  auto out = format_diagnostics(load_configuration_text("f", "gateway: { name: \"größe\" }\n"));
  EXPECT_NE(out.find("    1 | gateway: { name: \"größe\" }\n      |                  ^^^^^^^ letters"),
            std::string::npos)
      << out;
}

TEST(format, warnings_alone_do_not_stop_anything) {
  auto out = format_diagnostics(load_configuration_text("f", edited(base, "aes256cbc-sha256-esn", "aes256cbc-sha1")));
  EXPECT_TRUE(out.ends_with("\n0 errors, 1 warning\n")) << out;
}

TEST(format, never_shows_a_key) {
  const std::string key = "00112233445566778899aabbccddeeff00112233";
  for (const auto* form :
       {"key: KEY", "key: { hex: KEY }", "key: { file: in.key }, kye: KEY", "kye: { file: KEY }", "KEY: 1"}) {
    auto text = edited(edited(base, "key: { file: in.key }", form), "KEY", key);
    auto out = format_diagnostics(load_configuration_text("f", text));
    EXPECT_FALSE(out.empty()) << form;
    EXPECT_EQ(out.find(key.substr(0, 32)), std::string::npos) << form << "\n" << out;
  }
  auto out =
      format_diagnostics(load_configuration_text("f", edited(base, "key: { file: in.key }", "key: a-passphrase")));
  EXPECT_EQ(out.find("a-passphrase"), std::string::npos) << out;
}

TEST(load, warns_of_key_files_that_everyone_can_read) {
  temporary_folder folder;
  (void)folder.file("in.key", "", 0644);
  (void)folder.file("out.key", "", 0640);
  auto file = folder.file("trunkgate.yaml", base, 0644);
  EXPECT_EQ(lines_of(load_configuration(file)),
            std::vector<std::string>{
                "18:43: warning: tunnels.branch.children.net.manual.in.key.file: every user of this machine can "
                "read or change it [chmod o-rw in.key]"});
}

}  // namespace

}  // namespace trunkgate
