// Answers to IKE_SA_INIT that somebody else sent: they prove nothing (RFC 7296 2.21.1).
#include "controlplane/ike/exchange/steps.hpp"
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

// Before the peer can answer, somebody who has seen the request does.
//
//  left                                            right
//  IKE_SA_INIT  SA, KE, N                    -->
//               somebody:                    <--   N(`said`)
//                                            <--   SA, KE, N
void speak_before_the_peer(world& w, const notify_payload& said, bool only_once = true) {
  w.on_way = [&w, said, only_once, spoken = false](packet& seen) mutable {
    const auto head = parse_header(seen.data);
    if (!head || head->exchange != exchange_type::ike_sa_init || head->response || seen.from != &w.left) return true;
    if (std::exchange(spoken, true) && only_once) return true;
    const header lie{.initiator_spi = head->initiator_spi, .exchange = exchange_type::ike_sa_init, .response = true};
    const ike_path back{.local = seen.path.remote, .remote = seen.path.local};
    w.clock.at(w.time + 1ms, [&w, back, lie, said] { w.left.ike->receive(back, encode_message(lie, {said})); });
    return true;
  };
}

class SpoofedAnswer : public testing::TestWithParam<std::pair<const char*, notify_payload>> {};

TEST_P(SpoofedAnswer, DoesNotEndAnAttempt) {
  world w;
  speak_before_the_peer(w, GetParam().second);
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 1s));  // in the attempt that was spoken into
}

INSTANTIATE_TEST_SUITE_P(Kinds, SpoofedAnswer,
                         testing::Values(std::pair{"NoProposalChosen", note(notify::no_proposal_chosen)},
                                         std::pair{"InvalidSyntax", note(notify::invalid_syntax)},
                                         std::pair{"Cookie", note(notify::cookie, bytes(16, 7))},
                                         std::pair{"AnotherGroup", note(notify::invalid_ke_payload, {0, 2})},
                                         std::pair{"OurOwnGroup", note(notify::invalid_ke_payload, {0, 31})}),
                         [](const auto& test) { return test.param.first; });

// Nobody says anything better: after a while it counts, and is told.
TEST(RefusedInit, IsBelievedWhenNothingBetterCame) {
  world w;
  w.begin([](tunnel_settings& left, tunnel_settings&) {
    for (auto& one : left.ike->proposals)
      for (auto& part : one.transforms)
        if (part.type == transform_type::encryption) part.key_bits = 128;
  });
  const auto told = [&] {
    const auto* failure = w.left.ike->find("t")->last_failure();
    return failure && failure->failure.what == trouble::no_common_proposal;
  };
  EXPECT_FALSE(w.run(told, 4s));
  EXPECT_TRUE(w.run(told, 3s));
}

}  // namespace

}  // namespace trunkgate::ike::test
