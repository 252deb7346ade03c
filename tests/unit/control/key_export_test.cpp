// Which keys leave the daemon, for how long, and in what words. That tshark reads them: tests/functional.
#include "controlplane/monitor/key_export.hpp"

#include <algorithm>
#include <regex>

#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate {
namespace {

using ike::test::world;
using namespace std::chrono_literals;

class key_export : public ::testing::Test {
 protected:
  key_export() { w.left.before_sas = &sink; }
  // What still runs in the engine needs the sink: no further than here.
  ~key_export() override {
    w.left.ike->abandon();
    w.left.before_sas = nullptr;
  }
  void come_up(const char* ike = "aes256gcm16-prfsha384-x25519", const char* esp = "aes256gcm16-x25519-esn") {
    w.begin([&](tunnel_settings& left, tunnel_settings& right) {
      for (auto* side : {&left, &right}) {
        side->ike->proposals = {*parse_ike_proposal(ike)};
        side->children.front().esp = {*parse_esp_proposal(esp)};
      }
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  }
  world w;
  exporting_sink sink{w.left.sas};
  std::vector<std::string> audit;
  key_exports exports{*w.left.ike, w.left, sink, [this](const std::string& event, const std::string& text) {
                        audit.push_back(event + " " + text);
                      }};
};

std::string hex(const std::vector<std::uint8_t>& bytes) {
  std::string out;
  for (const auto byte : bytes) out += "0123456789abcdef"[byte >> 4], out += "0123456789abcdef"[byte & 15];
  return out;
}

TEST_F(key_export, keeps_nothing_unasked) {
  come_up();
  EXPECT_TRUE(sink.take("t").empty());
  EXPECT_EQ(exports.next("t")["seconds_left"], 0);
}

TEST_F(key_export, rekeys_the_children_and_tells_their_keys) {
  come_up();
  ASSERT_TRUE(exports.begin("t", 5min, "user 0"));
  EXPECT_EQ(audit, std::vector<std::string>{"keys.export_started t: user 0 gets its keys for 300s"});
  w.run_for(2s);
  const auto* out = w.left.sas.leaving("lan");
  const auto said = exports.next("t");
  ASSERT_EQ(said["esp_sa"].size(), 1u);
  const auto lines = said["esp_sa"][0].get<std::string>();
  // Both directions, with cipher key and salt as one (RFC 4106 8.1).
  EXPECT_NE(lines.find(",\"AES-GCM with 16 octet ICV [RFC4106]\",\"0x" + hex(out->outbound_key) + "\",\"NULL\",\"\","),
            std::string::npos);
  EXPECT_NE(lines.find("\"0x" + hex(out->inbound_key) + "\""), std::string::npos);
  EXPECT_TRUE(lines.starts_with("\"IPv4\",\"*\",\"*\",\"0x"));
  EXPECT_EQ(std::ranges::count(lines, '\n'), 2);
  ASSERT_EQ(said["ikev2_decryption_table"].size(), 1u);
  const std::regex ike(
      "[0-9a-f]{16},[0-9a-f]{16},[0-9a-f]{72},[0-9a-f]{72},\"AES-GCM-256 with 16 octet ICV \\[RFC5282\\]\",,,\"NONE "
      "\\[RFC4306\\]\"\n");
  EXPECT_TRUE(std::regex_match(said["ikev2_decryption_table"][0].get<std::string>(), ike));
  // Each once.
  const auto again = exports.next("t");
  EXPECT_TRUE(again["esp_sa"].empty());
  EXPECT_TRUE(again["ikev2_decryption_table"].empty());
  EXPECT_GT(again["seconds_left"], 290);
  // And those of an IKE SA that comes meanwhile.
  w.left.ike->find("t")->rekey_ike();
  w.run_for(5s);
  EXPECT_EQ(exports.next("t")["ikev2_decryption_table"].size(), 1u);
}

TEST_F(key_export, ends_by_itself_and_keeps_nothing) {
  come_up();
  ASSERT_TRUE(exports.begin("t", 60s, "user 0"));
  w.run_for(2s);
  EXPECT_FALSE(exports.begin("t", 60s, "user 0"));  // one at a time
  w.run_for(60s);
  EXPECT_EQ(audit.back(), "keys.export_ended t: its keys are not kept any more");
  EXPECT_EQ(exports.next("t")["seconds_left"], 0);
  EXPECT_TRUE(exports.next("t")["esp_sa"].empty());
  w.left.ike->find("t")->rekey_child(0);
  w.run_for(5s);
  EXPECT_TRUE(sink.take("t").empty());
  EXPECT_TRUE(exports.begin("t", 60s, "user 0"));
}

TEST_F(key_export, refuses_what_is_no_tunnel_or_too_long) {
  come_up();
  EXPECT_FALSE(exports.begin("fly", 60s, "user 0"));
  EXPECT_FALSE(exports.begin("t", 2h, "user 0"));
  EXPECT_FALSE(exports.begin("t", 0s, "user 0"));
  EXPECT_TRUE(audit.empty());
}

TEST_F(key_export, names_ciphers_with_their_integrity) {
  come_up("aes128-sha256-ecp256", "aes128cbc-sha256-ecp256");
  ASSERT_TRUE(exports.begin("t", 60s, "user 0"));
  w.run_for(2s);
  const auto* out = w.left.sas.leaving("lan");
  const auto key = hex(out->outbound_key);
  const auto said = exports.next("t");
  const auto lines = said["esp_sa"].at(0).get<std::string>();
  EXPECT_NE(lines.find("\"AES-CBC [RFC3602]\",\"0x" + key.substr(0, 32) + "\",\"HMAC-SHA-256-128 [RFC4868]\",\"0x" +
                       key.substr(32) + "\","),
            std::string::npos);
  const auto ike = said["ikev2_decryption_table"].at(0).get<std::string>();
  EXPECT_NE(ike.find("\"AES-CBC-128 [RFC3602]\""), std::string::npos);
  EXPECT_NE(ike.find("\"HMAC_SHA2_256_128 [RFC4868]\""), std::string::npos);
}

}  // namespace
}  // namespace trunkgate
