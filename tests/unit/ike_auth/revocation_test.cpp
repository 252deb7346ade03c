// CRLs and OCSP: revoked is refused, and nothing that is not believable clears anybody.
#include <gtest/gtest.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "tests/unit/ike_auth/test_pki.hpp"

namespace trunkgate::ike {
namespace {

using namespace test;

class revocation : public testing::Test {
 protected:
  // How it ends: the refusal, or what is known.
  [[nodiscard]] std::string judge(const std::vector<std::string>& crl_files = {}) {
    input.certificates = {peer.der()};
    input.claimed = parse_identity("b.example").value();
    const auto ca = folder.write("ca.pem", root.pem());
    const auto done = verify_chain(*trust_anchors::load({ca}, crl_files).value(), input);
    return done ? done->revocation : done.error().reason;
  }
  [[nodiscard]] std::string file(const crl_ptr& crl) { return folder.write("crl.pem", pem_of(crl)); }
  [[nodiscard]] std::string revoked() const {
    return "the peer's certificate O=Example, CN=peer was revoked on " + to_date(today() - days(2)) + " ";
  }
  static constexpr auto crl_source = "(CRL of O=Example, CN=root)";

  scratch folder;
  identity root = make_ca("root");
  identity peer = make_peer("b.example", root);
  chain_input input{.revocation = revocation_mode::strict, .now = today()};
};

TEST_F(revocation, by_a_crl_is_refused) {
  EXPECT_EQ(judge({file(make_crl(root, {.revoked = {&peer}}))}), revoked() + crl_source);
  EXPECT_EQ(judge({file(make_crl(root))}), std::string("not revoked ") + crl_source);
  input.revocation = revocation_mode::soft;
  EXPECT_EQ(judge({file(make_crl(root, {.revoked = {&peer}}))}), revoked() + crl_source);
  input.revocation = revocation_mode::off;
  EXPECT_EQ(judge({file(make_crl(root, {.revoked = {&peer}}))}), "not asked for");
}

TEST_F(revocation, by_a_crl_that_the_peer_sent_is_refused) {
  input.crls = {der_of(make_crl(root, {.revoked = {&peer}}))};
  EXPECT_EQ(judge(), revoked() + crl_source);
}

TEST_F(revocation, of_an_intermediate_is_refused) {
  const auto middle = make_ca("middle", &root);
  peer = make_peer("b.example", middle);
  input.certificates = {peer.der(), middle.der()};
  input.claimed = parse_identity("b.example").value();
  const auto anchors = [&](const crl_form& form) {
    return trust_anchors::load({folder.write("ca.pem", root.pem())}, {file(make_crl(root, form))}).value();
  };
  auto done = verify_chain(*anchors({.revoked = {&middle}}), input);
  ASSERT_FALSE(done);
  EXPECT_NE(done.error().reason.find("the CA certificate O=Example, CN=middle was revoked on"), std::string::npos);
  done = verify_chain(*anchors({}), input);
  ASSERT_FALSE(done) << "nothing is known of the peer's own";
  EXPECT_NE(done.error().reason.find("nothing is known of a revocation of the peer's certificate"), std::string::npos);
  input.crls = {der_of(make_crl(middle))};
  EXPECT_TRUE(verify_chain(*anchors({}), input));
}

TEST_F(revocation, what_is_not_known_of_a_path_is_listed) {
  const auto middle = make_ca("middle", &root);
  peer = make_peer("b.example", middle);
  input.certificates = {peer.der(), middle.der()};
  input.claimed = parse_identity("b.example").value();
  input.revocation = revocation_mode::soft;
  const auto anchors = trust_anchors::load({folder.write("ca.pem", root.pem())}, {}).value();
  auto done = verify_chain(*anchors, input);
  ASSERT_TRUE(done);
  ASSERT_EQ(done->not_known.size(), 2u);
  EXPECT_EQ(done->not_known[0].certificate, middle.der());
  EXPECT_EQ(done->not_known[0].issuer, root.der());
  EXPECT_EQ(done->not_known[1].certificate, peer.der());
  EXPECT_EQ(done->not_known[1].issuer, middle.der());
  input.ocsp_responses = {make_ocsp(middle, root, root), make_ocsp(peer, middle, middle)};
  input.revocation = revocation_mode::strict;
  done = verify_chain(*anchors, input);
  ASSERT_TRUE(done) << done.error().reason;
  EXPECT_TRUE(done->not_known.empty());
  input.revocation = revocation_mode::off;
  input.ocsp_responses.clear();
  EXPECT_TRUE(verify_chain(*anchors, input)->not_known.empty()) << "nobody asks";
}

TEST_F(revocation, that_is_not_known_is_told_or_refused) {
  EXPECT_EQ(judge(),
            "nothing is known of a revocation of the peer's certificate O=Example, CN=peer: there is no CRL of "
            "its issuer");
  const auto old = file(make_crl(root, {.issued = today() - days(9), .next = today() - days(3)}));
  EXPECT_NE(judge({old}).find("the CRL of O=Example, CN=root was valid until " + to_date(today() - days(3)) + " only"),
            std::string::npos);
  input.revocation = revocation_mode::soft;
  EXPECT_EQ(judge(), "nothing is known: there is no CRL of its issuer");
}

TEST_F(revocation, is_not_undone_by_a_crl_out_of_date) {
  input.revocation = revocation_mode::soft;
  EXPECT_EQ(judge({file(make_crl(root, {.revoked = {&peer}, .issued = today() - days(9), .next = today() - days(1)}))}),
            revoked() + crl_source);
}

// The peer itself sends what could clear it.
TEST_F(revocation, is_not_undone_by_what_the_peer_sends) {
  input.revocation = revocation_mode::soft;
  const auto ours = file(make_crl(root, {.revoked = {&peer}, .issued = today() - days(2)}));
  input.crls = {der_of(make_crl(root, {.issued = today() - days(5)}))};
  EXPECT_EQ(judge({ours}), revoked() + crl_source) << "an older CRL";
  auto forger = make_ca("root");
  input.crls = {der_of(make_crl(forger))};
  EXPECT_EQ(judge({ours}), revoked() + crl_source) << "a forged CRL";
  input.crls = {der_of(make_crl(root, {.issued = today() + days(2), .next = today() + days(9)}))};
  EXPECT_EQ(judge({ours}), revoked() + crl_source) << "a CRL from the future";
  input.crls = {to_bytes("garbage")};
  EXPECT_EQ(judge({ours}), revoked() + crl_source);
  input.crls.clear();
  input.ocsp_responses = {make_ocsp(peer, root, root)};
  EXPECT_EQ(judge({ours}), revoked() + crl_source) << "an OCSP response";
  input.revocation = revocation_mode::strict;
  input.ocsp_responses.clear();
  input.crls = {der_of(make_crl(forger))};
  EXPECT_NE(judge().find("a CRL in its issuer's name is not signed by it"), std::string::npos);
}

TEST_F(revocation, the_newest_crl_decides) {
  const auto older = folder.write("old.pem", pem_of(make_crl(root, {.revoked = {&peer}, .issued = today() - days(5)})));
  EXPECT_EQ(judge({older, file(make_crl(root))}), std::string("not revoked ") + crl_source);
}

TEST_F(revocation, a_crl_that_is_not_for_the_certificate_says_nothing) {
  const auto with = [this](const std::string& point) {
    return judge({file(make_crl(root, {.extensions = {{NID_issuing_distribution_point, point}}}))});
  };
  EXPECT_EQ(with("critical, onlyuser:TRUE"), std::string("not revoked ") + crl_source);
  EXPECT_NE(with("critical, onlyCA:TRUE").find("nothing is known"), std::string::npos);
  EXPECT_NE(with("critical, indirectCRL:TRUE").find("nothing is known"), std::string::npos);
  EXPECT_NE(with("critical, fullname:URI:http://crl.example/2").find("nothing is known"), std::string::npos);
  peer = issue(
      {.common_name = "peer", .alternative_names = "DNS:b.example", .distribution_points = "URI:http://crl.example/2"},
      &root);
  EXPECT_EQ(with("critical, fullname:URI:http://crl.example/2"), std::string("not revoked ") + crl_source);
  const auto delta = make_crl(root, {.delta = true});
  EXPECT_NE(judge({file(delta)}).find("a critical extension that is not known"), std::string::npos);
}

TEST_F(revocation, a_ca_that_may_not_sign_crls_is_not_believed) {
  root = issue({.common_name = "root", .constraints = "critical, CA:TRUE", .key_usage = "keyCertSign"}, nullptr);
  peer = make_peer("b.example", root);
  EXPECT_NE(judge({file(make_crl(root))}).find("is not signed by it"), std::string::npos);
}

TEST_F(revocation, is_told_by_ocsp) {
  input.ocsp_responses = {make_ocsp(peer, root, root)};
  EXPECT_EQ(judge(), "not revoked (OCSP)");
  input.ocsp_responses = {make_ocsp(peer, root, root, {.status = V_OCSP_CERTSTATUS_REVOKED})};
  EXPECT_EQ(judge(), revoked() + "(OCSP)");
  input.ocsp_responses = {make_ocsp(peer, root, root, {.status = V_OCSP_CERTSTATUS_UNKNOWN})};
  EXPECT_NE(judge().find("does not know the certificate"), std::string::npos);
  const auto other = make_peer("c.example", root);
  input.ocsp_responses = {make_ocsp(other, root, root)};
  EXPECT_NE(judge().find("no OCSP response is about it"), std::string::npos);
}

TEST_F(revocation, an_ocsp_responder_must_be_the_issuers) {
  const auto responder = issue({.common_name = "responder", .extended_key_usage = "OCSPSigning"}, &root);
  input.ocsp_responses = {make_ocsp(peer, root, responder)};
  EXPECT_EQ(judge(), "not revoked (OCSP)");
  input.ocsp_responses = {make_ocsp(peer, root, responder, {.include_signer = false})};
  EXPECT_NE(judge().find("signer is not known"), std::string::npos);
  const auto plain = issue({.common_name = "plain"}, &root);
  input.ocsp_responses = {make_ocsp(peer, root, plain)};
  EXPECT_NE(judge().find("has no certificate for signing OCSP"), std::string::npos);
  const auto server = issue({.common_name = "server", .extended_key_usage = "serverAuth"}, &root);
  input.ocsp_responses = {make_ocsp(peer, root, server)};
  EXPECT_NE(judge().find("has no certificate for signing OCSP"), std::string::npos);
  input.ocsp_responses = {make_ocsp(peer, root, peer)};
  EXPECT_NE(judge().find("has no certificate for signing OCSP"), std::string::npos) << "the peer clears itself";
  const auto elsewhere = make_ca("elsewhere");
  const auto foreign = issue({.common_name = "foreign", .extended_key_usage = "OCSPSigning"}, &elsewhere);
  input.ocsp_responses = {make_ocsp(peer, root, foreign)};
  EXPECT_NE(judge().find("was not certified by the certificate's issuer"), std::string::npos);
  const auto forger = make_ca("root");
  input.ocsp_responses = {make_ocsp(peer, root, forger)};
  EXPECT_NE(judge().find("nothing is known"), std::string::npos);
  const auto expired =
      issue({.common_name = "r", .extended_key_usage = "OCSPSigning", .not_after = today() - days(1)}, &root);
  input.ocsp_responses = {make_ocsp(peer, root, expired)};
  EXPECT_NE(judge().find("is out of date"), std::string::npos);
}

TEST_F(revocation, an_ocsp_response_must_be_fresh_and_whole) {
  const auto with = [this](const ocsp_form& form) {
    input.ocsp_responses = {make_ocsp(peer, root, root, form)};
    return judge();
  };
  EXPECT_NE(with({.issued = today() - days(5), .next = today() - days(4)}).find("out of date"), std::string::npos);
  EXPECT_NE(with({.issued = today() + days(5)}).find("from the future"), std::string::npos);
  EXPECT_NE(with({.issued = today() - days(5), .next = std::nullopt}).find("out of date"), std::string::npos);
  EXPECT_EQ(with({.next = std::nullopt}), "not revoked (OCSP)");
  auto damaged = make_ocsp(peer, root, root);
  damaged[damaged.size() - 400] ^= 1;
  input.ocsp_responses = {damaged};
  EXPECT_NE(judge().find("nothing is known"), std::string::npos);
  input.ocsp_responses = {to_bytes("garbage")};
  EXPECT_NE(judge().find("malformed"), std::string::npos);
}

TEST_F(revocation, without_a_clock_is_judged_but_for_dates) {
  input.now = time_point();
  EXPECT_EQ(judge({file(make_crl(root, {.issued = today() - days(9), .next = today() - days(3)}))}),
            std::string("not revoked ") + crl_source);
  EXPECT_EQ(judge({file(make_crl(root, {.revoked = {&peer}}))}), revoked() + crl_source);
  input.ocsp_responses = {make_ocsp(peer, root, root, {.issued = today() - days(5), .next = today() - days(4)})};
  EXPECT_EQ(judge(), "not revoked (OCSP)");
}

}  // namespace
}  // namespace trunkgate::ike
