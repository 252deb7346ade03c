#include "controlplane/ike/auth/signature_algorithm.hpp"

#include <openssl/err.h>
#include <openssl/objects.h>

#include "controlplane/ike/auth/openssl_types.hpp"

namespace trunkgate::ike {

namespace {

using pss_parameters_ptr = std::unique_ptr<RSA_PSS_PARAMS, freed_by<RSA_PSS_PARAMS_free>>;

// RSASSA-PSS with one hash for message and mask, and a salt of its length; the trailer is the default and so not there.
bytes pss_identifier(std::uint8_t hash, std::uint8_t salt) {
  const std::uint8_t hash_oid[] = {0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, hash};
  bytes out{0x30, 0x41, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x0a,  // id-RSASSA-PSS
            0x30, 0x34, 0xa0, 0x0f, 0x30, 0x0d};                                           // hashAlgorithm
  out.insert(out.end(), std::begin(hash_oid), std::end(hash_oid));
  out.insert(out.end(), {0x05, 0x00, 0xa1, 0x1c, 0x30, 0x1a, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01,
                         0x08, 0x30, 0x0d});  // maskGenAlgorithm: id-mgf1
  out.insert(out.end(), std::begin(hash_oid), std::end(hash_oid));
  out.insert(out.end(), {0x05, 0x00, 0xa2, 0x03, 0x02, 0x01, salt});
  return out;
}

bytes pkcs1_identifier(std::uint8_t last) {
  return {0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, last, 0x05, 0x00};
}

bytes ecdsa_identifier(std::uint8_t last) {
  return {0x30, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, last};
}

bool is_our_hash(int nid) { return nid == NID_sha1 || nid == NID_sha256 || nid == NID_sha384 || nid == NID_sha512; }

int nid_of(const X509_ALGOR* algorithm) {
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm);
  return OBJ_obj2nid(object);
}

result<signature_algorithm> parse_pss(const X509_ALGOR* algorithm) {
  const auto unknown = [] { return failure("RSA-PSS parameters that are not understood"); };
  const void* value = nullptr;
  int type = 0;
  X509_ALGOR_get0(nullptr, &type, &value, algorithm);
  if (type != V_ASN1_SEQUENCE) return unknown();
  const auto* sequence = static_cast<const ASN1_STRING*>(value);
  const auto parameters = decode_der<pss_parameters_ptr>(
      {ASN1_STRING_get0_data(sequence), static_cast<std::size_t>(ASN1_STRING_length(sequence))}, d2i_RSA_PSS_PARAMS);
  if (!parameters) return unknown();
  // What is not said is SHA-1, MGF1 with SHA-1, 20, 1 (RFC 8017 A.2.3).
  signature_algorithm out{.key = key_kind::rsa, .hash = NID_sha1, .pss = true, .salt = 20};
  if (parameters->hashAlgorithm != nullptr) out.hash = nid_of(parameters->hashAlgorithm);
  int mask_hash = NID_sha1;
  if (parameters->maskGenAlgorithm != nullptr) {
    X509_ALGOR_get0(nullptr, &type, &value, parameters->maskGenAlgorithm);
    if (nid_of(parameters->maskGenAlgorithm) != NID_mgf1 || type != V_ASN1_SEQUENCE) return unknown();
    const auto* inner = static_cast<const ASN1_STRING*>(value);
    const auto mask = decode_der<algorithm_ptr>(
        {ASN1_STRING_get0_data(inner), static_cast<std::size_t>(ASN1_STRING_length(inner))}, d2i_X509_ALGOR);
    if (!mask) return unknown();
    mask_hash = nid_of(mask.get());
  }
  if (parameters->saltLength != nullptr) out.salt = static_cast<int>(ASN1_INTEGER_get(parameters->saltLength));
  if (parameters->trailerField != nullptr && ASN1_INTEGER_get(parameters->trailerField) != 1) return unknown();
  if (!is_our_hash(out.hash) || mask_hash != out.hash || out.salt < 0 || out.salt > 512) return unknown();
  return out;
}

result<signature_algorithm> parse(byte_view der) {
  const auto algorithm = decode_der<algorithm_ptr>(der, d2i_X509_ALGOR);
  if (!algorithm) return failure("an AlgorithmIdentifier that is malformed");
  switch (nid_of(algorithm.get())) {
    case NID_sha1WithRSAEncryption: return signature_algorithm{.key = key_kind::rsa, .hash = NID_sha1};
    case NID_sha256WithRSAEncryption: return signature_algorithm{.key = key_kind::rsa, .hash = NID_sha256};
    case NID_sha384WithRSAEncryption: return signature_algorithm{.key = key_kind::rsa, .hash = NID_sha384};
    case NID_sha512WithRSAEncryption: return signature_algorithm{.key = key_kind::rsa, .hash = NID_sha512};
    case NID_rsassaPss: return parse_pss(algorithm.get());
    case NID_ecdsa_with_SHA1: return signature_algorithm{.key = key_kind::ecdsa, .hash = NID_sha1};
    case NID_ecdsa_with_SHA256: return signature_algorithm{.key = key_kind::ecdsa, .hash = NID_sha256};
    case NID_ecdsa_with_SHA384: return signature_algorithm{.key = key_kind::ecdsa, .hash = NID_sha384};
    case NID_ecdsa_with_SHA512: return signature_algorithm{.key = key_kind::ecdsa, .hash = NID_sha512};
    case NID_ED25519: return signature_algorithm{.key = key_kind::ed25519};
    case NID_ED448: return signature_algorithm{.key = key_kind::ed448};
    default: break;
  }
  const ASN1_OBJECT* object = nullptr;
  X509_ALGOR_get0(&object, nullptr, nullptr, algorithm.get());
  char text[80] = "";
  OBJ_obj2txt(text, sizeof text, object, 0);
  return failure("the algorithm " + std::string(text) + ", which is not known here");
}

}  // namespace

bytes algorithm_identifier(signature_scheme scheme) {
  switch (scheme) {
    case signature_scheme::rsa_pkcs1_sha1: return pkcs1_identifier(0x05);
    case signature_scheme::rsa_pkcs1_sha256: return pkcs1_identifier(0x0b);
    case signature_scheme::rsa_pkcs1_sha384: return pkcs1_identifier(0x0c);
    case signature_scheme::rsa_pkcs1_sha512: return pkcs1_identifier(0x0d);
    case signature_scheme::rsa_pss_sha256: return pss_identifier(1, 32);
    case signature_scheme::rsa_pss_sha384: return pss_identifier(2, 48);
    case signature_scheme::rsa_pss_sha512: return pss_identifier(3, 64);
    case signature_scheme::ecdsa_sha256: return ecdsa_identifier(2);
    case signature_scheme::ecdsa_sha384: return ecdsa_identifier(3);
    case signature_scheme::ecdsa_sha512: return ecdsa_identifier(4);
    case signature_scheme::ed25519: return {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70};
    case signature_scheme::ed448: return {0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x71};
  }
  return {};
}

result<signature_algorithm> parse_algorithm_identifier(byte_view der) {
  auto parsed = parse(der);
  ERR_clear_error();
  return parsed;
}

std::string to_string(const signature_algorithm& algorithm) {
  std::string hash;
  switch (algorithm.hash) {
    case NID_sha1: hash = " with SHA-1"; break;
    case NID_sha256: hash = " with SHA2-256"; break;
    case NID_sha384: hash = " with SHA2-384"; break;
    case NID_sha512: hash = " with SHA2-512"; break;
    default: break;
  }
  switch (algorithm.key) {
    case key_kind::rsa: return (algorithm.pss ? "RSA-PSS" : "RSA") + hash;
    case key_kind::ecdsa: return "ECDSA" + hash;
    case key_kind::ed25519: return "Ed25519";
    case key_kind::ed448: return "Ed448";
  }
  return {};
}

}  // namespace trunkgate::ike
