// AUTH payloads made with private keys (RFC 7296 2.15 and 3.8, RFC 4754, RFC 7427, RFC 8420).
#include <algorithm>
#include <array>
#include <string_view>

#include <openssl/err.h>
#include <openssl/objects.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/openssl_types.hpp"
#include "controlplane/ike/auth/signature_algorithm.hpp"

namespace trunkgate::ike {

namespace {

constexpr int least_rsa_bits = 2048;

// The curves of RFC 4754, each with its method, its hash and the octets of r and of s.
struct curve_row {
  std::string_view group;
  std::uint8_t method;
  signature_scheme scheme;
  std::uint16_t hash_number;
  int hash;
  std::size_t half;
  std::string_view name;
};
constexpr curve_row curves[] = {
    {"prime256v1", auth_ecdsa256, signature_scheme::ecdsa_sha256, hash_sha256, NID_sha256, 32, "P-256"},
    {"secp384r1", auth_ecdsa384, signature_scheme::ecdsa_sha384, hash_sha384, NID_sha384, 48, "P-384"},
    {"secp521r1", auth_ecdsa521, signature_scheme::ecdsa_sha512, hash_sha512, NID_sha512, 66, "P-521"},
};

const curve_row* curve_of(const EVP_PKEY* key) {
  std::array<char, 64> group{};
  std::size_t length = 0;
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) != 1) return nullptr;
  const auto* row = std::ranges::find(curves, std::string_view(group.data(), length), &curve_row::group);
  return row == std::end(curves) ? nullptr : row;
}

const curve_row* curve_of_method(std::uint8_t method) {
  const auto* row = std::ranges::find(curves, method, &curve_row::method);
  return row == std::end(curves) ? nullptr : row;
}

const char* name_of(key_kind kind) {
  switch (kind) {
    case key_kind::rsa: return "RSA";
    case key_kind::ecdsa: return "EC";
    case key_kind::ed25519: return "ED25519";
    case key_kind::ed448: return "ED448";
  }
  return "";
}

bool has(const std::vector<std::uint16_t>& hashes, std::uint16_t hash) { return std::ranges::contains(hashes, hash); }

result<signing_choice> choose_rsa(const std::vector<std::uint16_t>& peer_hashes, bool legacy) {
  // RFC 8247 3.2: PSS is what every peer that knows RFC 7427 must take.
  if (has(peer_hashes, hash_sha512)) return signing_choice{.scheme = signature_scheme::rsa_pss_sha512};
  if (has(peer_hashes, hash_sha384)) return signing_choice{.scheme = signature_scheme::rsa_pss_sha384};
  if (has(peer_hashes, hash_sha256)) return signing_choice{.scheme = signature_scheme::rsa_pss_sha256};
  if (legacy) return signing_choice{.scheme = signature_scheme::rsa_pkcs1_sha1, .method = auth_rsa};
  return failure(
      "the peer takes RSA signatures with SHA-1 only: give it a configuration that knows RFC 7427, use an ECDSA "
      "certificate, or set gateway.legacy");
}

result<signing_choice> choose_ecdsa(const EVP_PKEY* key, const std::vector<std::uint16_t>& peer_hashes) {
  const auto* curve = curve_of(key);
  if (curve == nullptr) return failure("our certificate's key is on a curve that IKE has no signature for");
  if (has(peer_hashes, curve->hash_number)) return signing_choice{.scheme = curve->scheme};
  for (const auto& other : {curves[2], curves[1], curves[0]})
    if (has(peer_hashes, other.hash_number)) return signing_choice{.scheme = other.scheme};
  return signing_choice{.scheme = curve->scheme, .method = curve->method};
}

// RFC 8420 3: only to a peer that announced the hash "identity".
result<signing_choice> choose_eddsa(signature_scheme scheme, const std::vector<std::uint16_t>& peer_hashes) {
  if (has(peer_hashes, hash_identity)) return signing_choice{.scheme = scheme};
  return failure("the peer does not take Ed25519 and Ed448 signatures (RFC 8420): use an ECDSA certificate for it");
}

// r and s, each of the curve's length (RFC 4754 7), from and to ECDSA-Sig-Value.
result<bytes> to_raw(const curve_row& curve, byte_view der) {
  const auto parsed = decode_der<ecdsa_sig_ptr>(der, d2i_ECDSA_SIG);
  bytes out(2 * curve.half);
  const auto half = static_cast<int>(curve.half);
  if (!parsed || BN_bn2binpad(ECDSA_SIG_get0_r(parsed.get()), out.data(), half) != half ||
      BN_bn2binpad(ECDSA_SIG_get0_s(parsed.get()), out.data() + half, half) != half)
    return failure("our own ECDSA signature is not one of " + std::string(curve.name));
  return out;
}

result<bytes> from_raw(const curve_row& curve, byte_view raw) {
  if (raw.size() != 2 * curve.half)
    return failure("the peer's signature has " + std::to_string(raw.size()) + " octets, one with " +
                   std::string(curve.name) + " has " + std::to_string(2 * curve.half));
  const ecdsa_sig_ptr signature(ECDSA_SIG_new());
  const auto half = static_cast<int>(curve.half);
  BIGNUM* r = BN_bin2bn(raw.data(), half, nullptr);
  BIGNUM* s = BN_bin2bn(raw.data() + half, half, nullptr);
  if (ECDSA_SIG_set0(signature.get(), r, s) != 1) {
    BN_free(r);
    BN_free(s);
    return failure("no memory for a signature");
  }
  return encode_der(signature.get(), i2d_ECDSA_SIG);
}

bool verifies(EVP_PKEY* key, const signature_algorithm& algorithm, byte_view signature, byte_view octets) {
  const std::unique_ptr<EVP_MD_CTX, freed_by<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  const char* hash = algorithm.hash != 0 ? OBJ_nid2sn(algorithm.hash) : nullptr;
  bool fine = EVP_DigestVerifyInit_ex(context.get(), &key_context, hash, nullptr, nullptr, key, nullptr) == 1;
  if (fine && algorithm.pss)
    fine = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, algorithm.salt) == 1;
  fine = fine && EVP_DigestVerify(context.get(), signature.data(), signature.size(), octets.data(), octets.size()) == 1;
  ERR_clear_error();
  return fine;
}

std::unexpected<error> wrong_signature() {
  return failure("the peer's signature is wrong: it was not made with the key of the certificate that it sent");
}

std::unexpected<error> only_legacy(const std::string& algorithm) {
  return failure("the peer signs by " + algorithm + ", which only gateway.legacy allows");
}

// RFC 7427 3: the length of the AlgorithmIdentifier, itself, the signature.
result<void> verify_digital(EVP_PKEY* key, byte_view data, byte_view octets, bool legacy) {
  if (data.empty() || data[0] == 0 || data.size() <= std::size_t{data[0]} + 1)
    return failure("the peer's AUTH payload is too short for a digital signature (RFC 7427)");
  auto algorithm = parse_algorithm_identifier(data.subspan(1, data[0]));
  if (!algorithm) return failure("the peer signs by " + algorithm.error().reason);
  if (EVP_PKEY_is_a(key, name_of(algorithm->key)) != 1)
    return failure("the peer signs by " + to_string(*algorithm) + ", but its certificate has another kind of key");
  if (algorithm->hash == NID_sha1 && !legacy) return only_legacy(to_string(*algorithm));
  if (!verifies(key, *algorithm, data.subspan(1 + std::size_t{data[0]}), octets)) return wrong_signature();
  return {};
}

// RFC 7296 3.8: PKCS#1 v1.5, SHA-1 by default; the hash is told by the signature alone.
result<void> verify_rsa(EVP_PKEY* key, byte_view signature, byte_view octets, bool legacy) {
  if (EVP_PKEY_is_a(key, "RSA") != 1)
    return failure("the peer signs by RSA, but its certificate has another kind of key");
  for (const int hash : {NID_sha256, NID_sha384, NID_sha512})
    if (verifies(key, {.key = key_kind::rsa, .hash = hash}, signature, octets)) return {};
  const signature_algorithm sha1{.key = key_kind::rsa, .hash = NID_sha1};
  if (!verifies(key, sha1, signature, octets)) return wrong_signature();
  if (!legacy) return only_legacy(to_string(sha1));
  return {};
}

result<void> verify_raw_ecdsa(EVP_PKEY* key, const curve_row& curve, byte_view raw, byte_view octets) {
  if (curve_of(key) != &curve)
    return failure("the peer signs by ECDSA with " + std::string(curve.name) +
                   ", but its certificate has another kind of key");
  auto signature = from_raw(curve, raw);
  if (!signature) return std::unexpected(signature.error());
  if (!verifies(key, {.key = key_kind::ecdsa, .hash = curve.hash}, *signature, octets)) return wrong_signature();
  return {};
}

result<void> check_strength(const EVP_PKEY* key, bool legacy) {
  if (EVP_PKEY_is_a(key, "RSA") == 1 && EVP_PKEY_get_bits(key) < least_rsa_bits && !legacy)
    return failure("the peer's certificate has an RSA key of " + std::to_string(EVP_PKEY_get_bits(key)) +
                   " bits: fewer than " + std::to_string(least_rsa_bits) + " are only for gateway.legacy");
  if (EVP_PKEY_is_a(key, "EC") == 1 && curve_of(key) == nullptr)
    return failure("the peer's certificate has a key on a curve that IKE has no signature for");
  return {};
}

}  // namespace

result<signing_choice> choose_signature(byte_view public_key, const std::vector<std::uint16_t>& peer_hashes,
                                        bool legacy) {
  const auto key = decode_der<evp_pkey_ptr>(public_key, d2i_PUBKEY);
  ERR_clear_error();
  if (!key) return failure("our public key can't be read");
  if (EVP_PKEY_is_a(key.get(), "RSA") == 1) return choose_rsa(peer_hashes, legacy);
  if (EVP_PKEY_is_a(key.get(), "EC") == 1) return choose_ecdsa(key.get(), peer_hashes);
  if (EVP_PKEY_is_a(key.get(), "ED25519") == 1) return choose_eddsa(signature_scheme::ed25519, peer_hashes);
  if (EVP_PKEY_is_a(key.get(), "ED448") == 1) return choose_eddsa(signature_scheme::ed448, peer_hashes);
  return failure("our certificate has a kind of key that IKE can't sign with");
}

result<bytes> wrap_signature(const signing_choice& choice, byte_view signature) {
  if (const auto* curve = curve_of_method(choice.method)) return to_raw(*curve, signature);
  bytes out;
  if (choice.method == auth_signature) {
    out = algorithm_identifier(choice.scheme);
    out.insert(out.begin(), static_cast<std::uint8_t>(out.size()));
  }
  out.insert(out.end(), signature.begin(), signature.end());
  return out;
}

result<void> verify_signature(byte_view certificate_der, const authentication_payload& auth, byte_view octets,
                              bool legacy) {
  const auto certificate = parse_certificate(certificate_der);
  if (!certificate) return failure("the peer's certificate can't be read");
  EVP_PKEY* key = X509_get0_pubkey(certificate.get());
  ERR_clear_error();
  if (key == nullptr) return failure("the peer's certificate has a kind of key that is not known here");
  if (auto strong = check_strength(key, legacy); !strong) return strong;
  if (auth.method == auth_signature) return verify_digital(key, auth.data, octets, legacy);
  if (auth.method == auth_rsa) return verify_rsa(key, auth.data, octets, legacy);
  if (const auto* curve = curve_of_method(auth.method)) return verify_raw_ecdsa(key, *curve, auth.data, octets);
  return failure("the peer authenticates by method " + std::to_string(auth.method) +
                 ", which does not go with a certificate");
}

}  // namespace trunkgate::ike
