#include "controlplane/keystore/key_operations.hpp"

#include <array>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "config/ike_proposal.hpp"

namespace trunkgate {

namespace {

using byte_view = std::span<const std::uint8_t>;
constexpr int least_rsa_bits = 2048, most_rsa_bits = 16384;

struct scheme_row {
  signature_scheme scheme;
  const char* key_type;
  const char* hash;  // nullptr: the scheme has one of its own
  bool pss;
  std::string_view name;
};
constexpr scheme_row schemes[] = {
    {signature_scheme::rsa_pkcs1_sha1, "RSA", "SHA1", false, "RSA with SHA-1"},
    {signature_scheme::rsa_pkcs1_sha256, "RSA", "SHA256", false, "RSA with SHA2-256"},
    {signature_scheme::rsa_pkcs1_sha384, "RSA", "SHA384", false, "RSA with SHA2-384"},
    {signature_scheme::rsa_pkcs1_sha512, "RSA", "SHA512", false, "RSA with SHA2-512"},
    {signature_scheme::rsa_pss_sha256, "RSA", "SHA256", true, "RSA-PSS with SHA2-256"},
    {signature_scheme::rsa_pss_sha384, "RSA", "SHA384", true, "RSA-PSS with SHA2-384"},
    {signature_scheme::rsa_pss_sha512, "RSA", "SHA512", true, "RSA-PSS with SHA2-512"},
    {signature_scheme::ecdsa_sha256, "EC", "SHA256", false, "ECDSA with SHA2-256"},
    {signature_scheme::ecdsa_sha384, "EC", "SHA384", false, "ECDSA with SHA2-384"},
    {signature_scheme::ecdsa_sha512, "EC", "SHA512", false, "ECDSA with SHA2-512"},
    {signature_scheme::ed25519, "ED25519", nullptr, false, "Ed25519"},
    {signature_scheme::ed448, "ED448", nullptr, false, "Ed448"},
};

const scheme_row& row_of(signature_scheme scheme) { return schemes[static_cast<std::size_t>(scheme)]; }

// An encrypted key is refused, not asked about: OpenSSL would read a passphrase from the terminal.
int no_passphrase(char*, int, int, void*) { return -1; }

result<void> check_kind(EVP_PKEY* key) {
  if (EVP_PKEY_is_a(key, "ED25519") == 1 || EVP_PKEY_is_a(key, "ED448") == 1) return {};
  if (EVP_PKEY_is_a(key, "RSA") == 1) {
    const int bits = EVP_PKEY_get_bits(key);
    if (bits >= least_rsa_bits && bits <= most_rsa_bits) return {};
    return failure("has an RSA key of " + std::to_string(bits) + " bits: " + std::to_string(least_rsa_bits) + " to " +
                   std::to_string(most_rsa_bits) + " are taken");
  }
  if (EVP_PKEY_is_a(key, "EC") == 1) {
    std::array<char, 64> group{};
    std::size_t length = 0;
    EVP_PKEY_get_group_name(key, group.data(), group.size(), &length);
    const std::string_view name(group.data(), length);
    if (name == "prime256v1" || name == "secp384r1" || name == "secp521r1") return {};
    return failure("has a key on the curve " + std::string(name) + ": P-256, P-384 and P-521 are taken");
  }
  return failure("has a key that IKE can't sign with: RSA, ECDSA, Ed25519 and Ed448 are taken");
}

const char* hash_of(std::uint16_t prf) {
  switch (prf) {
    case transform_id::prf_hmac_sha1: return "SHA1";
    case transform_id::prf_hmac_sha256: return "SHA256";
    case transform_id::prf_hmac_sha384: return "SHA384";
    case transform_id::prf_hmac_sha512: return "SHA512";
    default: return nullptr;
  }
}

std::unexpected<error> unknown_prf(std::uint16_t prf) {
  return failure("PRF " + std::to_string(prf) + " is none that is known here");
}

// HMAC, which all our PRFs are (RFC 4868 2.1.2): the whole output.
secret hmac(const char* hash, byte_view key, byte_view octets) {
  std::array<std::uint8_t, EVP_MAX_MD_SIZE> out{};
  std::size_t size = 0;
  const bool done = EVP_Q_mac(nullptr, "HMAC", nullptr, hash, nullptr, key.data(), key.size(), octets.data(),
                              octets.size(), out.data(), out.size(), &size) != nullptr;
  secret mac(byte_view(out).first(done ? size : 0));
  wipe(out.data(), out.size());
  return mac;
}

// prf+ (RFC 7296 2.13) for no more than one round: T1 = prf(K, S | 0x01) is as long as SK.
secret first_round(const char* hash, const secret& key, byte_view seed) {
  std::vector<std::uint8_t> input;
  input.reserve(seed.size() + 1);
  input.insert(input.end(), seed.begin(), seed.end());
  input.push_back(1);
  auto out = hmac(hash, key.bytes(), input);
  wipe(input.data(), input.size());
  return out;
}

}  // namespace

void private_key::freer::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

result<private_key> private_key::parse(byte_view pem) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> from(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())),
                                                       BIO_free);
  private_key key(PEM_read_bio_PrivateKey(from.get(), nullptr, no_passphrase, nullptr));
  ERR_clear_error();
  if (!key.key_) {
    const std::string_view text(reinterpret_cast<const char*>(pem.data()), pem.size());
    if (text.contains("ENCRYPTED"))
      return failure("is encrypted: a key that opens at start must be stored without a passphrase");
    return failure("holds no private key in PEM form");
  }
  if (auto taken = check_kind(key.key_.get()); !taken) return std::unexpected(taken.error());
  return key;
}

result<std::vector<std::uint8_t>> private_key::public_key() const {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key_.get(), &der);
  if (size <= 0) return failure("has no public half");
  std::vector<std::uint8_t> out(der, der + size);
  OPENSSL_free(der);
  return out;
}

result<std::vector<std::uint8_t>> private_key::sign(signature_scheme scheme, byte_view octets) const {
  const auto& row = row_of(scheme);
  if (EVP_PKEY_is_a(key_.get(), row.key_type) != 1)
    return failure("has a key that can't sign by " + std::string(row.name));
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  EVP_PKEY_CTX* key_context = nullptr;
  bool fine = EVP_DigestSignInit_ex(context.get(), &key_context, row.hash, nullptr, nullptr, key_.get(), nullptr) == 1;
  if (fine && row.pss)  // the salt as long as the hash, as RFC 8017 9.1 advises
    fine = EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING) == 1 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST) == 1;
  std::vector<std::uint8_t> out(static_cast<std::size_t>(EVP_PKEY_get_size(key_.get())));
  std::size_t size = out.size();
  fine = fine && EVP_DigestSign(context.get(), out.data(), &size, octets.data(), octets.size()) == 1;
  ERR_clear_error();
  if (!fine) return failure("could not sign by " + std::string(row.name));
  out.resize(size);
  return out;
}

result<secret> compute_psk_auth(std::uint16_t prf, const secret& psk, byte_view octets) {
  const char* hash = hash_of(prf);
  if (hash == nullptr) return unknown_prf(prf);
  constexpr std::string_view pad = "Key Pad for IKEv2";
  const auto inner = hmac(hash, psk.bytes(), {reinterpret_cast<const std::uint8_t*>(pad.data()), pad.size()});
  auto auth = hmac(hash, inner.bytes(), octets);
  if (auth.size() == 0) return failure("could not compute the PRF");
  return auth;
}

result<keystore::mixed_keys> compute_mixed_keys(std::uint16_t prf, const secret& ppk, byte_view sk_d, byte_view sk_pi,
                                                byte_view sk_pr) {
  const char* hash = hash_of(prf);
  if (hash == nullptr) return unknown_prf(prf);
  const auto size = static_cast<std::size_t>(EVP_MD_get_size(EVP_get_digestbyname(hash)));
  if (sk_d.size() != size || sk_pi.size() != size || sk_pr.size() != size)
    return failure("SK_d, SK_pi and SK_pr must be as long as the PRF's output");
  keystore::mixed_keys out{
      .d = first_round(hash, ppk, sk_d), .pi = first_round(hash, ppk, sk_pi), .pr = first_round(hash, ppk, sk_pr)};
  if (out.d.size() == 0 || out.pi.size() == 0 || out.pr.size() == 0) return failure("could not compute the PRF");
  return out;
}

}  // namespace trunkgate
