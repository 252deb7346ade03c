// Tunnels whose keys come by IKE: what is read, what is assumed, and what is refused.
#include <algorithm>

#include "tests/unit/config/base.hpp"

namespace trunkgate::test {
namespace {

const std::string psk_tunnel = R"(gateway: { name: hq }
ports:
  wan: { device: eth0, addresses: [203.0.113.2/24] }
tunnels:
  branch:
    local: { address: 203.0.113.2 }
    peer: 203.0.113.25
    psk: { env: PSK }
    children:
      net:
        local: [10.1.0.0/16]
        remote: [10.2.0.0/16]
)";
const std::string certificates =
    "    local: { id: hq.example, certificate: [{ file: /dev/null }, { file: /dev/zero }], key: { credential: hq } }\n"
    "    remote: { id: branch.example, ca: { file: /dev/null } }\n";

loaded load(const std::string& text) { return load_configuration_text("/nonexistent/t.yaml", text); }
std::string with(const std::string& line) {
  return edited(psk_tunnel, "    children:\n", "    " + line + "\n    children:\n");
}
std::string with_child(const std::string& line) { return psk_tunnel + "        " + line + "\n"; }
std::string with_certificates() {
  return edited(edited(psk_tunnel, "    psk: { env: PSK }\n", ""), "    local: { address: 203.0.113.2 }\n",
                certificates);
}
tunnel_settings good(const std::string& text) {
  const auto got = load(text);
  EXPECT_EQ(lines_of(got), std::vector<std::string>{}) << text;
  return got.config ? got.config->tunnels.at(0) : tunnel_settings{};
}
std::vector<std::string> words(const std::vector<proposal_settings>& proposals) {
  std::vector<std::string> out;
  for (const auto& proposal : proposals) out.push_back(proposal.word);
  return out;
}

TEST(ike_tunnel, has_safe_defaults) {
  const auto tunnel = good(psk_tunnel);
  ASSERT_TRUE(tunnel.ike);
  EXPECT_EQ(tunnel.ike->proposals.front().word, "aes256gcm16-prfsha384-x25519-ke1_mlkem768");
  EXPECT_EQ(tunnel.ike->proposals.at(1).word, "aes256gcm16-prfsha384-x25519");
  EXPECT_TRUE(std::ranges::none_of(tunnel.ike->proposals, &proposal_settings::legacy));
  EXPECT_TRUE(std::ranges::none_of(tunnel.ike->proposals, [](const auto& p) { return p.transforms.empty(); }));
  EXPECT_EQ(tunnel.ike->lifetime_seconds, 4u * 3600);
  EXPECT_EQ(tunnel.ike->reauthenticate_seconds, 0u);
  EXPECT_EQ(tunnel.ike->liveness_seconds, 30u);
  EXPECT_EQ(tunnel.ike->start, start_mode::always);
  EXPECT_EQ(tunnel.ike->revocation, revocation_check::soft);
  EXPECT_TRUE(tunnel.ike->mobike);
  EXPECT_FALSE(tunnel.ike->childless);
  EXPECT_FALSE(tunnel.ike->force_encapsulation);
  EXPECT_EQ(tunnel.ike->psk->name, "PSK");
  EXPECT_EQ(tunnel.ike->psk->path, "tunnels.branch.psk");
  EXPECT_EQ(tunnel.ike->local_id, "");
  const auto& child = tunnel.children.at(0);
  EXPECT_FALSE(child.manual);
  EXPECT_EQ(words(child.esp), std::vector<std::string>{"aes256gcm16-x25519"});
  EXPECT_EQ(child.soft.seconds, 3600u);
  EXPECT_EQ(child.hard.seconds, 3960u);
  EXPECT_EQ(child.soft.bytes, 0u);
  EXPECT_FALSE(child.per_worker);
}

TEST(ike_tunnel, every_word_arrives) {
  auto text = with(
      "ike: { proposals: [aes128-sha256-ecp256], lifetime: 90m, reauthenticate: 1d, liveness: off, mobike: false, "
      "childless: true, encapsulation: always, post_quantum_key: { id: ppk1, key: { file: /dev/null }, required: false "
      "} }");
  text = edited(text, "    psk: { env: PSK }\n", "    start: on-demand\n");
  text = edited(text, "    local: { address: 203.0.113.2 }\n", certificates);
  text = edited(text, "ca: { file: /dev/null } }",
                "ca: [{ file: /dev/null }], crl: { file: /dev/zero }, revocation: strict }");
  text +=
      "        esp: [aes128gcm16, aes256-sha512-ecp384-noesn]\n        per_worker: true\n        lifetime: { soft: "
      "{ bytes: 1000, time: 10m }, hard: { packets: 100 } }\n";
  const auto got = load(text);  // /dev/null can be read and changed by everybody: a warning
  ASSERT_TRUE(got.config) << lines_of(got).front();
  const auto tunnel = got.config->tunnels.at(0);
  const auto& ike = tunnel.ike.value();
  EXPECT_EQ(tunnel.local.family, ip_family::none);
  EXPECT_EQ(ike.local_id, "hq.example");
  EXPECT_EQ(ike.certificate_files, (std::vector<std::string>{"/dev/null", "/dev/zero"}));
  EXPECT_EQ(ike.private_key->name, "hq");
  EXPECT_EQ(ike.private_key->from, key_reference::kind::credential);
  EXPECT_EQ(ike.remote_id, "branch.example");
  EXPECT_EQ(ike.ca_files, std::vector<std::string>{"/dev/null"});
  EXPECT_EQ(ike.crl_files, std::vector<std::string>{"/dev/zero"});
  EXPECT_EQ(ike.revocation, revocation_check::strict);
  EXPECT_FALSE(ike.psk);
  EXPECT_EQ(ike.post_quantum_key->id, "ppk1");
  EXPECT_FALSE(ike.post_quantum_key->required);
  EXPECT_EQ(ike.post_quantum_key->key.path, "tunnels.branch.ike.post_quantum_key.key");
  EXPECT_EQ(words(ike.proposals), std::vector<std::string>{"aes128-sha256-ecp256"});
  EXPECT_EQ(ike.lifetime_seconds, 5400u);
  EXPECT_EQ(ike.reauthenticate_seconds, 86400u);
  EXPECT_EQ(ike.liveness_seconds, 0u);
  EXPECT_EQ(ike.start, start_mode::on_demand);
  EXPECT_FALSE(ike.mobike);
  EXPECT_TRUE(ike.childless);
  EXPECT_TRUE(ike.force_encapsulation);
  const auto& child = tunnel.children.at(0);
  EXPECT_EQ(words(child.esp), (std::vector<std::string>{"aes128gcm16", "aes256-sha512-ecp384-noesn"}));
  EXPECT_TRUE(child.per_worker);
  EXPECT_EQ(child.soft.seconds, 600u);
  EXPECT_EQ(child.hard.seconds, 660u);
  EXPECT_EQ(child.soft.bytes, 1000u);
  EXPECT_EQ(child.hard.bytes, 1100u);
  EXPECT_EQ(child.soft.packets, 90u);
  EXPECT_EQ(child.hard.packets, 100u);
}

TEST(ike_tunnel, every_kind_of_id) {
  for (const char* id : {"hq", "hq.example", "_x.hq-1.example", "hq@example.org", "203.0.113.2", "\"2001:db8::1\"",
                         "\"CN=hq, O=Example\"", "\"keyid:0a0B\"", "\"keyid:0x0a\""})
    EXPECT_FALSE(good(with(std::string("remote: { id: ") + id + " }")).ike->remote_id.empty()) << id;
  for (const char* id : {"203.0.113.256", "a b", "\"@example\"", "hq@", "a@b@c", ".hq", "hq..example", "\"keyid:0\"",
                         "\"keyid:xy\"", "\"keyid:\"", "\"\""})
    EXPECT_EQ(lines_of(load(with(std::string("remote: { id: ") + id + " }"))).size(), 1u) << id;
}

TEST(ike_tunnel, short_forms) {
  EXPECT_EQ(good(with_child("lifetime: 30m")).children.at(0).soft.seconds, 1800u);
  auto tunnel = good(edited(edited(psk_tunnel, "peer: 203.0.113.25", "peer: any"),
                            "    psk:", "    remote: { id: branch.example }\n    psk:"));
  EXPECT_EQ(tunnel.peer.family, ip_family::none);
  EXPECT_EQ(tunnel.ike->start, start_mode::answer);
  tunnel = good(edited(edited(psk_tunnel, "        local: [10.1.0.0/16]\n", "        mode: transport\n"),
                       "        remote: [10.2.0.0/16]\n", ""));
  EXPECT_EQ(to_string(tunnel.children.at(0).remote.at(0)), "203.0.113.25/32");
  EXPECT_FALSE(tunnel.ike->mobike);
}

// `manual` beside `esp`, and what one kind of tunnel has no use for.
const std::string manual =
    "manual: { esp: aes256cbc-sha256, out: { spi: 0x1001, key: { env: A } }, in: { spi: 0x2001, key: { env: B } } }";

struct refusal {
  const char* name;
  std::string text;
  std::vector<std::string> diagnostics;
};

std::vector<refusal> refusals() {
  const auto anywhere = edited(psk_tunnel, "peer: 203.0.113.25", "peer: any");
  const auto by_hand = edited(with_child(manual), "    psk: { env: PSK }\n", "");
  const auto branch2 = edited(psk_tunnel.substr(psk_tunnel.find("  branch:")), "branch", "branch2");
  return {
      {"both kinds of keys in a child",
       by_hand + "        esp: [aes256gcm16]\n",
       {"13:9: error: tunnels.branch.children.net.esp: keys come by hand (manual) or by IKE (esp), not both [leave one "
        "out]"}},
      {"both kinds of children",
       by_hand + "      other: { local: [10.3.0.0/16], remote: [10.4.0.0/16] }\n",
       {"5:3: error: tunnels.branch: nothing says how the two ends prove who they are [psk: { file: NAME }, or "
        "local.certificate, local.key and remote.ca]",
        "13:7: error: tunnels.branch.children.other: has its keys by IKE, and net by hand: the children of one tunnel "
        "are of the same kind [a tunnel of its own]"}},
      {"words of IKE with keys by hand",
       with_child(manual),
       {"8:5: error: tunnels.branch.psk: is for tunnels by IKE, and here the keys come by hand (manual)"}},
      {"workers with keys by hand",
       by_hand + "        per_worker: true\n",
       {"13:21: error: tunnels.branch.children.net.per_worker: is for keys by IKE: by hand each child is one pair of "
        "SAs [leave it out]"}},
      {"keys by hand without an address",
       edited(by_hand, "    local: { address: 203.0.113.2 }\n", ""),
       {"5:3: error: tunnels.branch.local.address: is missing: keys by hand need both outer addresses"}},
      {"keys by hand with any peer",
       edited(by_hand, "peer: 203.0.113.25", "peer: any"),
       {"7:11: error: tunnels.branch.peer: keys by hand need the peer's address"}},
      {"UDP encapsulation",
       with("udp_encapsulation: true"),
       {"9:24: error: tunnels.branch.udp_encapsulation: is for keys by hand: IKE finds out by itself whether there is "
        "a "
        "NAT [leave it out, or ike: { encapsulation: always }]"}},
      {"no authentication",
       edited(psk_tunnel, "    psk: { env: PSK }\n", ""),
       {"5:3: error: tunnels.branch: nothing says how the two ends prove who they are [psk: { file: NAME }, or "
        "local.certificate, local.key and remote.ca]"}},
      {"psk and certificates",
       with("remote: { ca: { file: /dev/null } }"),
       {"9:15: error: tunnels.branch.remote.ca: is for certificates, and here both ends prove themselves by psk [leave "
        "one out]"}},
      {"certificate without key",
       edited(with_certificates(), ", key: { credential: hq }", ""),
       {"6:5: error: tunnels.branch.local.key: is missing: it proves that the certificate is ours"}},
      {"certificate without authority",
       edited(with_certificates(), ", ca: { file: /dev/null }", ""),
       {"7:5: error: tunnels.branch.remote.ca: is missing: it says whose word for the peer is good"}},
      {"any certificate",
       edited(with_certificates(), "id: branch.example, ", ""),
       {"7:5: warning: tunnels.branch.remote: whoever has a certificate of this authority can be this peer [remote: { "
        "id: NAME }]"}},
      {"a certificate that is not there",
       edited(with_certificates(), "/dev/zero", "intermediate.pem"),
       {"6:73: warning: tunnels.branch.local.certificate[1].file: intermediate.pem: No such file or directory; the "
        "tunnel cannot come up without it"}},
      {"psk from anybody",
       anywhere,
       {"8:5: warning: tunnels.branch.psk: whoever knows it may come from anywhere, under any name [remote: { id: NAME "
        "}]"}},
      {"calling anybody",
       edited(anywhere, "psk: { env: PSK }", "psk: { env: PSK }\n    remote: { id: b.example }\n    start: always"),
       {"10:12: error: tunnels.branch.start: nobody can call a peer that may be anywhere (peer: any) [start: answer]"}},
      {"transport to anybody",
       edited(edited(anywhere, "psk: { env: PSK }", "psk: { env: PSK }\n    remote: { id: b.example }"),
              "        local: [10.1.0.0/16]\n        remote: [10.2.0.0/16]\n", "        mode: transport\n"),
       {"12:15: error: tunnels.branch.children.net.mode: transport mode is between two known addresses: it needs the "
        "tunnel's peer"}},
      {"legacy",
       with("ike: { proposals: [aes256-sha256-x25519, aes128-sha1-modp1024] }"),
       {"9:46: error: tunnels.branch.ike.proposals[1]: modp1024 is broken by now (RFC 8221 5, RFC 8247 2) [another "
        "algorithm, or gateway.legacy: true]"}},
      {"legacy that is allowed",
       edited(with_child("esp: [3des-sha1]"), "name: hq", "name: hq, legacy: true"),
       {"13:15: warning: tunnels.branch.children.net.esp[0]: 3DES is broken by now: for no longer than this peer needs "
        "it"}},
      {"SHA-1 for ESP",
       with_child("esp: [aes128-sha1-x25519]"),
       {"13:15: error: tunnels.branch.children.net.esp[0]: SHA-1 is broken by now (RFC 8221 5, RFC 8247 2) [another "
        "algorithm, or gateway.legacy: true]"}},
      {"no encryption",
       with_child("esp: [null-sha256]"),
       {"13:15: warning: tunnels.branch.children.net.esp[0]: null-sha256 authenticates and does not encrypt: everybody "
        "can read along"}},
      {"the same twice",
       with_child("esp: [aes128-sha256, aes128cbc-sha256]"),
       {"13:30: warning: tunnels.branch.children.net.esp[1]: says the same as aes128-sha256 [leave it out]"}},
      {"no proposal",
       with_child("esp: []"),
       {"13:9: error: tunnels.branch.children.net.esp: needs at least one proposal"}},
      {"a wrong one moves no other",
       with_child("esp: [aes256gcm, aes128-sha1]"),
       {"13:15: error: tunnels.branch.children.net.esp[0]: unknown algorithm \"aes256gcm\" [did you mean "
        "\"aes256gcm16\"?]",
        "13:26: error: tunnels.branch.children.net.esp[1]: SHA-1 is broken by now (RFC 8221 5, RFC 8247 2) [another "
        "algorithm, or gateway.legacy: true]"}},
      {"a lifetime that never comes",
       with("ike: { lifetime: 8h, reauthenticate: 4h }"),
       {"9:22: warning: tunnels.branch.ike.lifetime: never comes: reauthenticate makes a new IKE SA before [leave it "
        "out]"}},
      {"hard before soft",
       with_child("lifetime: { soft: { time: 2h }, hard: { time: 1h } }"),
       {"13:35: error: tunnels.branch.children.net.lifetime.soft.time: must be less than the hard limit, or nobody has "
        "time to act on it"}},
      {"MOBIKE in transport mode",
       edited(with("ike: { mobike: true }"), "        local: [10.1.0.0/16]\n        remote: [10.2.0.0/16]\n",
              "        mode: transport\n"),
       {"9:20: error: tunnels.branch.ike.mobike: transport mode is bound to its addresses (RFC 4555 1.2) [leave it "
        "out]"}},
      {"a family without the other side",
       edited(psk_tunnel, "[10.1.0.0/16]", "[10.1.0.0/16, \"2001:db8::/48\"]"),
       {"11:30: warning: tunnels.branch.children.net.local[1]: the other side has nothing of this IP version: nothing "
        "goes by it"}},
      {"an address with a slip as id",
       with("remote: { id: 203.0.113.256 }"),
       {"9:19: error: tunnels.branch.remote.id: \"203.0.113.256\" is no identity [hq.example, hq@example.org, an "
        "address, "
        "CN=hq, O=Example, or keyid:0a0b]"}},
      {"a key elsewhere",
       edited(psk_tunnel, "psk: { env: PSK }", "psk: { file: ../a.psk }"),
       {"8:18: warning: tunnels.branch.psk.file: ../a.psk is not beneath the configuration's folder: the key process "
        "reads no other [move it there]"}},
      {"a key that is not there",
       edited(psk_tunnel, "psk: { env: PSK }", "psk: { file: /nonexistent/a.psk }"),
       {"8:18: warning: tunnels.branch.psk.file: /nonexistent/a.psk: No such file or directory; the tunnel cannot come "
        "up without it"}},
      {"the key of two purposes",
       with("ike: { post_quantum_key: { id: p, key: { env: PSK } } }"),
       {"9:39: error: tunnels.branch.ike.post_quantum_key.key: is the psk too: it would add nothing [a key of its "
        "own]"}},
      {"a key in the place of its reference",
       with("ike: { post_quantum_key: 0123456789 }"),
       {"9:30: error: tunnels.branch.ike.post_quantum_key: must say where the key is: a key itself never stands in the "
        "configuration [{file: NAME}, {env: NAME}, or {credential: NAME}]"}},
      {"two tunnels alike",
       psk_tunnel + edited(branch2, "10.2.0.0", "10.3.0.0"),
       {"13:3: error: tunnels.branch2: has the same peer and ids as tunnels.branch, line 5: nothing could choose "
        "between them [children of one tunnel, or another id]"}},
      {"two tunnels told apart by their ids",
       psk_tunnel + edited(edited(branch2, "10.2.0.0", "10.3.0.0"), "    psk:", "    remote: { id: two }\n    psk:"),
       {}},
      {"an address without its key",
       edited(psk_tunnel, "{ address: 203.0.113.2 }", "203.0.113.2"),
       {"6:12: error: tunnels.branch.local: must be a map: address, id, certificate, key [{ address: 203.0.113.2 }]"}},
  };
}

TEST(ike_tunnel, what_is_wrong_is_told_at_its_place) {
  for (const auto& row : refusals()) {
    const auto got = load(row.text);
    EXPECT_EQ(lines_of(got), row.diagnostics) << row.name;
    EXPECT_EQ(got.config.has_value(), std::ranges::all_of(got.diagnostics, &diagnostic::warning)) << row.name;
  }
}

}  // namespace
}  // namespace trunkgate::test
