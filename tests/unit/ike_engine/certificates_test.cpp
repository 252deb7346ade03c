// Who the peer is, by certificate.
#include "tests/unit/ike_auth/test_pki.hpp"
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

// A CA, in ca.pem, and who has certificates of it.
class pki {
 public:
  explicit pki(world& w) : w_(w) {
    w.wall = today();
    w.write("ca.pem", ca_.pem());
  }
  void issue(const std::string& name, const std::string& key, time_point not_after = today() + days(300)) {
    auto made = test::issue({.common_name = name,
                             .alternative_names = "DNS:" + name,
                             .constraints = "CA:FALSE",
                             .key_usage = "digitalSignature",
                             .not_after = not_after,
                             .key = key},
                            &ca_);
    w_.write(name + ".pem", made.pem());
    w_.write(name + ".key", made.key_pem());
    std::filesystem::permissions(w_.folder / (name + ".key"), std::filesystem::perms::owner_read);
    issued_.push_back(std::move(made));
  }
  void revoke_first() const { w_.write("ca.crl", pem_of(make_crl(ca_, {.revoked = {&issued_.front()}}))); }

 private:
  world& w_;
  identity ca_ = make_ca("ca");
  std::vector<identity> issued_;
};

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
  pki ca(w);
  ca.issue("left.example", GetParam());
  ca.issue("right.example", GetParam());
  w.begin([](auto& a, auto& b) {
    by_certificate(a, b, "left.example");
    by_certificate(b, a, "right.example");
    a.ike->psk = b.ike->psk = std::nullopt;
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s)) << w.left.failure_of_t().text << w.right.failure_of_t().text;
  EXPECT_EQ(w.left.record().peer_subject, "O=Example, CN=right.example");
  EXPECT_EQ(w.right.record().certificate_path,
            (std::vector<std::string>{"O=Example, CN=left.example", "O=Example, CN=ca"}));
}
INSTANTIATE_TEST_SUITE_P(Certificates, Keys,
                         ::testing::Values("RSA-2048", "P-256", "P-384", "P-521", "ED25519", "ED448"));

TEST(Certificates, TheInitiatorByCertificateTheResponderByKey) {
  for (const bool left_has : {true, false}) {
    world w;
    pki ca(w);
    ca.issue("left.example", "ED25519");
    ca.issue("right.example", "ED25519");
    w.begin([&](auto& a, auto& b) {
      if (left_has)
        by_certificate(a, b, "left.example");
      else
        by_certificate(b, a, "right.example");
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s)) << w.left.failure_of_t().text << w.right.failure_of_t().text;
  }
}

// strongSwan calls itself by its subject unless it is told otherwise; what we look for stands beside it.
TEST(Certificates, AnotherNameThanTheOneThatIsSaidCounts) {
  world w;
  pki ca(w);
  ca.issue("left.example", "ED25519");
  ca.issue("right.example", "ED25519");
  w.begin([&](auto& a, auto& b) {
    by_certificate(a, b, "left.example");
    by_certificate(b, a, "right.example");
    a.ike->local_id = "O=Example, CN=left.example";
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s)) << w.left.failure_of_t().text << w.right.failure_of_t().text;
  EXPECT_EQ(w.right.record().peer_id, "O=Example, CN=left.example");
}

// RFC 7383: a message above 1232 octets goes in parts that pass every path.
TEST(Certificates, LargeOnesAreFragmented) {
  world w;
  pki ca(w);
  ca.issue("left.example", "RSA-4096");
  ca.issue("right.example", "RSA-4096");
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
  bool expired;
  bool revoke;
  const char* expected;  // in the right's words
  const char* governs;
};
class Refused : public ::testing::TestWithParam<refused> {};

//  IKE_AUTH   IDi, CERT, AUTH                -->   is not believed
//                                            <--   N(AUTHENTICATION_FAILED)
TEST_P(Refused, IsExplainedToBothSides) {
  const auto& how = GetParam();
  world w;
  pki ca(w);
  ca.issue("left.example", "ED25519", today() + (how.expired ? -days(3) : days(300)));
  ca.issue("right.example", "ED25519");
  if (how.revoke) ca.revoke_first();
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
  EXPECT_EQ(w.right.failure_of_t().path, how.governs);
  EXPECT_TRUE(w.right.failure_of_t().text.contains(how.expected)) << w.right.failure_of_t().text;
  const auto& record = *w.right.t().last_failure();
  EXPECT_EQ(record.peer_subject, "O=Example, CN=left.example");
  EXPECT_EQ(record.certificate_path, (std::vector<std::string>{"O=Example, CN=left.example", "O=Example, CN=ca"}));
  EXPECT_EQ(record.certificate_not_after < w.wall, how.expired);
  EXPECT_TRUE(w.left.sas.sas.empty() && w.right.sas.sas.empty());
}
INSTANTIATE_TEST_SUITE_P(Certificates, Refused,
                         ::testing::Values(refused{"expired", true, false, "expired", "remote.ca"},
                                           refused{"revoked", false, true, "revoked", "remote.revocation"}),
                         [](const auto& one) { return std::string(one.param.what); });

//  IKE_AUTH                                  -->
//                                            <--   IDr, CERT, AUTH: not believed by the left
//  INFORMATIONAL  N(AUTHENTICATION_FAILED), D  -->
TEST(Certificates, AResponderThatIsNotBelievedIsTold) {
  world w;
  pki ca(w);
  ca.issue("left.example", "ED25519");
  ca.issue("right.example", "ED25519", today() - days(3));
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
