#include "controlplane/cli/listing.hpp"

#include <fstream>
#include <map>
#include <regex>
#include <set>

#include <gtest/gtest.h>

#include "controlplane/cli/show.hpp"
#include "dataplane/core/drop_reason.hpp"

namespace trunkgate {
namespace {

ip_prefix prefix(std::string_view text) { return parse_ip_prefix(text).value(); }

api::sa_status sa(std::string_view tunnel, api::sa_direction direction) {
  api::sa_status out;
  out.tunnel = api::name(tunnel);
  out.child = api::name("lan");
  out.direction = direction;
  out.suite = esp_suite::aes256gcm16;
  out.spi = 0xdeadbeef;
  out.local = parse_ip_address("203.0.113.2").value();
  out.remote = parse_ip_address("203.0.113.25").value();
  out.local_count = 1;
  out.local_ranges[0] = prefix("10.1.0.0/16");
  out.packets = 10;
  out.bytes = 15000;
  out.last_used_unix_ns = 5'000'000'000;
  return out;
}

// How far apart label and value stand depends on the longest label: the tests do not.
std::string squeezed(std::string text) {
  for (std::size_t at = 2; (at = text.find("   ", at)) != std::string::npos;) text.erase(at, 1);
  return text;
}

TEST(show_sas, is_short_without_spis_and_full_in_json) {
  const std::vector<api::sa_status> sas{sa("hq-branch1", api::sa_direction::outbound)};
  const auto listed = list_sas(sas, 8'000'000'000);
  EXPECT_EQ(listed.short_view.text({}),
            "TUNNEL      CHILD  DIR  STATE  SUITE        PACKETS    BYTES  DROPS  WORKER    USED  REASON\n"
            "hq-branch1  lan    out  up     aes256gcm16       10  15.0 kB      0       0  3s ago\n");
  EXPECT_EQ(listed.summary, "1 SAs, 0 down");
  EXPECT_FALSE(listed.something_down);
  const auto parsed = nlohmann::json::parse(json_text(listed.objects));
  ASSERT_EQ(parsed.size(), 1u);
  EXPECT_EQ(parsed[0]["spi"], "0xdeadbeef");
  EXPECT_EQ(parsed[0]["tunnel"], "hq-branch1");
  EXPECT_EQ(parsed[0]["packets"], 10);
  EXPECT_EQ(parsed[0]["local_ranges"], nlohmann::json::array({"10.1.0.0/16"}));
  EXPECT_EQ(parsed[0]["esn"], false);
  EXPECT_NE(detail_text(listed.objects).find("tunnel hq-branch1\n"), std::string::npos);
  EXPECT_NE(squeezed(detail_text(listed.objects)).find("  spi  0xdeadbeef\n"), std::string::npos)
      << detail_text(listed.objects);
}

TEST(show_sas, detail_is_what_an_operator_asks_for) {
  auto out = sa("hq-branch1", api::sa_direction::outbound);
  out.sequence = 1000;
  out.packets = 1000;
  out.installed_unix_ns = 1'000'000'000;
  out.remote_count = 1;
  out.remote_ranges[0] = prefix("10.2.0.0/16");
  out.udp_encapsulation = 1;
  out.local_port = 4500;
  out.remote_port = 40000;
  out.engine = api::text<16>("ipsec_mb");
  out.other_drops = 2;
  auto in = sa("hq-dc", api::sa_direction::inbound);
  in.packets = 0;
  in.integrity_failed = 4;
  in.replay_window = 1024;
  const auto listed = list_sas(std::vector{out, in}, 11'000'000'000);
  EXPECT_EQ(
      listed.detail.substr(0, listed.detail.find('\n')),
      "tunnel hq-dc, child lan, in: down, no packet passes its integrity check: the peer has another key or suite");
  for (const char* line : {
           "tunnel hq-branch1, child lan, out: up\n",
           "  suite  aes256gcm16, by ipsec_mb\n",
           "  from and to  203.0.113.2 > 203.0.113.25, ESP in UDP, port 4500 > 40000\n",
           "  selectors  10.1.0.0/16 > 10.2.0.0/16, any protocol\n",
           // 2^32 - 1 - 1000 at 100 a second
           "  sequence  1000 is the last sent, 4294966295 are left; at the rate since it was installed for "
           "497d02h\n",
           "  dropped  2: 2 other drops\n",
           "  installed  10s ago\n",
           "  last used  6s ago, by worker 0\n",
           "  replay window  1024 packets\n",
           "  dropped  4: 4 integrity failed\n",
       })
    EXPECT_NE(squeezed(listed.detail).find(line), std::string::npos) << line << listed.detail;
}

TEST(show_sas, detail_shows_also_what_has_no_line_of_its_own) {
  EXPECT_NE(sa_detail_text({{"tunnel", "t"}, {"something_new", 7}}, 0).find("  something new  7\n"), std::string::npos);
}

TEST(show_sas, time_to_exhaustion) {
  EXPECT_EQ(exhaustion_seconds(1000, 10, 1'000'000'000), 100u);
  EXPECT_EQ(exhaustion_seconds(1000, 0, 1'000'000'000), std::nullopt);
  EXPECT_EQ(exhaustion_seconds(1000, 10, 0), std::nullopt);
  EXPECT_EQ(exhaustion_seconds(UINT64_MAX, 1, 1'000'000'000), std::nullopt);
}

TEST(show_sas, tells_an_sa_whose_key_is_not_the_peers) {
  auto wrong = sa("hq-dc", api::sa_direction::inbound);
  wrong.packets = 0;
  wrong.integrity_failed = 4;
  const std::vector<api::sa_status> sas{sa("hq-branch1", api::sa_direction::inbound), wrong};
  const auto listed = list_sas(sas, 0);
  EXPECT_TRUE(listed.something_down);
  const auto text = listed.short_view.text({});
  EXPECT_LT(text.find("hq-dc"), text.find("hq-branch1"));
  EXPECT_NE(
      text.find(
          "no packet passes its integrity check: the peer has another key or suite (trunkgate show sas hq-dc detail)"),
      std::string::npos);
}

TEST(show_sas, is_down_when_its_sequence_numbers_are_used_up) {
  struct {
    bool esn;
    std::uint64_t sequence;
    bool down;
  } cases[] = {
      {false, UINT32_MAX - 1u, false}, {false, UINT32_MAX, true}, {true, UINT32_MAX, false}, {true, UINT64_MAX, true}};
  for (const auto& [esn, sequence, down] : cases) {
    auto one = sa("hq", api::sa_direction::outbound);
    one.esn = esn ? 1 : 0;
    one.sequence = sequence;
    EXPECT_EQ(list_sas({&one, 1}, 0).something_down, down) << esn << " " << sequence;
  }
}

TEST(show_sas, an_expired_one_comes_first_with_its_reason) {
  auto over = sa("hq-dc", api::sa_direction::outbound);
  over.expired = api::sa_limit::bytes;
  over.hard.bytes = 15000;
  over.mode = api::sa_mode::transport;
  over.outer.dscp[46] = 26;
  over.outer.flow_label = api::flow_label_copy;
  auto old = sa("hq-branch1", api::sa_direction::inbound);
  old.softened = api::sa_limit::seconds;
  const std::vector<api::sa_status> sas{sa("hq-branch1", api::sa_direction::outbound), old, over};
  const auto listed = list_sas(sas, 0);
  EXPECT_TRUE(listed.something_down);
  const auto text = listed.short_view.text({});
  EXPECT_LT(text.find("its hard limit of bytes is reached"), text.find("its soft lifetime is over"));
  EXPECT_LT(text.find("expired"), text.find("hq-branch1"));
  EXPECT_EQ(listed.objects[2]["state"], "expired");
  EXPECT_EQ(listed.objects[2]["expired_by"], "bytes");
  EXPECT_EQ(listed.objects[2]["hard"]["bytes"], 15000);
  EXPECT_EQ(listed.objects[2]["mode"], "transport");
  EXPECT_EQ(listed.objects[2]["outer"]["dscp"], (nlohmann::json{{"46", 26}}));
  EXPECT_EQ(listed.objects[2]["outer"]["flow_label"], "copy");
  EXPECT_EQ(listed.objects[1]["softened_by"], "seconds");
}

TEST(show_events, are_in_order_with_the_newest_last) {
  std::vector<api::event> events(3);
  for (std::size_t i = 0; i < events.size(); ++i) events[i].unix_ns = (i + 1) * 1'000'000'000;
  events[1].kind = api::event_kind::soft_expire;
  events[1].limit = api::sa_limit::packets;
  events[1].value = 1000;
  events[1].tunnel = api::name("hq");
  events[1].child = api::name("lan");
  events[1].direction = api::sa_direction::inbound;
  events[1].spi = 0x1001;
  events[2].kind = api::event_kind::unknown_spi;
  events[2].spi = 0x9999;
  events[2].source = parse_ip_address("203.0.113.9").value();
  const auto listed = list_events(events, 9'000'000'000);
  EXPECT_EQ(
      listed.short_view.text({}),
      "AGE  EVENT              TUNNEL  CHILD  DIR  LIMIT         MEANING\n"
      " 8s  dataplane.started  -       -      -    -             the data plane runs\n"
      " 7s  sa.soft_expire     hq      lan    in   1000 packets  the SA should be replaced\n"
      " 6s  esp.unknown_spi    -       -      -    -             ESP came that no SA is for (from 203.0.113.9)\n");
  EXPECT_EQ(listed.objects[1]["spi"], "0x00001001");
  EXPECT_EQ(listed.objects[1]["value"], 1000);
  EXPECT_EQ(listed.objects[2]["source"], "203.0.113.9");
  EXPECT_EQ(listed.objects[0]["spi"], "");
}

TEST(show_ports, a_port_that_is_down_is_told_with_its_reason) {
  std::vector<api::port_status> ports(2);
  ports[0].configured.port = api::name("lan");
  ports[0].configured.device = api::text<128>("eth1");
  ports[0].configured.vlan = 12;
  ports[0].configured.address_count = 1;
  ports[0].configured.addresses[0] = prefix("10.1.0.1/16");
  ports[0].path = api::text<32>("af_packet");
  ports[0].up = 1;
  ports[0].mtu = 1500;
  ports[1].configured.port = api::name("wan");
  ports[1].note = api::text<160>("eth0 is gone");
  const auto listed = list_ports(ports);
  EXPECT_TRUE(listed.something_down);
  EXPECT_EQ(listed.summary, "1 up, 1 down");
  EXPECT_EQ(listed.short_view.text({}),
            "PORT  STATE  DEVICE        PATH       ADDRESSES    MAC   MTU   RX   TX  NOTE\n"
            "wan   down   -             -          -            -       -  0 B  0 B  eth0 is gone\n"
            "lan   up     eth1 vlan 12  af_packet  10.1.0.1/16  -    1500  0 B  0 B\n");
  EXPECT_EQ(listed.objects[0]["addresses"][0], "10.1.0.1/16");
  ports.pop_back();
  EXPECT_FALSE(list_ports(ports).something_down);
}

TEST(show_ports, believes_no_count_from_outside) {
  api::port_status port;
  port.configured.address_count = 60000;
  auto one = sa("hq", api::sa_direction::inbound);
  one.remote_count = 60000;
  one.suite = static_cast<esp_suite>(99);
  EXPECT_EQ(list_ports({&port, 1}).objects[0]["addresses"].size(), api::addresses_per_port);
  EXPECT_EQ(list_sas({&one, 1}, 0).objects[0]["remote_ranges"].size(), api::ranges_per_side);
  EXPECT_EQ(list_sas({&one, 1}, 0).objects[0]["suite"], "unknown");
}

TEST(show_drops, adds_up_workers_and_puts_the_most_first) {
  const std::vector<api::drop_status> drops{{0, static_cast<std::uint8_t>(drop_reason::no_policy), 3},
                                            {0, static_cast<std::uint8_t>(drop_reason::esp_replayed), 4},
                                            {1, static_cast<std::uint8_t>(drop_reason::no_policy), 2},
                                            {1, 250, 1}};
  const auto listed = list_drops(drops);
  EXPECT_EQ(listed.short_view.text({}),
            "REASON        PACKETS  MEANING\n"
            "no_policy           5  no policy names this packet, so it is discarded (RFC 4301 5.1)\n"
            "esp_replayed        4  seen before, or older than the replay window\n"
            "reason_250          1  the data plane is of another version\n");
  EXPECT_EQ(listed.summary, "10 packets dropped");
  EXPECT_EQ(listed.objects[0]["per_worker"][1]["worker"], 1);
  EXPECT_EQ(listed.objects[0]["per_worker"][1]["packets"], 2);
}

TEST(show_counters, gives_ratios_in_the_table_and_totals_in_json) {
  api::stage_status stage{
      .stage = api::text<24>("classify"), .worker = 1, .packets = 100, .bursts = 10, .cycles = 5550};
  const auto listed = list_counters({&stage, 1});
  EXPECT_EQ(listed.short_view.text({}),
            "STAGE     WORKER  PACKETS  BURSTS  PACKETS/BURST  CYCLES/PACKET\n"
            "classify       1      100      10           10.0           55.5\n");
  EXPECT_EQ(listed.objects[0]["cycles"], 5550);
}

TEST(show_policies, names_any_and_ranges) {
  api::policy_status policy;
  policy.configured.policy = api::name("sip");
  policy.configured.to = api::name("box");
  policy.configured.action = api::policy_action::bypass;
  policy.configured.protocol = 17;
  policy.configured.source = prefix("10.0.0.0/8");
  policy.configured.destination_ports = {5060, 5061};
  policy.order = 2;
  policy.flows = 9;
  EXPECT_EQ(list_policies({&policy, 1}).short_view.text({}),
            "#  POLICY  ACTION  FROM  TO   SOURCE      DESTINATION  PROTOCOL              FLOWS\n"
            "3  sip     bypass  any   box  10.0.0.0/8  any          udp any to 5060-5061      9\n");
}

TEST(show_routes, an_unknown_next_hop_is_notable) {
  std::vector<api::route_status> routes(2);
  routes[0].destination = prefix("10.2.0.0/16");
  routes[0].port = api::name("lan");
  routes[1].destination = prefix("0.0.0.0/0");
  routes[1].via = parse_ip_address("203.0.113.1").value();
  routes[1].port = api::name("wan");
  const auto listed = list_routes(routes);
  const auto text = listed.short_view.text({});
  EXPECT_LT(text.find("0.0.0.0/0"), text.find("10.2.0.0/16")) << text;
  EXPECT_EQ(listed.summary, "2 routes, 1 without a known next hop");
  EXPECT_FALSE(listed.something_down);
}

TEST(show_gateway, says_when_sequence_numbers_do_not_survive) {
  api::gateway_status gateway;
  gateway.configured.gateway_name = api::name("hq");
  gateway.started_unix_ns = 1'000'000'000;
  gateway.buffers = 1000;
  gateway.buffers_free = 750;
  EXPECT_NE(list_gateway(gateway, 61'000'000'000).short_view.text({}).find("hq        1m00s        0         75.0%"),
            std::string::npos);
  EXPECT_NE(list_gateway(gateway, 0).short_view.text({}).find("do not survive"), std::string::npos);
  gateway.sequences_survive = 1;
  EXPECT_EQ(list_gateway(gateway, 0).short_view.text({}).find("do not survive"), std::string::npos);
}

TEST(json, survives_bytes_that_are_no_utf8) {
  api::algorithm_status row{.algorithm = api::text<32>("\xff"), .engine = {}, .note = {}};
  EXPECT_TRUE(nlohmann::json::accept(json_text(list_algorithms({&row, 1}).objects)));
}

// docs/operating.md promises the fields; here they are held against it, subject by subject.
TEST(documentation, names_every_field) {
  std::ifstream in(TRUNKGATE_SOURCE_DIR "/docs/operating.md");
  std::map<std::string, std::string> rows;
  for (std::string line; std::getline(in, line);)
    if (line.starts_with("| `")) rows[line.substr(3, line.find('`', 3) - 3)] = line;
  const api::port_status port;
  const api::sa_status one;
  const api::policy_status policy;
  const api::route_status route;
  const api::stage_status stage;
  const api::drop_status drop;
  const api::worker_status worker;
  const api::algorithm_status algorithm;
  const api::event event;
  const std::map<std::string, listing> listings{
      {"ports", list_ports({&port, 1})},         {"sas", list_sas({&one, 1}, 0)},
      {"policies", list_policies({&policy, 1})}, {"routes", list_routes({&route, 1})},
      {"counters", list_counters({&stage, 1})},  {"drops", list_drops({&drop, 1})},
      {"workers", list_workers({&worker, 1})},   {"algorithms", list_algorithms({&algorithm, 1})},
      {"gateway", list_gateway({}, 0)},          {"events", list_events({&event, 1}, 0)}};
  for (const auto& subject : show_subjects()) {
    const std::string name(subject.name);
    if (subject.list == nullptr) continue;  // trunkgated's own: the tests of its reports see to it
    ASSERT_TRUE(listings.contains(name)) << name;
    for (const auto& [field, value] : listings.at(name).objects.front().items())
      EXPECT_NE(rows[name].find("`" + field + "`"), std::string::npos) << name << " " << field;
  }
}

TEST(show_subjects, have_unique_names) {
  std::set<std::string_view> names;
  for (const auto& subject : show_subjects()) EXPECT_TRUE(names.insert(subject.name).second) << subject.name;
}

}  // namespace
}  // namespace trunkgate
