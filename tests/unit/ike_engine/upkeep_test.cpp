// What keeps a tunnel up, and what it does when it is not.
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

void both_always(tunnel_settings& a, tunnel_settings& b) { a.ike->start = b.ike->start = start_mode::always; }

// Both begin at once: two IKE SAs come up, and both ends give up the same one.
TEST(Upkeep, SimultaneousInitiation) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    world w;
    w.chance.seed(seed);
    w.begin([](auto& a, auto& b) {
      both_always(a, b);
      for (auto* one : {&a, &b}) {
        one->children.push_back(one->children[0]);
        one->children[1].name = "voice";
        one->children[1].dscp = 2;
      }
    });
    ASSERT_TRUE(w.run([&] { return w.joined("lan") && w.joined("voice"); }, 10s));
    traffic lan(w), voice(w, "voice");
    w.run_for(120s);
    ASSERT_EQ(lan.lost, 0u);
    ASSERT_EQ(voice.lost, 0u);
    ASSERT_TRUE(w.clean(2));
    ASSERT_EQ(w.left.t().counts().failures + w.right.t().counts().failures, 0u);
  }
}

//  the right is another process now and knows nothing
//  IKE_SA_INIT, IKE_AUTH  N(INITIAL_CONTACT)   <--
TEST(Upkeep, APeerThatStartedAnewSaysInitialContact) {
  world w;
  w.begin(both_always);
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(30s);
  const auto old = w.left.sa();
  w.right.ike = std::make_unique<engine>(w.right);
  w.right.sas.sas.clear();
  auto b = w.settings(w.right, w.left);
  b.ike->start = start_mode::always;
  w.configure(w.right, {b});
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_NE(w.left.sa(), old);
  EXPECT_EQ(w.left.t().sas().size(), 1u);
  EXPECT_EQ(old->state, ike_state::closed);
  w.run_for(100s);
  EXPECT_TRUE(w.clean(1));
}

// The new IKE SA with all its children first, without INITIAL_CONTACT, then the old one is deleted.
TEST(Upkeep, ReauthenticationLosesNothing) {
  for (const auto delay : {10ms, 40ms, 400ms}) {
    world w;
    w.begin([](auto& a, auto& b) {
      a.ike->reauthenticate_seconds = 300;
      a.ike->lifetime_seconds = 100;
      for (auto* one : {&a, &b}) {
        one->children.push_back(one->children[0]);
        one->children[1].name = "voice";
        one->children[1].dscp = 2;
      }
    });
    ASSERT_TRUE(w.run([&] { return w.joined("lan") && w.joined("voice"); }, 10s));
    w.delay = delay;
    traffic lan(w), voice(w, "voice");
    w.run_for(1000s);
    EXPECT_GE(w.left.t().counts().reauthentications, 3u);
    EXPECT_LE(w.left.t().counts().reauthentications, 4u);
    EXPECT_EQ(w.left.t().counts().established, 1 + w.left.t().counts().reauthentications);
    EXPECT_EQ(lan.lost, 0u);
    EXPECT_EQ(voice.lost, 0u);
    EXPECT_EQ(w.left.t().sas().size(), 1u);
    EXPECT_EQ(w.right.t().sas().size(), 1u);
  }
}

// Whoever answered may be the one who reauthenticates: the new IKE SA stays, however young the old one is.
TEST(Upkeep, ReauthenticationByWhoAnswered) {
  world w;
  w.begin([](auto&, auto& right) { right.ike->reauthenticate_seconds = 5; });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  ASSERT_TRUE(w.left.sa()->initiator);
  traffic t(w);
  w.run_for(30s);
  EXPECT_GE(w.right.t().counts().reauthentications, 3u);
  EXPECT_TRUE(w.right.sa()->initiator);
  EXPECT_EQ(t.lost, 0u);
  w.run_for(3s);
  EXPECT_LE(w.right.t().sas().size(), 2u);
}

// A peer that says the same child twice without a rekey lost the first one.
TEST(Upkeep, ADoubleChildIsRemoved) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(30s);
  const auto forgotten = w.left.sa()->children;
  w.left.sa()->children.clear();
  w.left.sas.sas.clear();
  w.left.t().want();
  w.run_for(60s);
  EXPECT_TRUE(w.up());
  EXPECT_TRUE(w.clean(1));
}

// One attempt at a time, at ever longer intervals of up to a minute, none in step with another tunnel.
TEST(Upkeep, ReconnectingIsNoStorm) {
  world w;
  std::vector<timer_clock::time_point> first;
  w.begin();
  auto a = w.settings(w.left, w.right);
  a.ike->proposals = {*parse_ike_proposal("aes128-sha256-ecp256")};
  w.configure(w.left, {a});
  w.run_for(3600s);
  const auto attempts = w.left.t().counts().attempts;
  EXPECT_GT(attempts, 45u);
  EXPECT_LT(attempts, 95u);
  EXPECT_LE(w.left.ike->ike_sas(), 1u);  // an attempt may be under way
  // Nor do packets that want it make one.
  for (int i = 0; i < 100; ++i) {
    w.left.ike->sink_events().acquire("t", "lan");
    w.run_for(1s);
  }
  EXPECT_LE(w.left.t().counts().attempts, attempts + 4);
}

// What comes up and is closed by the peer at once is no reason to hurry either.
TEST(Upkeep, ComingUpAndGoingDownIsNoStorm) {
  world w;
  w.begin();
  std::function<void()> close = [&] {
    if (w.right.sa()) w.right.t().stop();
    w.clock.at(w.time + 100ms, close);
  };
  close();
  w.run_for(600s);
  EXPECT_LT(w.left.t().counts().attempts, 25u);
  EXPECT_GT(w.left.t().counts().attempts, 8u);
  close = [] {};
  w.run_for(1s);
}

TEST(Upkeep, OnDemand) {
  world w;
  w.begin([](auto& a, auto&) { a.ike->start = start_mode::on_demand; });
  w.run_for(10s);
  EXPECT_EQ(w.sent, 0u);
  w.left.ike->sink_events().acquire("t", "lan");
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(120s);
  // The peer closes it: that is no packet that wants it.
  w.right.t().stop();
  w.run_for(200s);
  EXPECT_EQ(w.left.sa(), nullptr);
  w.left.ike->sink_events().acquire("t", "lan");
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  // A peer that only answers does nothing on a packet.
  w.left.t().stop();
  w.run_for(200s);
  w.right.ike->sink_events().acquire("t", "lan");
  w.run_for(10s);
  EXPECT_EQ(w.right.sa(), nullptr);
}

TEST(Upkeep, TheOperatorTakesItDownAndUp) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.left.t().stop();
  w.run_for(300s);
  EXPECT_TRUE(w.clean(0, 0));
  EXPECT_FALSE(w.left.t().wanted());
  w.left.t().want();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  // Down while it is coming up, and up again at once.
  w.left.t().stop();
  w.run_for(100s);
  w.left.t().want();
  w.run_for(15ms);
  w.left.t().stop();
  w.left.t().want();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(120s);
  EXPECT_TRUE(w.clean(1));
}

TEST(Upkeep, TrafficIsASignOfLife) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(60s);  // the probe is over
  w.left.sas.idle_ms = w.right.sas.idle_ms = 100;
  const auto before = w.sent;
  w.run_for(300s);
  EXPECT_EQ(w.sent, before);
  // Without traffic: asked once in 30 s by each at most, and one question answers both.
  w.left.sas.idle_ms = w.right.sas.idle_ms = 1'000'000;
  w.run_for(300s);
  EXPECT_GE(w.sent, before + 16);
  EXPECT_LE(w.sent, before + 2 * 2 * 11);
}

//  INFORMATIONAL                             -->   eight times, no answer: the tunnel is down, and tries to come up
TEST(Upkeep, ADeadPeerIsFoundAndComesBack) {
  world w;
  w.left.sas.idle_ms = w.right.sas.idle_ms = 1'000'000;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.on_way = [](packet&) { return false; };
  ASSERT_TRUE(w.run([&] { return !w.left.sa(); }, 120s));
  EXPECT_EQ(w.left.failure_of_t().what, trouble::peer_silent);
  w.run_for(200s);
  EXPECT_EQ(w.right.sa(), nullptr);
  EXPECT_TRUE(w.left.sas.sas.empty());
  w.on_way = nullptr;
  ASSERT_TRUE(w.run([&] { return w.up(); }, 100s));
  w.run_for(100s);
  EXPECT_TRUE(w.clean(1));
}

// RFC 7296 2.4: any request without an answer is the end, not only a question for life.
TEST(Upkeep, ARekeyWithoutAnAnswerIsTheEnd) {
  world w;
  w.begin([](auto& a, auto& b) { a.ike->liveness_seconds = b.ike->liveness_seconds = 0; });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(60s);
  w.on_way = [](packet&) { return false; };
  w.left.t().rekey_child(0);
  ASSERT_TRUE(w.run([&] { return !w.left.sa(); }, 120s));
  EXPECT_EQ(w.left.failure_of_t().what, trouble::peer_silent);
  EXPECT_TRUE(w.left.failure_of_t().text.contains("8 requests"));
}

TEST(Upkeep, TheSinkRefuses) {
  for (const bool at_left : {true, false}) {
    for (const bool childless : {true, false}) {
      world w;
      (at_left ? w.left : w.right).sas.refuse = true;
      w.begin([&](auto& a, auto&) { a.ike->childless = childless; });
      w.run_for(5s);
      ASSERT_TRUE(w.left.sa() && w.right.sa());
      ASSERT_EQ(w.left.t().warnings().size(), 1u);
      EXPECT_EQ(w.left.t().warnings()[0].what, at_left ? trouble::data_plane : trouble::peer_refused_child);
      (at_left ? w.left : w.right).sas.refuse = false;
      ASSERT_TRUE(w.run([&] { return w.up(); }, 60s));
      w.run_for(120s);
      EXPECT_TRUE(w.left.t().warnings().empty());
      EXPECT_TRUE(w.clean(1));
    }
  }
}

TEST(Upkeep, TheDataPlaneStartsAnew) {
  for (const bool at_left : {true, false}) {
    world w;
    w.begin();
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    auto& there = at_left ? w.left : w.right;
    const auto ike = w.left.sa();
    there.sas.sas.clear();
    there.ike->sink_events().restarted();
    ASSERT_TRUE(w.run([&] { return w.up(); }, 10s));
    EXPECT_EQ(w.left.sa(), ike);
    w.run_for(60s);
    EXPECT_TRUE(w.clean(1));
  }
}

// IKE_AUTH carries no key exchange of the child's: that the two sides want different ones would show hours later.
//  CREATE_CHILD_SA  N(REKEY_SA), SA(x25519), KEi    -->
//                                                   <--   N(NO_PROPOSAL_CHOSEN)
TEST(Upkeep, ADifferentPfsGroupIsFoundWithinAMinute) {
  struct {
    const char *left, *right;
  } const cases[]{{"aes256gcm16-x25519-esn", "aes256gcm16-ecp384-esn"},
                  {"aes256gcm16-x25519-esn", "aes256gcm16-esn"},
                  {"aes256gcm16-esn", "aes256gcm16-x25519-esn"}};
  for (const auto& one : cases) {
    world w;
    w.begin([&](auto& a, auto& b) {
      a.children[0].esp = {*parse_esp_proposal(one.left)};
      b.children[0].esp = {*parse_esp_proposal(one.right)};
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    traffic t(w);
    w.run_for(60s);
    for (const auto* side : {&w.left, &w.right}) {
      ASSERT_EQ(side->t().warnings().size(), 1u);
      EXPECT_EQ(side->t().warnings()[0].what, trouble::key_exchange_refused);
      EXPECT_EQ(side->t().warnings()[0].path, "children.lan.esp");
      EXPECT_EQ(side->t().warnings()[0].notify, notify::no_proposal_chosen);
    }
    EXPECT_EQ(t.lost, 0u);
    EXPECT_TRUE(w.clean(1));
  }
}

}  // namespace

}  // namespace trunkgate::ike::test
