#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

//  left                                            right
//  IKE_SA_INIT  SA, KE, N                    -->
//                                            <--   SA, KE, N
//  IKE_AUTH     IDi, AUTH, SA, TSi, TSr      -->
//                                            <--   IDr, AUTH, SA, TSi, TSr
TEST(Establish, TwoRoundTripsWithAPreSharedKey) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_EQ(w.sent, 4u);
  const auto* tunnel = w.left.ike->find("t");
  ASSERT_NE(tunnel->current(), nullptr);
  EXPECT_EQ(tunnel->current()->record.peer_id, "right.example");
  const auto* out = w.left.sas.leaving("lan");
  EXPECT_EQ(out->suite, esp_suite::aes256gcm16);
  EXPECT_TRUE(out->esn);
  EXPECT_FALSE(out->path.udp_encapsulation);
}

}  // namespace

}  // namespace trunkgate::ike::test
