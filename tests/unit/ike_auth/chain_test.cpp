// Certificate paths and identities: what is taken, and every reason for which one is not.
#include <gtest/gtest.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/certificate.hpp"
#include "tests/unit/ike_auth/test_pki.hpp"

namespace trunkgate::ike {
namespace {

using namespace test;

class chain : public testing::Test {
 protected:
  [[nodiscard]] chain_verdict verify(const identity& peer, const std::string& claimed = "b.example",
                                     const std::vector<const identity*>& more = {}) {
    input.certificates = {peer.der()};
    for (const auto* one : more) input.certificates.push_back(one->der());
    input.claimed = parse_identity(claimed).value();
    const auto file = folder.write("ca.pem", root.pem());
    return verify_chain(*trust_anchors::load({file}, {}).value(), input);
  }
  [[nodiscard]] std::string refusal(const identity& peer, const std::string& claimed = "b.example",
                                    const std::vector<const identity*>& more = {}) {
    const auto done = verify(peer, claimed, more);
    return done ? "(taken)" : done.error().reason;
  }

  scratch folder;
  identity root = make_ca("root");
  chain_input input{.now = today()};
};

TEST_F(chain, of_the_anchor_itself_is_taken) {
  const auto peer = make_peer("b.example", root);
  const auto done = verify(peer);
  ASSERT_TRUE(done) << done.error().reason;
  EXPECT_EQ(done->subject, "O=Example, CN=peer");
  EXPECT_EQ(done->path, (std::vector<std::string>{"O=Example, CN=peer", "O=Example, CN=root"}));
  EXPECT_EQ(done->certificate, peer.der());
  EXPECT_EQ(done->revocation, "nothing is known: there is no CRL of its issuer");
  EXPECT_FALSE(done->dates_not_judged);
}

TEST_F(chain, over_intermediates_is_taken_in_any_order) {
  const auto first = make_ca("first", &root), second = make_ca("second", &first);
  const auto peer = make_peer("b.example", second);
  const auto done = verify(peer, "b.example", {&first, &second});
  ASSERT_TRUE(done) << done.error().reason;
  EXPECT_EQ(done->path.size(), 4u);
  EXPECT_EQ(refusal(peer, "b.example", {&first}),
            "no CA of ours issued the peer's certificate O=Example, CN=peer: its issuer is O=Example, CN=second");
}

// Whom nobody believes is described as far as its certificates go, and what it is about is named.
TEST_F(chain, of_a_refused_peer_is_told) {
  auto refused = verify(make_peer("b.example", make_ca("stranger")));
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().governs, "remote.ca");
  EXPECT_EQ(refused.error().subject, "O=Example, CN=peer");
  EXPECT_EQ(refused.error().path, (std::vector<std::string>{"O=Example, CN=peer"}));
  const auto middle = make_ca("middle", &root);
  const auto peer = make_peer("b.example", middle);
  refused = verify(peer, "c.example", {&middle});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().governs, "remote.id");
  EXPECT_EQ(refused.error().path,
            (std::vector<std::string>{"O=Example, CN=peer", "O=Example, CN=middle", "O=Example, CN=root"}));
  input.revocation = revocation_mode::strict;
  refused = verify(peer, "b.example", {&middle});
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().governs, "remote.revocation");
  EXPECT_EQ(refused.error().not_after, std::chrono::floor<std::chrono::seconds>(today()) + days(365));
}

TEST_F(chain, not_after_is_the_earliest_of_the_path) {
  const auto soon = std::chrono::floor<std::chrono::seconds>(today()) + days(3);
  const auto middle = issue({.common_name = "m", .constraints = "CA:TRUE", .not_after = soon}, &root);
  const auto done = verify(make_peer("b.example", middle), "b.example", {&middle});
  ASSERT_TRUE(done) << done.error().reason;
  EXPECT_EQ(done->not_after, soon);
}

TEST_F(chain, without_an_anchor_is_refused) {
  const auto stranger = make_ca("stranger");
  const auto peer = make_peer("b.example", stranger);
  const std::string none = "no CA of ours issued ";
  EXPECT_EQ(refusal(peer), none + "the peer's certificate O=Example, CN=peer: its issuer is O=Example, CN=stranger");
  EXPECT_TRUE(refusal(peer, "b.example", {&stranger}).starts_with(none));
  EXPECT_TRUE(refusal(issue({.common_name = "self", .alternative_names = "DNS:b.example"}, nullptr)).starts_with(none));
  // The same name, another key.
  const auto namesake = make_ca("root");
  EXPECT_EQ(refusal(make_peer("b.example", namesake)),
            "the peer's certificate O=Example, CN=peer has a signature that is not its issuer's");
}

TEST_F(chain, out_of_date_is_refused_with_the_date) {
  const auto day = built_at() + days(5);
  EXPECT_EQ(
      refusal(issue(
          {.common_name = "x", .alternative_names = "DNS:b.example", .not_before = day - days(9), .not_after = day},
          &root)),
      "the peer's certificate O=Example, CN=x expired on " + to_date(day));
  const auto later = today() + days(5);
  EXPECT_EQ(refusal(issue({.common_name = "x", .alternative_names = "DNS:b.example", .not_before = later}, &root)),
            "the peer's certificate O=Example, CN=x is valid from " + to_date(later) + " on only");
  const auto middle =
      issue({.common_name = "m", .constraints = "CA:TRUE", .not_before = day - days(9), .not_after = day}, &root);
  EXPECT_EQ(refusal(make_peer("b.example", middle), "b.example", {&middle}),
            "the CA certificate O=Example, CN=m expired on " + to_date(day));
}

TEST_F(chain, with_a_clock_that_is_not_set_is_judged_but_for_dates) {
  const auto expired =
      issue({.common_name = "x", .alternative_names = "DNS:b.example", .not_after = today() - days(5)}, &root);
  for (const auto now : {time_point(), built_at() - 1s}) {
    input.now = now;
    const auto done = verify(expired);
    ASSERT_TRUE(done) << done.error().reason;
    EXPECT_TRUE(done->dates_not_judged);
    EXPECT_NE(refusal(make_peer("b.example", make_ca("stranger"))).find("no CA of ours"), std::string::npos);
    EXPECT_NE(refusal(expired, "a.example").find("proves"), std::string::npos);
  }
  input.now = built_at();
  const auto done = verify(issue({.common_name = "x",
                                  .alternative_names = "DNS:b.example",
                                  .not_before = built_at() - days(2),
                                  .not_after = built_at() - days(1)},
                                 &root));
  ASSERT_FALSE(done) << "a clock at the day of the build is set";
  EXPECT_NE(done.error().reason.find("expired"), std::string::npos);
}

TEST_F(chain, through_what_is_no_ca_is_refused) {
  const auto leaf = issue({.common_name = "leaf"}, &root);
  EXPECT_EQ(refusal(make_peer("b.example", leaf), "b.example", {&leaf}),
            "the CA certificate O=Example, CN=leaf issued another one, but is no CA");
  // A key usage alone makes no CA (RFC 5280 4.2.1.9).
  const auto vague = issue({.common_name = "vague", .key_usage = "keyCertSign"}, &root);
  EXPECT_EQ(refusal(make_peer("b.example", vague), "b.example", {&vague}),
            "the CA certificate O=Example, CN=vague issued another one, but is no CA");
  const auto flat = issue({.common_name = "flat", .constraints = "critical, CA:TRUE, pathlen:0"}, &root);
  const auto below = make_ca("below", &flat);
  EXPECT_NE(refusal(make_peer("b.example", below), "b.example", {&flat, &below}).find("may not have that many CAs"),
            std::string::npos);
}

TEST_F(chain, with_a_name_that_its_ca_may_not_certify_is_refused) {
  const auto narrow = issue({.common_name = "narrow",
                             .constraints = "critical, CA:TRUE",
                             .name_constraints = "critical, permitted;DNS:c.example"},
                            &root);
  EXPECT_NE(refusal(make_peer("b.example", narrow), "b.example", {&narrow}).find("name constraints"),
            std::string::npos);
  EXPECT_EQ(refusal(make_peer("a.c.example", narrow), "a.c.example", {&narrow}), "(taken)");
}

TEST_F(chain, that_is_weak_is_refused) {
  EXPECT_NE(refusal(issue({.common_name = "x", .alternative_names = "DNS:b.example", .key = "RSA-1024"}, &root))
                .find("a key that is too weak"),
            std::string::npos);
  const auto middle = issue({.common_name = "m", .constraints = "CA:TRUE", .hash = "SHA1"}, &root);
  EXPECT_NE(refusal(make_peer("b.example", middle), "b.example", {&middle}).find("a hash that is too weak"),
            std::string::npos);
}

TEST_F(chain, for_another_purpose_is_refused) {
  const auto with = [this](const std::string& usage, const std::string& extended) {
    return refusal(issue(
        {.common_name = "x", .alternative_names = "DNS:b.example", .key_usage = usage, .extended_key_usage = extended},
        &root));
  };
  EXPECT_EQ(with("critical, digitalSignature", ""), "(taken)");
  EXPECT_EQ(with("nonRepudiation", ""), "(taken)");
  EXPECT_NE(with("keyEncipherment, keyAgreement", "").find("is not for signatures"), std::string::npos);
  for (const auto* fine : {"serverAuth", "clientAuth", "ipsecIKE", "anyExtendedKeyUsage", "codeSigning, ipsecIKE"})
    EXPECT_EQ(with("", fine), "(taken)") << fine;
  EXPECT_NE(with("", "codeSigning, emailProtection").find("is not for IKE"), std::string::npos);
}

TEST_F(chain, proves_each_of_its_names) {
  const auto peer = issue({.common_name = "peer",
                           .alternative_names = "DNS:b.example, email:u@b.example, IP:192.0.2.7, "
                                                "IP:2001:db8::7"},
                          &root);
  for (const auto* name : {"b.example", "B.Example", "u@b.example", "u@B.example", "192.0.2.7", "2001:db8::7",
                           "O=Example, CN=peer", "CN=peer, O=Example", "O=example, CN=PEER"})
    EXPECT_EQ(refusal(peer, name), "(taken)") << name;
  for (const auto* name : {"c.example", "x.b.example", "U@b.example", "192.0.2.8", "CN=peer", "peer", "keyid:00"})
    EXPECT_NE(refusal(peer, name).find("its certificate proves"), std::string::npos) << name;
  EXPECT_EQ(refusal(peer, "a.example"),
            "the peer says it is a.example, its certificate proves b.example and u@b.example and 192.0.2.7 and "
            "2001:db8::7 and O=Example, CN=peer");
}

TEST_F(chain, proves_nothing_by_a_wildcard_or_a_zero_byte) {
  const auto peer = make_peer("*.example", root);
  EXPECT_NE(refusal(peer, "b.example").find("proves"), std::string::npos);
  input.claimed = {.type = id_type::fqdn, .data = to_bytes("*.example")};
  input.certificates = {peer.der()};
  const auto file = folder.write("ca.pem", root.pem());
  EXPECT_FALSE(verify_chain(*trust_anchors::load({file}, {}).value(), input));
  input.certificates = {make_peer("b.example", root).der()};
  input.claimed.data = {'b', '.', 'e', 'x', 'a', 'm', 'p', 'l', 'e', 0, 'x'};
  EXPECT_FALSE(verify_chain(*trust_anchors::load({file}, {}).value(), input));
}

TEST_F(chain, must_be_whom_the_configuration_expects) {
  const auto peer = make_peer("b.example", root);
  input.expected = parse_identity("b.example").value();
  EXPECT_EQ(refusal(peer), "(taken)");
  EXPECT_EQ(refusal(peer, "O=Example, CN=peer"), "(taken)") << "both are proved";
  input.expected = parse_identity("c.example").value();
  EXPECT_EQ(refusal(peer),
            "the peer is b.example, but c.example is expected here; its certificate proves b.example and "
            "O=Example, CN=peer");
}

TEST_F(chain, that_is_no_chain_is_refused) {
  const auto file = folder.write("ca.pem", root.pem());
  const auto anchors = trust_anchors::load({file}, {}).value();
  EXPECT_EQ(verify_chain(*anchors, input).error().reason, "the peer sent no certificate");
  input.certificates = {to_bytes("no certificate")};
  EXPECT_EQ(verify_chain(*anchors, input).error().reason, "the peer's certificate can't be read");
  auto longer = make_peer("b.example", root).der();
  longer.push_back(0);
  input.certificates = {longer};
  EXPECT_EQ(verify_chain(*anchors, input).error().reason, "the peer's certificate can't be read");
  input.certificates.assign(11, make_peer("b.example", root).der());
  EXPECT_NE(verify_chain(*anchors, input).error().reason.find("more than 10"), std::string::npos);
}

TEST_F(chain, may_end_at_the_peers_own_certificate) {
  const auto peer = issue({.common_name = "self", .alternative_names = "DNS:b.example"}, nullptr);
  input.certificates = {peer.der()};
  input.claimed = parse_identity("b.example").value();
  input.revocation = revocation_mode::strict;
  const auto anchors = trust_anchors::load({folder.write("peer.pem", peer.pem())}, {}).value();
  const auto done = verify_chain(*anchors, input);
  EXPECT_TRUE(done) << done.error().reason;
}

TEST_F(chain, anchors_are_told_by_the_hash_of_their_keys) {
  const auto second = make_ca("second");
  const auto anchors = trust_anchors::load({folder.write("both.pem", root.pem() + second.pem())}, {}).value();
  bytes expected;
  for (const identity* ca : {&std::as_const(root), &second}) {
    const auto key = public_key_of(ca->der()).value();
    unsigned char digest[20];
    EVP_Q_digest(nullptr, "SHA1", nullptr, key.data(), key.size(), digest, nullptr);
    expected.insert(expected.end(), digest, digest + 20);
  }
  EXPECT_EQ(anchors->authorities(), expected);
}

TEST_F(chain, anchors_that_cannot_be_read_are_told) {
  const auto reason = [](const auto& done) { return done ? std::string("(taken)") : done.error().reason; };
  EXPECT_EQ(reason(trust_anchors::load({"/nowhere/ca.pem"}, {})), "/nowhere/ca.pem: No such file or directory");
  const auto empty = folder.write("empty", "nothing\n");
  EXPECT_EQ(reason(trust_anchors::load({empty}, {})), empty + " has no CA certificate in PEM form");
  EXPECT_EQ(reason(trust_anchors::load({}, {empty})), empty + " has no CRL in PEM form");
  auto broken = root.pem();
  broken[100] ^= 1;
  EXPECT_NE(reason(trust_anchors::load({folder.write("broken", broken)}, {})).find("can't be read"), std::string::npos);
  EXPECT_EQ(reason(load_certificates(empty)), empty + " has no certificate in PEM form");
  EXPECT_NE(reason(load_certificates(folder.path() + "/broken")).find("can't be read"), std::string::npos);
}

TEST_F(chain, our_own_certificates_say_who_we_are) {
  const auto peer = make_peer("b.example", root);
  const auto loaded = load_certificates(folder.write("own.pem", "text\n" + peer.pem() + root.pem()));
  ASSERT_TRUE(loaded) << loaded.error().reason;
  EXPECT_EQ(*loaded, (std::vector{peer.der(), root.der()}));
  EXPECT_EQ(to_string(build_identity_from_certificate(peer.der()).value()), "b.example");
  EXPECT_EQ(to_string(build_identity_from_certificate(root.der()).value()), "O=Example, CN=root");
  EXPECT_EQ(to_string(build_identity_from_certificate(make_peer("*.example", root).der()).value()),
            "O=Example, CN=peer");
  EXPECT_FALSE(build_identity_from_certificate(issue({.common_name = ""}, &root).der()));
}

}  // namespace
}  // namespace trunkgate::ike
