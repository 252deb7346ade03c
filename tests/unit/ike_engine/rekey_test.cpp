// Make before break: no packet is lost, whoever replaces what, and when.
#include "controlplane/ike/exchange/exchanges.hpp"
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

std::uint32_t spi(const end& one) {
  const auto* out = one.sas.leaving("lan");
  return out ? out->outbound_spi : 0;
}

//  CREATE_CHILD_SA  N(REKEY_SA), SA, Ni, KEi, TSi, TSr   -->    the right installs its inbound SA
//                                                        <--    SA, Nr, KEr, TSi, TSr
//  the left installs both
//  INFORMATIONAL  D(old)                                 -->    the right sends by the new one
//                                                        <--    D(old)
TEST(Rekey, OfAChildFromEitherEnd) {
  for (const bool from_left : {true, false}) {
    world w;
    w.begin();
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    traffic t(w);
    w.run_for(1s);
    const auto before = spi(w.left);
    (from_left ? w.left : w.right).t().rekey_child(0);
    w.run_for(10s);
    EXPECT_NE(spi(w.left), before);
    EXPECT_EQ(t.lost, 0u);
    EXPECT_GT(t.sent, 4000u);
    EXPECT_TRUE(w.clean(1));
    EXPECT_EQ((from_left ? w.left : w.right).t().counts().child_rekeys, 1u);
  }
}

//  CREATE_CHILD_SA  SA, Ni, KEi              -->
//                                            <--   SA, Nr, KEr
//  INFORMATIONAL over the old one  D         -->
TEST(Rekey, OfTheIkeSaFromEitherEnd) {
  for (const bool from_left : {true, false}) {
    world w;
    w.begin();
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    traffic t(w);
    const auto before = w.left.sa();
    (from_left ? w.left : w.right).t().rekey_ike();
    w.run_for(10s);
    EXPECT_NE(w.left.sa(), before);
    EXPECT_EQ(w.left.sa()->initiator, from_left);
    EXPECT_EQ(w.left.sa()->messages->initiator_spi(), w.right.sa()->messages->initiator_spi());
    EXPECT_EQ(t.lost, 0u);
    w.run_for(90s);
    EXPECT_TRUE(w.clean(1));
    // And the new one works: from both sides.
    w.left.t().rekey_child(0);
    w.run_for(3s);
    w.right.t().rekey_child(0);
    w.run_for(10s);
    EXPECT_EQ(t.lost, 0u);
    EXPECT_TRUE(w.clean(1));
  }
}

#ifdef __SANITIZE_ADDRESS__
constexpr std::uint64_t interleavings = 60;  // ten times as slow
#else
constexpr std::uint64_t interleavings = 250;
#endif

enum class what : std::uint8_t { child, ike };
struct collision {
  what left, right;
};
class Collisions : public ::testing::TestWithParam<collision> {};

void renew(end& one, what which) { which == what::child ? one.t().rekey_child(0) : one.t().rekey_ike(); }

// RFC 7296 2.8.1, 2.8.2, 2.25.1, 2.25.2: the right begins so much later than the left, each message takes its own time
// (also so long that later ones overtake it), and some first copies are lost: every interleaving that there is.
TEST_P(Collisions, LoseNothingInAnyInterleaving) {
  unsigned changed = 0;
  for (std::uint64_t seed = 1; seed <= interleavings; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    world w;
    w.chance.seed(seed);
    w.begin();
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    const auto before = spi(w.left);
    const auto old = w.left.sa();
    traffic t(w);
    std::mt19937_64 chance(seed);
    if (seed % 3 != 0)
      w.on_way = [&](packet& one) {
        if (seed % 3 == 2 && chance() % 8 == 0) return false;
        const auto late = 1ms * (chance() % 60);
        w.clock.at(w.time + 5ms + late, [&w, one] {
          (one.path.local.address == w.left.address ? w.left : w.right).ike->receive(one.path, one.data);
        });
        return false;
      };
    renew(w.left, GetParam().left);
    w.run_for(1ms * (chance() % 90));
    renew(w.right, GetParam().right);
    w.run_for(12s);
    ASSERT_EQ(t.lost, 0u) << t.first_loss;
    changed += spi(w.left) != before || w.left.sa() != old ? 1 : 0;
    w.run_for(190s);
    ASSERT_EQ(t.lost, 0u) << t.first_loss;
    ASSERT_TRUE(w.clean(1));
    ASSERT_EQ(w.left.t().counts().established, 1u) << "no new IKE_AUTH";
  }
  EXPECT_GE(changed, interleavings * 49 / 50);
}
INSTANTIATE_TEST_SUITE_P(All, Collisions,
                         ::testing::Values(collision{what::child, what::child}, collision{what::ike, what::ike},
                                           collision{what::child, what::ike}, collision{what::ike, what::child}),
                         [](const auto& one) {
                           const auto word = [](what w) { return std::string(w == what::child ? "Child" : "Ike"); };
                           return word(one.param.left) + word(one.param.right);
                         });

// An operator who does not wait: rekeys from either end on top of each other. What loses is not rekeyed once more, and
// nothing is left twice.
TEST(Rekey, AskedForAgainAndAgain) {
  for (std::uint64_t seed = 1; seed <= interleavings; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    world w;
    w.chance.seed(seed);
    w.begin();
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    traffic t(w);
    std::mt19937_64 chance(seed);
    w.on_way = [&](packet& one) {
      w.clock.at(w.time + 5ms + 1ms * (chance() % 60), [&w, one] {
        (one.path.local.address == w.left.address ? w.left : w.right).ike->receive(one.path, one.data);
      });
      return false;
    };
    for (unsigned i = 0; i < 6; ++i) {
      (chance() % 2 == 0 ? w.left : w.right).t().rekey_child(0);
      w.run_for(1ms * (chance() % 150));
    }
    w.run_for(120s);
    ASSERT_EQ(t.lost, 0u) << t.first_loss;
    ASSERT_TRUE(w.clean(1)) << w.history();
  }
}

//  as above, and before the delete, for each additional key exchange
//  IKE_FOLLOWUP_KE  KE(n), N(link)           -->
//                                            <--   KE(n) [, N(link)]
TEST(Rekey, WithAdditionalKeyExchanges) {
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    world w;
    w.chance.seed(seed);
    w.begin([](auto& a, auto& b) {
      for (auto* one : {&a, &b}) {
        one->ike->proposals = {*parse_ike_proposal("aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_ecp256")};
        one->children[0].esp = {*parse_esp_proposal("aes256gcm16-x25519-ke1_mlkem768-ke2_ecp256-esn")};
      }
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    traffic t(w);
    std::mt19937_64 chance(seed);
    const auto before = spi(w.left);
    renew(w.left, what::child);
    w.run_for(1ms * (chance() % 200));
    if (seed % 2 == 1) renew(w.right, seed % 4 == 1 ? what::child : what::ike);
    w.run_for(15s);
    ASSERT_NE(spi(w.left), before);
    renew(w.right, what::ike);
    w.run_for(1ms * (chance() % 200));
    if (seed % 2 == 1) renew(w.left, what::ike);
    w.run_for(190s);
    ASSERT_EQ(t.lost, 0u) << t.first_loss;
    ASSERT_TRUE(w.clean(1));
    ASSERT_EQ(w.left.sas.released.size() + w.right.sas.released.size(),
              w.left.sas.released.size() + w.right.sas.released.size());
  }
}

// While one side deletes the child the other one rekeys it: TEMPORARY_FAILURE or CHILD_SA_NOT_FOUND, and then it is
// made anew.
TEST(Rekey, WhileThePeerDeletesTheChild) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    world w;
    w.begin();
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    std::mt19937_64 chance(seed);
    w.left.t().rekey_child(0);
    w.run_for(1ms * (chance() % 60));
    if (const auto& all = w.right.sa()->children; !all.empty())
      w.right.ike->sink_events().expire(all.front()->inbound_spi, true);
    w.run_for(60s);
    ASSERT_TRUE(w.up());
    w.run_for(60s);
    ASSERT_TRUE(w.clean(1));
  }
}

//  CREATE_CHILD_SA  N(REKEY_SA)              -->   the right has lost that child
//                                            <--   N(CHILD_SA_NOT_FOUND)
TEST(Rekey, OfAChildThatThePeerLost) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  const auto pair = w.right.sa()->children.front();
  w.right.sa()->children.clear();
  w.right.sas.sas.clear();
  w.left.t().rekey_child(0);
  ASSERT_TRUE(w.run([&] { return w.up(); }, 30s));
  w.run_for(60s);
  EXPECT_TRUE(w.clean(1));
}

//  CREATE_CHILD_SA  N(REKEY_SA)              -->
//                                       lost <--   SA, Nr, KEr, TSi, TSr
//                                            <--   N(REKEY_SA) of the one that was just made
//  N(TEMPORARY_FAILURE)                      -->   not CHILD_SA_NOT_FOUND: the right would throw it away
TEST(Rekey, OfAChildBeforeItsMakerKnowsIt) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  traffic t(w);
  w.on_way = [&](packet& one) { return one.from != &w.right; };
  w.left.t().rekey_child(0);
  ASSERT_TRUE(w.run([&] { return w.right.sa()->children.size() == 2; }, 1s));
  w.on_way = {};
  outcome end;
  spawn(w.right, [](ike_sa_pointer sa, outcome& to) -> asio::awaitable<void> {
    to = co_await create_child(sa, 0, sa->children.back());
  }(w.right.sa(), end));
  w.run_for(100ms);
  ASSERT_TRUE(end);
  EXPECT_EQ(end->notify, notify::temporary_failure);
  w.run_for(60s);
  EXPECT_EQ(t.lost, 0u) << t.first_loss;
  EXPECT_TRUE(w.clean(1));
}

// The operator asks for fresh keys while the peer is replacing the child: the new one is rekeyed a moment later.
TEST(Rekey, AskedForWhileThePeerRekeys) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  traffic t(w);
  w.left.t().rekey_child(0);
  ASSERT_TRUE(w.run([&] { return w.right.sa()->children.size() == 2; }, 1s));
  w.right.t().rekey_child(0);
  w.run_for(10s);
  EXPECT_EQ(w.left.t().counts().child_rekeys, 1u);
  EXPECT_EQ(w.right.t().counts().child_rekeys, 1u);
  EXPECT_EQ(t.lost, 0u) << t.first_loss;
  EXPECT_TRUE(w.clean(1));
}

// Soft and hard limits of time: rekeyed before, for days, without a packet lost.
TEST(Rekey, ByLifetimesForADay) {
  world w;
  w.begin([](auto& a, auto& b) {
    for (auto* one : {&a, &b}) one->ike->lifetime_seconds = 5000;
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  const auto period = std::make_unique<unsigned>(0);
  unsigned checks = 0, broken = 0;
  std::function<void()> look = [&] {
    ++checks;
    broken += w.up() ? 0 : 1;
    if (checks < 4000) w.clock.at(w.time + 21s, look);
  };
  look();
  w.run_for(24h);
  EXPECT_EQ(broken, 0u);
  EXPECT_GT(w.left.t().counts().child_rekeys + w.right.t().counts().child_rekeys, 22u);
  EXPECT_GT(w.left.t().counts().ike_rekeys, 16u);
  EXPECT_EQ(w.left.t().counts().established, 1u);
  EXPECT_LE(w.left.record().steps.size(), 24u);
  w.run_for(100s);
}

// What the sink says: a soft limit of bytes rekeys, a hard one ends the pair and makes a new one.
TEST(Rekey, ByTheSinksLimits) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  traffic t(w);
  const auto first = w.left.sa()->children.front()->inbound_spi;
  w.left.ike->sink_events().expire(first, false);
  w.run_for(10s);
  EXPECT_EQ(t.lost, 0u);
  const auto second = w.left.sa()->children.front()->inbound_spi;
  EXPECT_NE(first, second);
  w.left.ike->sink_events().expire(second, true);
  ASSERT_TRUE(w.run([&] { return w.up() && w.left.sa()->children.front()->inbound_spi != second; }, 10s));
  w.run_for(10s);
  EXPECT_TRUE(w.clean(1));
}

// A peer that answers a rekey with TEMPORARY_FAILURE is asked again; meanwhile the old child carries the packets.
TEST(Rekey, ATemporaryFailureIsTriedAgain) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  traffic t(w);
  w.right.sa()->rekeying = true;
  w.left.t().rekey_child(0);
  w.run_for(5s);
  EXPECT_EQ(w.left.t().counts().child_rekeys, 0u);
  EXPECT_TRUE(w.left.t().warnings().empty());
  w.right.sa()->rekeying = false;
  w.run_for(30s);
  EXPECT_EQ(w.left.t().counts().child_rekeys, 1u);
  EXPECT_EQ(t.lost, 0u);
}

}  // namespace

}  // namespace trunkgate::ike::test
