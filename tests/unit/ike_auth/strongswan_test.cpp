// Certificates and CRLs that strongSwan's pki made (tests/vectors/certificates): another encoder than OpenSSL.
#include <gtest/gtest.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/certificate.hpp"
#include "tests/unit/ike_auth/test_pki.hpp"

namespace trunkgate::ike {
namespace {

using namespace test;

std::string folder() { return TRUNKGATE_SOURCE_DIR "/tests/vectors/certificates/"; }

class strongswan : public testing::TestWithParam<const char*> {
 protected:
  [[nodiscard]] chain_verdict verify(const std::string& who, const std::string& claimed) const {
    const auto prefix = folder() + GetParam() + "-";
    const auto anchors = trust_anchors::load({prefix + "ca.pem"}, {prefix + "crl.pem"});
    if (!anchors) return std::unexpected(refused_peer{.reason = anchors.error().reason, .governs = {}});
    return verify_chain(**anchors, {.certificates = load_certificates(prefix + who + ".pem").value(),
                                    .claimed = parse_identity(claimed).value(),
                                    .revocation = revocation_mode::strict,
                                    .now = today()});
  }
};

TEST_P(strongswan, certificates_prove_what_they_say) {
  for (const auto* name :
       {"peer.example", "admin@peer.example", "192.0.2.7", "2001:db8::7", "C=CH, O=strongSwan, CN=peer.example"}) {
    const auto done = verify("peer", name);
    ASSERT_TRUE(done) << done.error().reason;
    EXPECT_EQ(done->subject, "C=CH, O=strongSwan, CN=peer.example");
    EXPECT_EQ(done->revocation, "not revoked (CRL of C=CH, O=strongSwan, CN=" + std::string(GetParam()) + " CA)");
    EXPECT_EQ(to_date(done->not_after), "2049-12-31");
  }
  EXPECT_FALSE(verify("peer", "other.example"));
}

TEST_P(strongswan, revocations_are_understood) {
  const auto done = verify("revoked", "revoked.example");
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().reason,
            "the peer's certificate C=CH, O=strongSwan, CN=revoked.example was revoked on "
            "2025-12-01 (CRL of C=CH, O=strongSwan, CN=" +
                std::string(GetParam()) + " CA)");
}

// Our encoding of a name is strongSwan's: its ID payload is compared by octets elsewhere.
TEST_P(strongswan, names_are_encoded_alike) {
  const auto own = load_certificates(folder() + GetParam() + "-peer.pem").value().front();
  EXPECT_EQ(identities_of(own).back(), parse_identity("C=CH, O=strongSwan, CN=peer.example").value());
}

INSTANTIATE_TEST_SUITE_P(keys, strongswan, testing::Values("rsa", "ecdsa", "ed25519"));

}  // namespace
}  // namespace trunkgate::ike
