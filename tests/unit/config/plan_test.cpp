// What `plan` says of each change, and that no value is forgotten.
#include "config/plan.hpp"

#include <algorithm>
#include <map>
#include <set>

#include "config/settings_text.hpp"
#include "config/table.hpp"
#include "tests/unit/config/base.hpp"

namespace trunkgate::test {
namespace {

const std::string full = R"(gateway: { name: hq, workers: 2, buffers: 4096 }
ports:
  wan: { device: eth0, addresses: [203.0.113.2/24] }
  lan: { device: eth1, addresses: [10.1.0.1/16], mtu: 1500, vlan: 5 }
routes:
  - { to: 0.0.0.0/0, via: 203.0.113.1 }
tunnels:
  certs:
    local: { address: 203.0.113.2, id: hq.example, certificate: { file: hq.pem }, key: { file: hq.key } }
    peer: 203.0.113.25
    remote: { id: branch.example, ca: { file: ca.pem }, crl: { file: ca.crl }, revocation: strict }
    ike:
      proposals: [aes256gcm16-prfsha384-x25519]
      lifetime: 4h
      reauthenticate: never
      liveness: 30s
      mobike: true
      childless: false
      encapsulation: auto
      post_quantum_key: { id: ppk, key: { env: PPK }, required: true }
    start: always
    interface: { name: certs, addresses: [169.254.1.1/30] }
    children:
      all:
        tfc_padding: 200
        outer: { dscp: copy, dscp_map: [{ from: ef, to: af31 }], ecn: normal, df: copy, hop_limit: 64, flow_label: 0 }
  shared:
    peer: 203.0.113.26
    psk: { file: a.psk }
    children:
      voice: { local: [10.1.0.0/16], remote: [10.2.0.0/16], dscp: ef }
      lan:
        mode: tunnel
        local: [10.1.0.0/16]
        remote: [10.2.0.0/16]
        protocol: udp
        local_port: 5060
        remote_port: 5060
        replay_window: 4096
        lifetime: { soft: { time: 1h, bytes: 900M, packets: 1000 }, hard: { time: 2h, bytes: 1G, packets: 2000 } }
        esp: [aes256gcm16-x25519]
        per_worker: false
      ping: { local: [10.1.0.0/16], remote: [10.2.0.0/16], protocol: icmp, icmp: 8 }
  hand:
    local: { address: 203.0.113.2 }
    peer: 203.0.113.27
    udp_encapsulation: { local_port: 4500, peer_port: 4501 }
    children:
      net:
        local: [10.1.0.0/16]
        remote: [10.3.0.0/16]
        manual:
          esp: aes256cbc-sha256
          out: { spi: 0x1001, key: { file: out.key } }
          in: { spi: 0x2001, key: { file: in.key } }
policies:
  - { name: one, from: lan, to: wan, source: 10.9.0.0/16, destination: 192.0.2.0/24, protocol: tcp, source_ports: 1-2, destination_ports: 3, dscp: ef, action: bypass }
  - { name: two, protocol: icmp, icmp: 8, action: bypass }
)";

configuration read(const std::string& text) {
  const auto got = load_configuration_text("/nonexistent/t.yaml", text);
  EXPECT_TRUE(got.config) << format_diagnostics(got);
  return got.config.value_or(configuration{});
}

struct change {
  const char *path, *from, *to;  // the value at `path`, and what replaces it in the text
  const char* says;
  plan_impact impact;
};
using enum plan_impact;

const change changes[] = {
    {"gateway.name", "name: hq,", "name: head,", "hq -> head", update},
    {"gateway.workers", "workers: 2", "workers: auto", "2 -> auto", restart},
    {"gateway.busy_poll", "workers: 2", "workers: 2, busy_poll: always", "auto -> always", restart},
    {"gateway.hugepages", "workers: 2", "workers: 2, hugepages: never", "auto -> never", restart},
    {"gateway.buffers", "buffers: 4096", "buffers: 8192", "4096 -> 8192", restart},
    {"gateway.flow_entries", "workers: 2", "workers: 2, flow_entries: 64", "65536 -> 64", restart},
    {"gateway.lab", "workers: 2", "workers: 2, lab: true", "false -> true", none},
    {"gateway.legacy", "workers: 2", "workers: 2, legacy: true", "false -> true", none},
    {"monitoring.allow_key_export", "ports:\n", "monitoring: { allow_key_export: true }\nports:\n", "false -> true",
     none},
    {"ports.wan.device", "eth0", "eth7", "eth0 -> eth7", update},
    {"ports.lan.addresses", "[10.1.0.1/16]", "[10.1.0.2/16, 10.8.0.1/16]", "10.1.0.1/16 -> 10.1.0.2/16, 10.8.0.1/16",
     update},
    {"ports.lan.mtu", "mtu: 1500", "mtu: 1400", "1500 -> 1400", update},
    {"ports.lan.mtu", "mtu: 1500", "mtu: 9000", "1500 -> 9000", restart},
    {"ports.lan.vlan", "vlan: 5", "vlan: 6", "5 -> 6", update},
    {"ports.wan.driver", "device: eth0", "driver: af_xdp, device: eth0", "auto -> af_xdp", update},
    {"tunnels.certs.local.address", "{ address: 203.0.113.2, id", "{ id", "203.0.113.2 -> none", reconnect},
    {"tunnels.certs.local.id", "id: hq.example", "id: hq2.example", "hq.example -> hq2.example", reauth},
    {"tunnels.certs.local.certificate", "{ file: hq.pem }", "[{ file: hq.pem }, { file: sub.pem }]",
     "hq.pem -> hq.pem, sub.pem", reauth},
    {"tunnels.certs.local.key", "file: hq.key", "env: HQ", "file hq.key -> env HQ", reauth},
    {"tunnels.certs.peer", "203.0.113.25", "203.0.113.30", "203.0.113.25 -> 203.0.113.30", reconnect},
    {"tunnels.certs.remote.id", "id: branch.example", "id: b.example", "branch.example -> b.example", reauth},
    {"tunnels.certs.remote.ca", "file: ca.pem", "file: ca2.pem", "ca.pem -> ca2.pem", reauth},
    {"tunnels.certs.remote.crl", ", crl: { file: ca.crl }", "", "ca.crl -> none", reauth},
    {"tunnels.certs.remote.revocation", "revocation: strict", "revocation: off", "strict -> off", reauth},
    {"tunnels.shared.psk", "file: a.psk", "credential: a", "file a.psk -> credential a", reauth},
    {"tunnels.certs.ike.proposals", "[aes256gcm16-prfsha384-x25519]", "[aes128gcm16-prfsha256-x25519]",
     "aes256gcm16-prfsha384-x25519 -> aes128gcm16-prfsha256-x25519", rekey},
    {"tunnels.certs.ike.lifetime", "lifetime: 4h", "lifetime: 90m", "4h -> 90m", none},
    {"tunnels.certs.ike.reauthenticate", "reauthenticate: never", "reauthenticate: 7d", "never -> 7d", none},
    {"tunnels.certs.ike.liveness", "liveness: 30s", "liveness: off", "30s -> off", update},
    {"tunnels.certs.ike.mobike", "mobike: true", "mobike: false", "true -> false", reauth},
    {"tunnels.certs.ike.childless", "childless: false", "childless: true", "false -> true", none},
    {"tunnels.certs.ike.encapsulation", "encapsulation: auto", "encapsulation: always", "auto -> always", reauth},
    {"tunnels.certs.ike.post_quantum_key.id", "id: ppk,", "id: other,", "ppk -> other", reauth},
    {"tunnels.certs.ike.post_quantum_key.key", "env: PPK", "env: PPK2", "env PPK -> env PPK2", reauth},
    {"tunnels.certs.ike.post_quantum_key.required", "required: true", "required: false", "true -> false", reauth},
    {"tunnels.certs.start", "start: always", "start: on-demand", "always -> on-demand", update},
    {"tunnels.hand.udp_encapsulation.local_port", "local_port: 4500", "local_port: 4502", "4500 -> 4502", update},
    {"tunnels.hand.udp_encapsulation.peer_port", "peer_port: 4501", "peer_port: 4503", "4501 -> 4503", update},
    {"tunnels.certs.interface.name", "name: certs", "name: route", "certs -> route", update},
    {"tunnels.certs.interface.addresses", "169.254.1.1/30", "169.254.1.5/30", "169.254.1.1/30 -> 169.254.1.5/30",
     update},
    {"tunnels.shared.children.voice.local", "voice: { local: [10.1.0.0/16]", "voice: { local: [10.1.0.0/17]",
     "10.1.0.0/16 -> 10.1.0.0/17", rekey},
    {"tunnels.shared.children.voice.remote", "[10.2.0.0/16], dscp", "[10.2.0.0/16, 10.4.0.0/16], dscp",
     "10.2.0.0/16 -> 10.2.0.0/16, 10.4.0.0/16", rekey},
    {"tunnels.shared.children.lan.protocol", "protocol: udp", "protocol: sctp", "udp -> sctp", rekey},
    {"tunnels.shared.children.lan.local_port", "local_port: 5060", "local_port: 5060-5061", "5060 -> 5060-5061", rekey},
    {"tunnels.shared.children.lan.remote_port", "        remote_port: 5060\n", "", "5060 -> any", rekey},
    {"tunnels.shared.children.ping.icmp", "protocol: icmp, icmp: 8 }\n  hand",
     "protocol: icmp, icmp: echo-reply }\n  hand", "8 -> echo-reply", rekey},
    {"tunnels.shared.children.voice.dscp", "dscp: ef }\n", "dscp: [ef, 1] }\n", "ef -> le ef", update},
    {"tunnels.shared.children.lan.replay_window", "replay_window: 4096", "replay_window: 64", "4096 -> 64", rekey},
    {"tunnels.certs.children.all.tfc_padding", "tfc_padding: 200", "tfc_padding: mtu", "200 -> mtu", update},
    {"tunnels.certs.children.all.outer.dscp", "dscp: copy,", "dscp: cs1,", "copy -> cs1", update},
    {"tunnels.certs.children.all.outer.dscp_map", "to: af31", "to: cs3", "ef as af31 -> ef as cs3", update},
    {"tunnels.certs.children.all.outer.ecn", "ecn: normal", "ecn: compatibility", "normal -> compatibility", update},
    {"tunnels.certs.children.all.outer.df", "df: copy", "df: set", "copy -> set", update},
    {"tunnels.certs.children.all.outer.hop_limit", "hop_limit: 64", "hop_limit: 9", "64 -> 9", update},
    {"tunnels.certs.children.all.outer.flow_label", "flow_label: 0", "flow_label: copy", "0 -> copy", update},
    {"tunnels.shared.children.lan.lifetime.soft.time", "soft: { time: 1h", "soft: { time: 30m", "1h -> 30m", none},
    {"tunnels.shared.children.lan.lifetime.soft.bytes", "bytes: 900M", "bytes: 800K", "900M -> 800K", none},
    {"tunnels.shared.children.lan.lifetime.soft.packets", "packets: 1000", "packets: 999", "1K -> 999", none},
    {"tunnels.shared.children.lan.lifetime.hard.time", "hard: { time: 2h", "hard: { time: 2d", "2h -> 2d", none},
    {"tunnels.shared.children.lan.lifetime.hard.bytes", "bytes: 1G", "bytes: 2T", "1G -> 2T", none},
    {"tunnels.shared.children.lan.lifetime.hard.packets", "packets: 2000", "packets: 2001", "2K -> 2001", none},
    {"tunnels.shared.children.lan.esp", "[aes256gcm16-x25519]", "[aes256gcm16]", "aes256gcm16-x25519 -> aes256gcm16",
     rekey},
    {"tunnels.shared.children.lan.per_worker", "per_worker: false", "per_worker: true", "false -> true", update},
    {"tunnels.hand.children.net.manual.esp", "aes256cbc-sha256", "aes128cbc-sha256-esn",
     "aes256cbc-sha256 -> aes128cbc-sha256-esn", update},
    {"tunnels.hand.children.net.manual.out.spi", "0x1001", "0x100a", "0x1001 -> 0x100a", update},
    {"tunnels.hand.children.net.manual.out.key", "file: out.key", "env: OUT", "file out.key -> env OUT", update},
    {"tunnels.hand.children.net.manual.in.spi", "0x2001", "0x2002", "0x2001 -> 0x2002", update},
    {"tunnels.hand.children.net.manual.in.key", "file: in.key", "file: in2.key", "file in.key -> file in2.key", update},
    {"policies.one.from", "from: lan", "from: any", "lan -> any", update},
    {"policies.one.to", "to: wan, source", "to: box, source", "wan -> box", update},
    {"policies.one.source", "source: 10.9.0.0/16", "source: any", "10.9.0.0/16 -> any", update},
    {"policies.one.destination", "192.0.2.0/24", "192.0.2.0/25", "192.0.2.0/24 -> 192.0.2.0/25", update},
    {"policies.one.protocol", "protocol: tcp", "protocol: udp", "tcp -> udp", update},
    {"policies.one.source_ports", "source_ports: 1-2", "source_ports: 1", "1-2 -> 1", update},
    {"policies.one.destination_ports", "destination_ports: 3", "destination_ports: any", "3 -> any", update},
    {"policies.two.icmp", "name: two, protocol: icmp, icmp: 8", "name: two, protocol: icmp, icmp: 3/4", "8 -> 3/4",
     update},
    {"policies.one.dscp", "dscp: ef, action", "action", "ef -> none", update},
    {"policies.one.action", "dscp: ef, action: bypass", "dscp: ef, action: discard", "bypass -> discard", update},
    {"policies.one.both_ways", "dscp: ef, action: bypass", "dscp: ef, both_ways: true, action: bypass", "false -> true",
     update},
};

// "tunnels.hq.children.lan.esp" as the table has it.
std::string table_path(const std::string& path) {
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= path.size();) {
    const auto end = std::min(path.find('.', at), path.size());
    parts.push_back(path.substr(at, end - at));
    at = end + 1;
  }
  if (parts[0] == "policies") parts = {"policies[]", parts[2]};
  if (parts[0] == "ports" || parts[0] == "tunnels") parts[1] = "NAME";
  if (parts.size() > 3 && parts[2] == "children") parts[3] = "NAME";
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : ".") + part;
  return out;
}

TEST(plan, every_change_has_its_line_and_touches_nothing_else) {
  const auto before = read(full);
  for (const auto& c : changes) {
    const auto got = make_plan(before, read(edited(full, c.from, c.to)));
    ASSERT_EQ(got.lines.size(), 1u) << c.path;
    const auto& line = got.lines.front();
    EXPECT_EQ(line.kind, '~') << c.path;
    EXPECT_EQ(line.path, c.path);
    EXPECT_EQ(line.text, c.says) << c.path;
    EXPECT_EQ(line.impact, c.impact) << c.path;
    EXPECT_FALSE(line.reason.empty()) << c.path;
    EXPECT_EQ(got.impact, c.impact) << c.path;
    const std::string path = c.path;
    EXPECT_EQ(got.tunnels.size(), path.starts_with("tunnels.") ? 1u : 0u) << path;
    if (got.tunnels.empty()) continue;
    const auto& tunnel = got.tunnels.front();
    EXPECT_TRUE(path.starts_with("tunnels." + tunnel.name + ".")) << path;
    if (path.contains(".children.")) {
      ASSERT_EQ(tunnel.children.size(), 1u) << path;
      EXPECT_TRUE(path.contains(".children." + tunnel.children[0].name + ".")) << path;
      EXPECT_EQ(tunnel.children[0].impact, c.impact) << path;
      EXPECT_EQ(tunnel.impact, none) << path;
    } else {
      EXPECT_TRUE(tunnel.children.empty()) << path;
      EXPECT_EQ(tunnel.impact, c.impact) << path;
    }
  }
}

// The change that is not tried cannot be forgotten: names of rules, and what comes with another change.
TEST(plan, every_row_is_tried) {
  std::set<std::string> tried{"routes[]", "policies[].name", "tunnels.NAME.udp_encapsulation",
                              "tunnels.NAME.children.NAME.mode"};
  for (const auto& c : changes) tried.insert(table_path(c.path));
  for (const auto& row : impact_rows()) EXPECT_TRUE(tried.contains(std::string(row.path))) << row.path;
}

void walk(const object_schema& object, const std::string& path, std::set<std::string>& leaves) {
  for (const auto& field : object.fields) {
    auto below = (path.empty() ? "" : path + ".") + std::string(field.key);
    const bool one_object = field.value.form == value_form::object || field.value.form == value_form::scalar_or_object;
    if (field.value.form == value_form::named_objects) below += ".NAME";
    const bool rules = below == "policies" || below == "routes";
    if (rules) below += "[]";
    const bool covered = std::ranges::contains(impact_rows(), below, &impact_row::path);
    if (covered) leaves.insert(below);
    const bool descend = field.value.object != nullptr && !field.value.object->secret_reference &&
                         (one_object || field.value.form == value_form::named_objects || (rules && !covered));
    if (descend)
      walk(*field.value.object, below, leaves);
    else if (!covered)
      ADD_FAILURE() << below << " has no row in config/plan_impacts.cpp: what does a change of it cost?";
  }
}

TEST(plan, every_value_of_the_table_has_an_impact) {
  std::set<std::string> leaves;
  walk(configuration_schema, "", leaves);
  for (const auto& row : impact_rows())
    EXPECT_TRUE(leaves.contains(std::string(row.path))) << row.path << " is no value";
  EXPECT_EQ(leaves.size(), impact_rows().size());
}

TEST(plan, every_impact_belongs_to_a_value_that_is_compared) {
  std::set<std::string> compared{"routes[]"};
  const auto take = [&](const settings_text& texts, const std::string& path) {
    for (const auto& one : texts) EXPECT_TRUE(compared.insert(path + std::string(one.key)).second) << one.key;
  };
  take(texts_of(gateway_settings{}), "gateway.");
  take(texts_of(monitoring_settings{}), "monitoring.");
  take(texts_of(port_settings{}), "ports.NAME.");
  take(texts_of(tunnel_settings{}), "tunnels.NAME.");
  take(texts_of(child_settings{}), "tunnels.NAME.children.NAME.");
  take(texts_of(policy_settings{}), "policies[].");
  std::set<std::string> rows;
  for (const auto& row : impact_rows()) rows.emplace(row.path);
  EXPECT_EQ(compared, rows);
}

TEST(plan, nothing_changes) {
  const auto got = make_plan(read(full), read(full));
  EXPECT_TRUE(got.lines.empty());
  EXPECT_TRUE(got.tunnels.empty());
  EXPECT_EQ(got.impact, none);
  // Another way to write the same is no change.
  auto text = edited(edited(full, "lifetime: 4h", "lifetime: 240m"), "203.0.113.2/24", "203.0.113.2/24 ");
  text = edited(text, "bytes: 900M", "bytes: 900000000");
  text = edited(text, "start: always\n    interface", "interface");
  EXPECT_TRUE(make_plan(read(full), read(text)).lines.empty());
}

std::vector<std::string> shown(const plan& from) {
  std::vector<std::string> out;
  for (const auto& line : from.lines)
    out.push_back(std::string(1, line.kind) + " " + line.path + (line.text.empty() ? "" : " " + line.text) + ": " +
                  std::string(to_string(line.impact)) + (line.reason.empty() ? "" : ", " + line.reason));
  return out;
}

TEST(plan, objects_come_and_go) {
  const auto before = read(full);
  auto after = before;
  after.tunnels.erase(after.tunnels.begin() + 1);
  after.tunnels.push_back(before.tunnels[0]);
  after.tunnels.back().name = "third";
  after.tunnels[1].children.push_back(before.tunnels[2].children[0]);
  after.tunnels[1].children.back().name = "more";
  after.routes.push_back({*parse_ip_prefix("10.9.0.0/16"), {}, "lan"});
  after.ports[1].name = "office";
  after.policies.erase(after.policies.begin());
  const auto got = make_plan(before, after);
  EXPECT_EQ(shown(got), (std::vector<std::string>{
                            "- ports.lan eth1: update, the device goes back to the kernel",
                            "+ ports.office eth1: update",
                            "+ routes 10.9.0.0/16 by lan: update",
                            "- tunnels.shared keys by IKE: update, closes its IKE SA, 3 child SAs",
                            "+ tunnels.hand.children.more: update",
                            "+ tunnels.third keys by IKE: update, with all",
                            "- policies.one: update",
                        }));
  ASSERT_EQ(got.tunnels.size(), 3u);
  EXPECT_EQ(got.tunnels[0].kind, '-');
  EXPECT_EQ(got.tunnels[1].kind, '~');
  EXPECT_EQ(got.tunnels[1].children.at(0).kind, '+');
  EXPECT_EQ(got.tunnels[2].kind, '+');
}

TEST(plan, order_counts) {
  const auto before = read(full);
  auto after = before;
  std::swap(after.policies[0], after.policies[1]);
  std::swap(after.tunnels[1].children[0], after.tunnels[1].children[1]);
  EXPECT_EQ(shown(make_plan(before, after)),
            (std::vector<std::string>{
                "~ tunnels.shared.children voice, lan, ping -> lan, voice, ping: update, another order",
                "~ policies one, two -> two, one: update, another order",
            }));
}

TEST(plan, another_kind_of_keys_is_another_tunnel) {
  const auto before = read(full);
  auto after = before;
  after.tunnels[2].children[0].manual.reset();
  after.tunnels[2].ike.emplace();
  const auto got = make_plan(before, after);
  EXPECT_EQ(shown(got), (std::vector<std::string>{"- tunnels.hand keys by hand: update, removes 1 pair of SAs",
                                                  "+ tunnels.hand keys by IKE: update, with net"}));
}

// SAs with keys by hand are replaced whole, whatever changes.
TEST(plan, keys_by_hand_have_no_rekeying) {
  const auto got = make_plan(
      read(full), read(edited(full, "        manual:", "        lifetime: { hard: { time: 1d } }\n        manual:")));
  EXPECT_EQ(shown(got),
            (std::vector<std::string>{"~ tunnels.hand.children.net.lifetime.hard.time none -> 1d: update, the SAs "
                                      "are replaced in one step"}));
}

}  // namespace
}  // namespace trunkgate::test
