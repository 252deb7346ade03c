// AUTH payloads: what RFC 7427 appendix A prints, what OpenSSL signs, and what must be refused.
#include <gtest/gtest.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/certificate.hpp"
#include "controlplane/ike/auth/signature_algorithm.hpp"
#include "tests/unit/ike_auth/test_pki.hpp"

namespace trunkgate::ike {
namespace {

using namespace test;

bytes hex(std::string_view digits) {
  bytes out;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(std::stoi(std::string(digits.substr(i, 2)), nullptr, 16)));
  return out;
}

TEST(signature_algorithm, is_encoded_as_rfc_7427_and_rfc_8420_print_it) {
  const std::pair<signature_scheme, const char*> rows[] = {
      {signature_scheme::rsa_pkcs1_sha1, "300d06092a864886f70d0101050500"},
      {signature_scheme::rsa_pkcs1_sha256, "300d06092a864886f70d01010b0500"},
      {signature_scheme::rsa_pkcs1_sha384, "300d06092a864886f70d01010c0500"},
      {signature_scheme::rsa_pkcs1_sha512, "300d06092a864886f70d01010d0500"},
      {signature_scheme::ecdsa_sha256, "300a06082a8648ce3d040302"},
      {signature_scheme::ecdsa_sha384, "300a06082a8648ce3d040303"},
      {signature_scheme::ecdsa_sha512, "300a06082a8648ce3d040304"},
      {signature_scheme::ed25519, "300506032b6570"},
      {signature_scheme::ed448, "300506032b6571"},
  };
  for (const auto& [scheme, der] : rows) EXPECT_EQ(algorithm_identifier(scheme), hex(der));
}

// Of PSS, OpenSSL's own encoder is the judge.
TEST(signature_algorithm, of_pss_is_encoded_as_openssl_does) {
  const auto peer = issue({.common_name = "peer", .key = "RSA-2048"}, nullptr);
  const std::pair<signature_scheme, const char*> rows[] = {{signature_scheme::rsa_pss_sha256, "SHA256"},
                                                           {signature_scheme::rsa_pss_sha384, "SHA384"},
                                                           {signature_scheme::rsa_pss_sha512, "SHA512"}};
  for (const auto& [scheme, hash] : rows) {
    const std::unique_ptr<EVP_MD_CTX, freed_by<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* key = nullptr;
    ASSERT_EQ(EVP_DigestSignInit_ex(context.get(), &key, hash, nullptr, nullptr, peer.key.get(), nullptr), 1);
    EVP_PKEY_CTX_set_rsa_padding(key, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(key, RSA_PSS_SALTLEN_DIGEST);
    const x509_ptr throwaway(X509_dup(peer.certificate.get()));
    ASSERT_GT(X509_sign_ctx(throwaway.get(), context.get()), 0);
    const X509_ALGOR* theirs = nullptr;
    X509_get0_signature(nullptr, &theirs, throwaway.get());
    EXPECT_EQ(algorithm_identifier(scheme), encode_der(theirs, i2d_X509_ALGOR)) << hash;
  }
}

TEST(signature_algorithm, of_pss_is_taken_with_an_explicit_trailer) {
  // RFC 7427 A.4.3
  const auto parsed = parse_algorithm_identifier(
      hex("304606092a864886f70d01010a3039a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d0609608648"
          "0165030402010500a203020120a303020101"));
  ASSERT_TRUE(parsed) << parsed.error().reason;
  EXPECT_EQ(to_string(*parsed), "RSA-PSS with SHA2-256");
  EXPECT_EQ(parsed->salt, 32);
}

struct scheme_row {
  const char* key;
  const char* hash;  // nullptr: the key's own
  bool pss;
  signature_scheme scheme;
  std::uint8_t method;
  std::vector<std::uint16_t> peer_hashes;
  bool legacy = false;
};
const std::vector<std::uint16_t> all_hashes{1, 2, 3, 4, 5};

const scheme_row schemes[] = {
    {"RSA-2048", "SHA512", true, signature_scheme::rsa_pss_sha512, auth_signature, all_hashes},
    {"RSA-2048", "SHA384", true, signature_scheme::rsa_pss_sha384, auth_signature, {2, 3}},
    {"RSA-2048", "SHA256", true, signature_scheme::rsa_pss_sha256, auth_signature, {1, 2}},
    {"RSA-2048", "SHA1", false, signature_scheme::rsa_pkcs1_sha1, auth_rsa, {}, true},
    {"P-256", "SHA256", false, signature_scheme::ecdsa_sha256, auth_signature, all_hashes},
    {"P-384", "SHA384", false, signature_scheme::ecdsa_sha384, auth_signature, all_hashes},
    {"P-521", "SHA512", false, signature_scheme::ecdsa_sha512, auth_signature, all_hashes},
    {"P-256", "SHA384", false, signature_scheme::ecdsa_sha384, auth_signature, {3}},
    {"P-256", "SHA256", false, signature_scheme::ecdsa_sha256, auth_ecdsa256, {}},
    {"P-384", "SHA384", false, signature_scheme::ecdsa_sha384, auth_ecdsa384, {}},
    {"P-521", "SHA512", false, signature_scheme::ecdsa_sha512, auth_ecdsa521, {1}},
    {"ED25519", nullptr, false, signature_scheme::ed25519, auth_signature, all_hashes},
    {"ED448", nullptr, false, signature_scheme::ed448, auth_signature, {5}},
};

TEST(signature, is_chosen_wrapped_and_verified) {
  const auto octets = to_bytes("the signed octets");
  for (const auto& one : schemes) {
    SCOPED_TRACE(std::string(one.key) + " method " + std::to_string(one.method));
    const auto peer = issue({.common_name = "peer", .key = one.key}, nullptr);
    const auto choice = choose_signature(public_key_of(peer.der()).value(), one.peer_hashes, one.legacy);
    ASSERT_TRUE(choice) << choice.error().reason;
    EXPECT_EQ(choice->scheme, one.scheme);
    EXPECT_EQ(choice->method, one.method);
    const auto data = wrap_signature(*choice, sign(peer, one.hash, one.pss, octets));
    ASSERT_TRUE(data) << data.error().reason;
    authentication_payload auth{.method = choice->method, .data = *data};
    const auto fine = verify_signature(peer.der(), auth, octets, one.legacy);
    EXPECT_TRUE(fine) << fine.error().reason;
    EXPECT_FALSE(verify_signature(peer.der(), auth, to_bytes("other octets"), true));
    const auto other = issue({.common_name = "other", .key = one.key}, nullptr);
    const auto wrong = verify_signature(other.der(), auth, octets, true);
    ASSERT_FALSE(wrong);
    EXPECT_NE(wrong.error().reason.find("signature is wrong"), std::string::npos) << wrong.error().reason;
    auth.data.back() ^= 1;
    EXPECT_FALSE(verify_signature(peer.der(), auth, octets, true));
  }
}

// RFC 4754 7: r and s have the length of the curve's order, however small they are.
TEST(signature, of_rfc_4754_has_a_fixed_length) {
  const auto peer = issue({.common_name = "peer", .key = "P-521"}, nullptr);
  for (int i = 0; i < 50; ++i) {
    const auto octets = bytes(1, static_cast<std::uint8_t>(i));
    const auto raw = wrap_signature({.scheme = signature_scheme::ecdsa_sha512, .method = auth_ecdsa521},
                                    sign(peer, "SHA512", false, octets));
    ASSERT_TRUE(raw);
    ASSERT_EQ(raw->size(), 132u);
    ASSERT_TRUE(verify_signature(peer.der(), {.method = auth_ecdsa521, .data = *raw}, octets, false));
  }
}

TEST(signature, with_pkcs1_of_rfc_7427_is_taken) {
  const auto peer = issue({.common_name = "peer", .key = "RSA-2048"}, nullptr);
  const auto octets = to_bytes("octets");
  for (const auto& [scheme, hash] : {std::pair{signature_scheme::rsa_pkcs1_sha256, "SHA256"},
                                     std::pair{signature_scheme::rsa_pkcs1_sha384, "SHA384"},
                                     std::pair{signature_scheme::rsa_pkcs1_sha512, "SHA512"}}) {
    const auto data = wrap_signature({.scheme = scheme}, sign(peer, hash, false, octets));
    EXPECT_TRUE(verify_signature(peer.der(), {.method = auth_signature, .data = *data}, octets, false)) << hash;
    // Method 1 with a newer hash (RFC 7296 3.8).
    EXPECT_TRUE(
        verify_signature(peer.der(), {.method = auth_rsa, .data = sign(peer, hash, false, octets)}, octets, false));
  }
}

std::string refusal(const result<void>& done) { return done ? "(taken)" : done.error().reason; }

TEST(signature, that_must_be_refused_says_why) {
  const auto octets = to_bytes("octets");
  const auto rsa = issue({.common_name = "peer", .key = "RSA-2048"}, nullptr);
  const auto ecdsa = issue({.common_name = "peer"}, nullptr);
  const auto ed25519 = issue({.common_name = "peer", .key = "ED25519"}, nullptr);
  const auto sha1 = sign(rsa, "SHA1", false, octets);
  const auto expect = [&](const identity& peer, std::uint8_t method, const bytes& data, const char* reason) {
    const auto said = refusal(verify_signature(peer.der(), {.method = method, .data = data}, octets, false));
    EXPECT_NE(said.find(reason), std::string::npos) << said;
  };
  expect(rsa, auth_rsa, sha1, "the peer signs by RSA with SHA-1, which only gateway.legacy allows");
  expect(rsa, auth_signature, wrap_signature({.scheme = signature_scheme::rsa_pkcs1_sha1}, sha1).value(),
         "RSA with SHA-1, which only gateway.legacy allows");
  expect(ecdsa, auth_rsa, sha1, "its certificate has another kind of key");
  expect(ecdsa, auth_signature, wrap_signature({.scheme = signature_scheme::rsa_pss_sha256}, sha1).value(),
         "the peer signs by RSA-PSS with SHA2-256, but its certificate has another kind of key");
  expect(ed25519, auth_ecdsa256, bytes(64), "ECDSA with P-256, but its certificate has another kind of key");
  expect(ecdsa, auth_ecdsa256, bytes(63), "the peer's signature has 63 octets, one with P-256 has 64");
  expect(ecdsa, auth_ecdsa384, bytes(96), "ECDSA with P-384, but its certificate has another kind of key");
  expect(ecdsa, auth_ecdsa256, bytes(64), "signature is wrong");
  expect(ecdsa, auth_psk, bytes(32), "method 2, which does not go with a certificate");
  expect(ecdsa, auth_signature, {}, "too short");
  expect(ecdsa, auth_signature, {0, 1, 2}, "too short");
  expect(ecdsa, auth_signature, {200, 1, 2}, "too short");
  expect(ecdsa, auth_signature, {2, 0x30, 0x05, 1}, "malformed");
  expect(ecdsa, auth_signature, {5, 0x30, 0x03, 0x06, 0x01, 0x55, 1}, "which is not known here");
  const auto weak = issue({.common_name = "peer", .key = "RSA-1024"}, nullptr);
  expect(weak, auth_rsa, bytes(128), "RSA key of 1024 bits");
  const auto koblitz = issue({.common_name = "peer", .key = "secp256k1"}, nullptr);
  expect(koblitz, auth_ecdsa256, bytes(64), "curve that IKE has no signature for");
  EXPECT_NE(
      refusal(verify_signature(to_bytes("x"), {.method = auth_rsa, .data = {}}, octets, false)).find("can't be read"),
      std::string::npos);
}

TEST(signature, that_the_peer_does_not_take_is_not_chosen) {
  const auto rsa = public_key_of(issue({.common_name = "a", .key = "RSA-2048"}, nullptr).der()).value();
  const auto ed448 = public_key_of(issue({.common_name = "a", .key = "ED448"}, nullptr).der()).value();
  EXPECT_NE(choose_signature(rsa, {}, false).error().reason.find("gateway.legacy"), std::string::npos);
  EXPECT_FALSE(choose_signature(rsa, {hash_sha1}, false));
  EXPECT_NE(choose_signature(ed448, {2, 3, 4}, true).error().reason.find("RFC 8420"), std::string::npos);
  EXPECT_FALSE(choose_signature(to_bytes("no key"), all_hashes, true));
}

}  // namespace
}  // namespace trunkgate::ike
