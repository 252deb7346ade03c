// A network that loses, repeats and overtakes.
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

struct weather {
  unsigned percent;
  unsigned seeds;
};
class Loss : public ::testing::TestWithParam<weather> {};

// Whatever happens to the messages: it comes up, is rekeyed by both sides, and in the end each side has one IKE SA and
// one pair, the same at both.
TEST_P(Loss, EverythingComesUpAndNothingLeaks) {
  for (std::uint64_t seed = 1; seed <= GetParam().seeds; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    world w;
    w.chance.seed(seed);
    w.disturb(GetParam().percent, seed);
    w.begin([&](auto& a, auto& b) {
      if (seed % 2 == 0) b.ike->start = start_mode::always;
      if (seed % 3 == 0)
        a.ike->proposals = b.ike->proposals = {*parse_ike_proposal("aes256gcm16-prfsha384-x25519-ke1_mlkem768")};
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 600s)) << w.left.failure_of_t().text;
    w.run_for(std::chrono::milliseconds(seed * 37 % 3000));
    w.left.t().rekey_child(0);
    if (seed % 5 < 2) w.right.t().rekey_child(0);
    w.run_for(std::chrono::milliseconds(seed * 53 % 9000));
    w.left.t().rekey_ike();
    if (seed % 7 < 3) w.right.t().rekey_ike();
    w.run_for(std::chrono::milliseconds(seed * 71 % 9000));
    w.calm();
    w.run_for(400s);
    ASSERT_TRUE(w.run([&] { return w.up(); }, 300s));
    w.run_for(200s);
    ASSERT_TRUE(w.clean(1));
  }
}
INSTANTIATE_TEST_SUITE_P(All, Loss, ::testing::Values(weather{10, 150}, weather{30, 150}),
                         [](const auto& one) { return std::to_string(one.param.percent) + "percent"; });

}  // namespace

}  // namespace trunkgate::ike::test
