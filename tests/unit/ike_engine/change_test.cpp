// The configuration changes, or a tunnel goes, while something is under way. Under the sanitizers this says whether
// anything outlives what it points into.
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

std::vector<tunnel_settings> with_children(const tunnel_settings& one, const std::vector<std::string>& names) {
  auto out = one;
  out.children.clear();
  for (const auto& name : names) {
    auto child = one.children[0];
    child.name = name;
    child.dscp = 1ULL << (name.back() % 60);
    out.children.push_back(child);
  }
  return {out};
}

enum class act : std::uint8_t { remove, remove_and_add, fewer, reversed, stop, reconnect, restart };
class Changes : public ::testing::TestWithParam<act> {};

// Whatever is under way: at each millisecond of establishing, rekeying and deleting the change comes once.
TEST_P(Changes, AtEachMoment) {
  for (int moment = 0; moment < 120; moment += 3) {
    SCOPED_TRACE("after " + std::to_string(moment) + " ms");
    world w;
    w.delay = 7ms;
    auto a = w.settings(w.left, w.right), b = w.settings(w.right, w.left);
    if (moment % 2 == 0) b.ike->start = start_mode::always;
    if (moment % 4 == 1)
      a.children[0].esp = b.children[0].esp = {*parse_esp_proposal("aes256gcm16-x25519-ke1_ecp256-esn")};
    w.configure(w.right, with_children(b, {"lan", "one", "two"}));
    w.configure(w.left, with_children(a, {"lan", "one", "two"}));
    if (moment >= 60) {
      ASSERT_TRUE(w.run([&] { return w.joined("lan") && w.joined("one") && w.joined("two"); }, 20s));
      w.left.t().rekey_child(2);
      w.right.t().rekey_child(1);
      if (moment % 5 == 0) w.right.t().rekey_ike();
    }
    w.run_for(1ms * (moment % 60));
    auto& here = moment % 3 == 0 ? w.left : w.right;
    const auto& own = &here == &w.left ? a : b;
    switch (GetParam()) {
      case act::remove: w.configure(here, {}); break;
      case act::remove_and_add:
        w.configure(here, {});
        w.configure(here, with_children(own, {"lan", "one", "two"}));
        break;
      case act::fewer: w.configure(here, with_children(own, {"two"})); break;
      case act::reversed: w.configure(here, with_children(own, {"two", "one", "lan"})); break;
      case act::stop:
        here.t().rekey_ike();
        here.t().stop();
        break;
      case act::reconnect: here.ike->reconnect("t"); break;
      case act::restart:
        here.ike = std::make_unique<engine>(here);
        here.sas.sas.clear();
        w.configure(here, with_children(own, {"lan", "one", "two"}));
        break;
    }
    w.run_for(40s);
    w.configure(w.left, with_children(a, {"lan", "one", "two"}));
    w.configure(w.right, with_children(b, {"lan", "one", "two"}));
    w.left.t().want();
    ASSERT_TRUE(w.run([&] { return w.joined("lan") && w.joined("one") && w.joined("two"); }, 900s)) << w.history();
    w.run_for(200s);
    ASSERT_TRUE(w.clean(3));
  }
}
INSTANTIATE_TEST_SUITE_P(All, Changes,
                         ::testing::Values(act::remove, act::remove_and_add, act::fewer, act::reversed, act::stop,
                                           act::reconnect, act::restart),
                         [](const auto& one) { return "act" + std::to_string(static_cast<int>(one.param)); });

// A tunnel that is not named in a change sees no message and loses no packet.
TEST(Change, OfAnotherTunnelIsNotNoticed) {
  world w;
  auto a = w.settings(w.left, w.right), b = w.settings(w.right, w.left);
  auto profile = [&](const tunnel_settings& one) { return *make_profile(one, w.folder.string(), true, {}); };
  const auto pa = profile(a), pb = profile(b);
  w.right.ike->configure({pb});
  w.left.ike->configure({pa});
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(60s);
  traffic t(w);
  const auto before = w.sent;
  auto other = a;
  other.name = "u";
  other.ike->start = start_mode::answer;
  w.left.ike->configure({pa, profile(other)});
  w.run_for(1s);
  w.left.ike->configure({pa});
  w.run_for(1s);
  EXPECT_EQ(w.sent, before);
  EXPECT_EQ(t.lost, 0u);
}

}  // namespace

}  // namespace trunkgate::ike::test
