// What an operator sees of two engines in one process.
#include "controlplane/monitor/tunnel_report.hpp"

#include <boost/asio/co_spawn.hpp>

#include "controlplane/cli/tunnel_text.hpp"
#include "controlplane/monitor/record_report.hpp"
#include "controlplane/monitor/tunnel_watch.hpp"
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate {
namespace {

using ike::test::world;
using json = nlohmann::ordered_json;
using namespace std::chrono_literals;

json ask(world& w, boost::asio::awaitable<json> what) {
  std::optional<json> said;
  boost::asio::co_spawn(w.io, std::move(what),
                        [&](const std::exception_ptr&, json answer) { said = std::move(answer); });
  EXPECT_TRUE(w.run([&] { return said.has_value(); }, 1s));
  return said.value_or(json());
}
json tunnel_of(world& w, tunnel_reporter& reporter) { return ask(w, reporter.tunnels("t"))["tunnels"][0]; }
json explain(world& w, ike::test::end& here) { return explanation_of(*here.ike, *here.ike->find("t"), w.time); }

TEST(report, a_tunnel_that_is_up) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  tunnel_reporter reporter(*w.left.ike, w.left);
  const auto one = tunnel_of(w, reporter);
  EXPECT_EQ(one["tunnel"], "t");
  EXPECT_EQ(one.begin().key(), "tunnel");  // what identifies it stands first
  EXPECT_EQ(one["state"], "up");
  EXPECT_EQ(one["peer"], "192.0.2.2");
  EXPECT_EQ(one["nat"], "none");
  EXPECT_EQ(one["suite"], "aes256gcm16 esn, x25519");
  EXPECT_EQ(one["reason"], "");
  EXPECT_EQ(one["ike"]["peer_id"], "right.example");
  EXPECT_EQ(one["ike"]["suite"], "aes256gcm16-prfsha384-x25519");
  EXPECT_EQ(one["counts"]["established"], 1);
  ASSERT_EQ(one["children"].size(), 1u);
  EXPECT_EQ(one["children"][0]["child"], "lan");
  EXPECT_EQ(one["children"][0]["state"], "up");
  EXPECT_EQ(one["children"][0]["local"], json({"10.1.0.0/16"}));
  // 90 to 100 % of an hour, which is sooner than the IKE SA's four.
  EXPECT_GE(one["rekey_in_seconds"], 3200);
  EXPECT_LE(one["rekey_in_seconds"], 3600);
}

TEST(report, a_name_that_is_none) {
  world w;
  w.begin();
  tunnel_reporter reporter(*w.left.ike, w.left);
  EXPECT_TRUE(ask(w, reporter.tunnels("fly")).contains("error"));
}

TEST(report, a_tunnel_whose_peer_is_silent) {
  world w;
  w.on_way = [](auto&) { return false; };
  w.begin();
  tunnel_reporter reporter(*w.left.ike, w.left);
  EXPECT_EQ(tunnel_of(w, reporter)["state"], "connecting");
  const auto* tunnel = w.left.ike->find("t");
  ASSERT_TRUE(w.run([&] { return tunnel->failures_in_a_row() >= 1; }, 600s));
  const auto one = tunnel_of(w, reporter);
  EXPECT_EQ(one["state"], "down");
  EXPECT_EQ(one["trouble"], "peer_silent");
  EXPECT_EQ(one["failures_in_a_row"], 1);
  EXPECT_TRUE(one["ike"].is_null());
  EXPECT_TRUE(one["next_attempt_seconds"].is_number());
  EXPECT_EQ(one["children"], json::array({{{"child", "lan"}, {"state", "down"}}}));
}

TEST(report, a_tunnel_that_the_operator_closed) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.left.ike->find("t")->stop();
  ASSERT_TRUE(w.run([&] { return w.left.ike->find("t")->sas().empty(); }, 5s));
  tunnel_reporter reporter(*w.left.ike, w.left);
  const auto one = tunnel_of(w, reporter);
  EXPECT_EQ(one["state"], "down");
  EXPECT_EQ(one["trouble"], "closed_by_us");
  EXPECT_EQ(one["reason"], "closed by the operator");
}

TEST(report, a_child_that_the_peer_does_not_take_degrades_the_tunnel) {
  world w;
  w.begin([](tunnel_settings& left, tunnel_settings&) {
    auto more = left.children.front();
    more.name = "voice";
    more.remote = {*parse_ip_range("10.9.0.0/16")};
    left.children.push_back(more);
  });
  tunnel_reporter reporter(*w.left.ike, w.left);
  ASSERT_TRUE(w.run([&] { return !w.left.ike->find("t")->warnings().empty(); }, 10s));
  const auto one = tunnel_of(w, reporter);
  EXPECT_EQ(one["state"], "degraded");
  EXPECT_EQ(one["trouble"], "selectors_unacceptable");
  EXPECT_EQ(one["path"], "tunnels.t.children.voice.remote");
  EXPECT_EQ(one["children"][1], (json{{"child", "voice"}, {"state", "down"}}));
}

TEST(report, what_was_refused_before_it_was_configured_is_forgotten_once_it_is_up) {
  world w;
  std::vector<tunnel_settings> right;
  w.begin([&](tunnel_settings& a, tunnel_settings& b) {
    right = {b};
    auto more = a.children.front();
    more.name = "voice";
    more.remote = {*parse_ip_range("10.9.0.0/16")};
    a.children.push_back(more);
    std::swap(more.local, more.remote);
    right.front().children.push_back(more);
  });
  tunnel_reporter reporter(*w.right.ike, w.right);
  ASSERT_TRUE(w.run([&] { return !w.right.ike->find("t")->warnings().empty(); }, 10s));
  EXPECT_EQ(tunnel_of(w, reporter)["path"], "tunnels.t.children");
  w.configure(w.right, right);
  ASSERT_TRUE(w.run([&] { return w.joined("voice"); }, 60s));
  EXPECT_EQ(tunnel_of(w, reporter)["state"], "up") << tunnel_of(w, reporter)["reason"];
}

// The figures are the test's.
class counting_sink final : public sa_sink {
 public:
  explicit counting_sink(sa_sink& below) : below_(below) {}
  std::uint32_t reserve_spi() override { return below_.reserve_spi(); }
  void release_spi(std::uint32_t spi) override { below_.release_spi(spi); }
  boost::asio::awaitable<result<void>> add(const child_sa& pair, sa_directions which) override {
    return below_.add(pair, which);
  }
  boost::asio::awaitable<result<void>> remove(std::uint32_t spi, sa_directions which) override {
    return below_.remove(spi, which);
  }
  boost::asio::awaitable<result<void>> move(std::uint32_t spi, const sa_path& path) override {
    return below_.move(spi, path);
  }
  boost::asio::awaitable<result<std::vector<std::optional<sa_use>>>> use(
      const std::vector<std::uint32_t>& spis) override {
    if (!trouble.empty()) co_return failure(trouble);
    co_return std::vector<std::optional<sa_use>>(spis.size(), figures);
  }
  boost::asio::awaitable<result<std::vector<std::uint32_t>>> survived() override { return below_.survived(); }
  boost::asio::awaitable<result<std::map<std::uint32_t, std::string>>> survivors() override {
    return below_.survivors();
  }

  sa_use figures;
  std::string trouble;

 private:
  sa_sink& below_;
};

TEST(report, rates_are_over_the_life_first_and_then_between_two_queries) {
  world w;
  counting_sink sink(w.left.sas);
  w.left.before_sas = &sink;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  tunnel_reporter reporter(*w.left.ike, w.left);
  w.run_for(10s);
  sink.figures = {.inbound_packets = 10, .inbound_bytes = 10'000, .outbound_packets = 1, .outbound_bytes = 0};
  auto one = tunnel_of(w, reporter);
  EXPECT_NEAR(one["in_bits_per_second"].get<double>(), 8000, 20);
  EXPECT_EQ(one["out_bits_per_second"], 0);
  EXPECT_EQ(one["children"][0]["in_bytes"], 10'000);
  EXPECT_EQ(one["children"][0]["in_packets"], 10);
  // Asked again at once: the same, and not nothing.
  EXPECT_EQ(tunnel_of(w, reporter)["in_bits_per_second"], one["in_bits_per_second"]);
  w.run_for(2s);
  sink.figures.inbound_bytes += 1'000'000;
  sink.figures.outbound_bytes += 500'000;
  one = tunnel_of(w, reporter);
  EXPECT_EQ(one["in_bits_per_second"], 4'000'000);
  EXPECT_EQ(one["children"][0]["out_bits_per_second"], 2'000'000);
}

TEST(report, says_why_there_are_no_figures) {
  world w;
  counting_sink sink(w.left.sas);
  w.left.before_sas = &sink;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  sink.trouble = "the data plane is not there";
  tunnel_reporter reporter(*w.left.ike, w.left);
  const auto said = ask(w, reporter.tunnels(""));
  EXPECT_EQ(said["data_plane"], "the data plane is not there");
  EXPECT_EQ(said["tunnels"][0]["state"], "up");
  const auto shown = list_tunnels(said, 0);
  EXPECT_NE(shown.summary.find("1 up; no figures: the data plane is not there"), std::string::npos) << shown.summary;
}

TEST(show, problems_first_and_a_status_of_their_own) {
  const json said{{"tunnels",
                   {{{"tunnel", "good"},
                     {"state", "up"},
                     {"since_unix_ns", 1'000'000'000},
                     {"peer", "192.0.2.9"},
                     {"nat", "there"},
                     {"suite", "aes256gcm16 esn, x25519"},
                     {"rekey_in_seconds", 2880},
                     {"in_bits_per_second", 220'000'000},
                     {"out_bits_per_second", 0},
                     {"ike", json::object()}},
                    {{"tunnel", "bad"},
                     {"state", "down"},
                     {"since_unix_ns", 1'000'000'000},
                     {"peer", "192.0.2.7"},
                     {"reason", "no answer"},
                     {"trouble", "peer_silent"},
                     {"ike", nullptr}}}},
                  {"data_plane", ""}};
  const auto shown = list_tunnels(said, 121'000'000'000);
  EXPECT_TRUE(shown.something_down);
  EXPECT_EQ(shown.summary, "1 up, 1 down");
  const auto text = shown.short_view.text({});
  EXPECT_LT(text.find("bad"), text.find("good")) << text;
  EXPECT_NE(text.find("down 2m00s"), std::string::npos) << text;
  EXPECT_NE(text.find("no answer (trunkgate explain bad)"), std::string::npos) << text;
  EXPECT_NE(text.find("192.0.2.9 nat"), std::string::npos) << text;
  EXPECT_NE(text.find("220 Mb/s"), std::string::npos) << text;
  EXPECT_NE(text.find("0 b/s !"), std::string::npos) << text;
  EXPECT_NE(text.find("in 48m"), std::string::npos) << text;
}

TEST(explain, no_common_proposal) {
  world w;
  w.begin([](tunnel_settings& left, tunnel_settings&) {
    left.ike->proposals = {*parse_ike_proposal("aes128gcm16-prfsha256-x25519")};
  });
  ASSERT_TRUE(w.run([&] { return w.left.ike->find("t")->failures_in_a_row() == 1; }, 10s));
  const auto said = explain(w, w.left);
  EXPECT_EQ(said["tunnel"], "t");
  EXPECT_EQ(said["state"], "down");
  EXPECT_EQ(said["trouble"], "no_common_proposal");
  EXPECT_EQ(said["last_failure"]["failure"]["path"], "tunnels.t.ike.proposals");
  EXPECT_EQ(said["last_failure"]["failure"]["notify"], "NO_PROPOSAL_CHOSEN");
  EXPECT_EQ(said["last_failure"]["offers"][0]["ours"], json({"aes128gcm16-prfsha256-x25519"}));
  EXPECT_EQ(said["last_failure"]["steps"][0]["exchange"], "IKE_SA_INIT");
  EXPECT_EQ(said["last_failure"]["steps"][0]["ok"], false);
  const auto text =
      explanation_text(said, [](const std::string& path) { return path.empty() ? "" : "gateway.yaml:17"; }, 0);
  EXPECT_NE(text.find("t is down since "), std::string::npos) << text;
  EXPECT_NE(text.find("  IKE_SA_INIT     FAIL  the peer takes none of our IKE proposals"), std::string::npos) << text;
  EXPECT_NE(text.find("we offered"), std::string::npos) << text;
  EXPECT_NE(
      text.find(
          "Either side can mend it:\n     here   gateway.yaml:17  tunnels.t.ike.proposals  offer what the peer takes"),
      std::string::npos)
      << text;

  // The responder has seen both offers.
  const auto other = explain(w, w.right);
  ASSERT_EQ(other["strangers"].size(), 1u);
  const auto told = explanation_text(other, [](const std::string&) { return std::string(); }, 0);
  EXPECT_NE(told.find("the peer offered  aes128gcm16-prfsha256-x25519"), std::string::npos) << told;
  EXPECT_NE(told.find("they differ in    encryption"), std::string::npos) << told;
}

TEST(explain, another_pre_shared_key) {
  world w;
  w.write("other.psk", "quite another one\n");
  w.begin([](tunnel_settings& left, tunnel_settings&) { left.ike->psk->name = "other.psk"; });
  ASSERT_TRUE(w.run([&] { return w.left.ike->find("t")->failures_in_a_row() == 1; }, 10s));
  const auto text = explanation_text(explain(w, w.left), [](const std::string&) { return "g.yaml:3"; }, 0);
  EXPECT_NE(text.find("IKE_SA_INIT     ok"), std::string::npos) << text;
  EXPECT_NE(text.find("IKE_AUTH        FAIL"), std::string::npos) << text;
  EXPECT_NE(text.find("AUTHENTICATION_FAILED"), std::string::npos) << text;
  EXPECT_EQ(text.find("quite another one"), std::string::npos) << text;
}

TEST(explain, a_group_that_the_peer_will_refuse_at_the_rekey) {
  world w;
  w.begin([](tunnel_settings&, tunnel_settings& right) {
    right.children.front().esp = {*parse_esp_proposal("aes256gcm16-ecp384-esn")};
  });
  ASSERT_TRUE(w.run([&] { return !w.left.ike->find("t")->warnings().empty(); }, 60s));
  const auto said = explain(w, w.left);
  EXPECT_EQ(said["state"], "degraded");
  EXPECT_EQ(said["warnings"][0]["trouble"], "key_exchange_refused");
  EXPECT_EQ(said["warnings"][0]["path"], "tunnels.t.children.lan.esp");
  const auto text = explanation_text(said, [](const std::string&) { return "g.yaml:9"; }, 0);
  EXPECT_NE(text.find("its rekey will then fail"), std::string::npos) << text;
  EXPECT_NE(text.find("g.yaml:9  tunnels.t.children.lan.esp"), std::string::npos) << text;
  EXPECT_NE(text.find("(PFS)"), std::string::npos) << text;
}

TEST(explain, one_that_waits) {
  world w;
  w.begin([](tunnel_settings& left, tunnel_settings&) { left.ike->start = start_mode::on_demand; });
  const auto text = explanation_text(explain(w, w.left), [](const std::string&) { return "g.yaml:5"; }, 0);
  EXPECT_NE(text.find("It waits for a packet that wants it  g.yaml:5  tunnels.t.start"), std::string::npos) << text;
}

TEST(watch, tells_each_change_once) {
  world w;
  std::vector<std::string> told;
  const auto ids = [&] { return std::exchange(told, {}); };
  tunnel_watch watch(*w.left.ike, w.left, [&](const auto& event) { told.emplace_back(event.id); });
  w.begin();
  ASSERT_TRUE(w.run([&] { return !told.empty(); }, 5s));
  EXPECT_EQ(ids(), std::vector<std::string>{"tunnel.up"});
  w.run_for(60s);
  EXPECT_EQ(ids(), std::vector<std::string>{"tunnel.rekeyed"});  // the probe of the child's key exchange
  w.left.ike->find("t")->rekey_ike();
  w.run_for(5s);
  EXPECT_EQ(ids(), std::vector<std::string>{"tunnel.rekeyed"});
  w.left.ike->find("t")->stop();
  w.run_for(5s);
  EXPECT_EQ(ids(), std::vector<std::string>{"tunnel.down"});
}

TEST(watch, tells_the_same_failure_ever_more_rarely) {
  world w;
  unsigned told = 0;
  std::string last;
  tunnel_watch watch(*w.left.ike, w.left, [&](const auto& event) {
    if (event.id == "tunnel.failed") ++told, last = event.text;
  });
  w.begin([](tunnel_settings& left, tunnel_settings&) {
    left.ike->proposals = {*parse_ike_proposal("aes128gcm16-prfsha256-x25519")};
  });
  ASSERT_TRUE(w.run([&] { return w.left.ike->find("t")->failures_in_a_row() == 20; }, 3600s));
  w.run_for(2s);
  EXPECT_EQ(told, 5u);  // 1, 2, 4, 8, 16
  EXPECT_EQ(last, "t: no_common_proposal: the peer takes none of our IKE proposals (16 times) (trunkgate explain t)");
}

TEST(watch, warns_of_outdated_algorithms) {
  world w;
  std::string warning;
  tunnel_watch watch(*w.left.ike, w.left, [&](const auto& event) {
    if (event.warning) warning = std::string(event.id) + " " + event.text;
  });
  w.begin([](tunnel_settings& left, tunnel_settings& right) {
    for (auto* side : {&left, &right}) side->ike->proposals = {*parse_ike_proposal("3des-sha1-modp1024")};
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(2s);
  EXPECT_TRUE(warning.starts_with("tunnel.legacy t: came up with outdated algorithms: ike 3des-prfsha1-sha1-modp1024"))
      << warning;
}

}  // namespace
}  // namespace trunkgate
