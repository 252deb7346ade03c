// Who the peer is, by certificate.
#include "tests/unit/ike_engine/pki.hpp"
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

void by_certificate(tunnel_settings& own, tunnel_settings& other, const std::string& name) {
  own.ike->certificate_files = {name + ".pem"};
  own.ike->private_key = key_reference{.name = name + ".key", .path = "tunnels.t.local.key"};
  own.ike->local_id = name;
  other.ike->ca_files = {"ca.pem"};
  other.ike->remote_id = name;
}

//  IKE_SA_INIT                                     N(SIGNATURE_HASH_ALGORITHMS) both ways
//  IKE_AUTH   IDi, CERT, CERTREQ, AUTH(14)   -->
//                                            <--   IDr, CERT, AUTH(14)
class Keys : public ::testing::TestWithParam<const char*> {};
TEST_P(Keys, ProveBothSides) {
  world w;
  const pki ca(w.folder);
  ca.issue("left.example", GetParam());
  ca.issue("right.example", GetParam());
  w.begin([](auto& a, auto& b) {
    by_certificate(a, b, "left.example");
    by_certificate(b, a, "right.example");
    a.ike->psk = b.ike->psk = std::nullopt;
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s)) << w.left.failure_of_t().text << w.right.failure_of_t().text;
  EXPECT_EQ(w.left.record().peer_subject, "CN=right.example");
  EXPECT_EQ(w.right.record().certificate_path, (std::vector<std::string>{"CN=left.example", "CN=ca"}));
}
INSTANTIATE_TEST_SUITE_P(Certificates, Keys,
                         ::testing::Values("rsa:2048", "ec -pkeyopt ec_paramgen_curve:P-256",
                                           "ec -pkeyopt ec_paramgen_curve:P-384", "ec -pkeyopt ec_paramgen_curve:P-521",
                                           "ed25519", "ed448"));

TEST(Certificates, TheInitiatorByCertificateTheResponderByKey) {
  for (const bool left_has : {true, false}) {
    world w;
    const pki ca(w.folder);
    ca.issue("left.example", "ed25519");
    ca.issue("right.example", "ed25519");
    w.begin([&](auto& a, auto& b) {
      if (left_has)
        by_certificate(a, b, "left.example");
      else
        by_certificate(b, a, "right.example");
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s)) << w.left.failure_of_t().text << w.right.failure_of_t().text;
  }
}

// RFC 7383: a message above 1232 octets goes in parts that pass every path.
TEST(Certificates, LargeOnesAreFragmented) {
  world w;
  const pki ca(w.folder);
  ca.issue("left.example", "rsa:4096");
  ca.issue("right.example", "rsa:4096");
  w.begin([](auto& a, auto& b) {
    by_certificate(a, b, "left.example");
    by_certificate(b, a, "right.example");
  });
  w.disturb(20, 7);
  ASSERT_TRUE(w.run([&] { return w.up(); }, 120s)) << w.left.failure_of_t().text << w.right.failure_of_t().text;
  std::size_t parts = 0;
  for (const auto& one : w.log) {
    EXPECT_LE(one.data.size(), 548u);
    parts += one.data[16] == 53 ? 1 : 0;
  }
  EXPECT_GT(parts, 4u);
}

struct refused {
  const char* what;
  const char* more;     // of the left's certificate
  bool revoke;
  const char* expected;  // in the right's words
};
class Refused : public ::testing::TestWithParam<refused> {};

//  IKE_AUTH   IDi, CERT, AUTH                -->   is not believed
//                                            <--   N(AUTHENTICATION_FAILED)
TEST_P(Refused, IsExplainedToBothSides) {
  const auto& how = GetParam();
  world w;
  const pki ca(w.folder);
  ca.issue("left.example", "ed25519", how.more);
  ca.issue("right.example", "ed25519");
  if (how.revoke) ca.revoke("left.example");
  w.begin([&](auto& a, auto& b) {
    by_certificate(a, b, "left.example");
    by_certificate(b, a, "right.example");
    if (how.revoke) b.ike->crl_files = {"ca.crl"};
    a.ike->psk = b.ike->psk = std::nullopt;
  });
  ASSERT_TRUE(w.run([&] { return w.left.t().last_failure() && w.right.t().last_failure(); }, 5s));
  EXPECT_EQ(w.left.failure_of_t().what, trouble::peer_refused_us);
  EXPECT_EQ(w.left.failure_of_t().notify, notify::authentication_failed);
  EXPECT_EQ(w.right.failure_of_t().what, trouble::peer_not_authentic);
  EXPECT_EQ(w.right.failure_of_t().path, "remote.ca");
  EXPECT_TRUE(w.right.failure_of_t().text.contains(how.expected)) << w.right.failure_of_t().text;
  EXPECT_TRUE(w.left.sas.sas.empty() && w.right.sas.sas.empty());
}
INSTANTIATE_TEST_SUITE_P(
    Certificates, Refused,
    ::testing::Values(refused{"expired", "-not_before 20200101000000Z -not_after 20210101000000Z", false, "expired"},
                      refused{"revoked", "", true, "revoked"}),
    [](const auto& one) { return std::string(one.param.what); });

//  IKE_AUTH                                  -->
//                                            <--   IDr, CERT, AUTH: not believed by the left
//  INFORMATIONAL  N(AUTHENTICATION_FAILED), D  -->
TEST(Certificates, AResponderThatIsNotBelievedIsTold) {
  world w;
  const pki ca(w.folder);
  ca.issue("left.example", "ed25519");
  ca.issue("right.example", "ed25519", "-not_before 20200101000000Z -not_after 20210101000000Z");
  w.begin([&](auto& a, auto& b) {
    by_certificate(a, b, "left.example");
    by_certificate(b, a, "right.example");
  });
  ASSERT_TRUE(w.run([&] { return w.left.t().last_failure() && w.right.t().last_failure(); }, 5s));
  EXPECT_EQ(w.left.failure_of_t().what, trouble::peer_not_authentic);
  EXPECT_EQ(w.right.failure_of_t().what, trouble::peer_refused_us);
  w.left.t().stop();
  w.run_for(100s);
  EXPECT_TRUE(w.clean(0, 0));
}

}  // namespace

}  // namespace trunkgate::ike::test
