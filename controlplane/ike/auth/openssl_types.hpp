// OpenSSL's objects with owners, and its times and names as ours.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include <openssl/asn1.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "controlplane/ike/wire/payload.hpp"

namespace trunkgate::ike {

template <auto Free>
struct freed_by {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
inline void free_certificates(STACK_OF(X509) * stack) { sk_X509_pop_free(stack, X509_free); }

using x509_ptr = std::unique_ptr<X509, freed_by<X509_free>>;
using x509_stack_ptr = std::unique_ptr<STACK_OF(X509), freed_by<free_certificates>>;
using crl_ptr = std::unique_ptr<X509_CRL, freed_by<X509_CRL_free>>;
using x509_store_ptr = std::unique_ptr<X509_STORE, freed_by<X509_STORE_free>>;
using x509_name_ptr = std::unique_ptr<X509_NAME, freed_by<X509_NAME_free>>;
using evp_pkey_ptr = std::unique_ptr<EVP_PKEY, freed_by<EVP_PKEY_free>>;
using general_names_ptr = std::unique_ptr<GENERAL_NAMES, freed_by<GENERAL_NAMES_free>>;
using ocsp_response_ptr = std::unique_ptr<OCSP_RESPONSE, freed_by<OCSP_RESPONSE_free>>;
using ocsp_basic_ptr = std::unique_ptr<OCSP_BASICRESP, freed_by<OCSP_BASICRESP_free>>;
using ocsp_id_ptr = std::unique_ptr<OCSP_CERTID, freed_by<OCSP_CERTID_free>>;
using ecdsa_sig_ptr = std::unique_ptr<ECDSA_SIG, freed_by<ECDSA_SIG_free>>;
using algorithm_ptr = std::unique_ptr<X509_ALGOR, freed_by<X509_ALGOR_free>>;
using bio_ptr = std::unique_ptr<BIO, freed_by<BIO_free>>;

// A whole DER object and nothing behind it; nullptr otherwise. `Decode` is one of OpenSSL's d2i functions.
template <class Pointer, class Decode>
[[nodiscard]] Pointer decode_der(byte_view der, const Decode& decode) {
  const unsigned char* at = der.data();
  Pointer object(decode(nullptr, &at, static_cast<long>(der.size())));
  if (object && at != der.data() + der.size()) object.reset();
  return object;
}
// What one of OpenSSL's i2d functions makes of `object`.
template <class Object, class Encode>
[[nodiscard]] bytes encode_der(const Object* object, const Encode& encode) {
  unsigned char* der = nullptr;
  const int size = encode(object, &der);
  if (size <= 0) return {};
  bytes out(der, der + size);
  OPENSSL_free(der);
  return out;
}

[[nodiscard]] x509_ptr parse_certificate(byte_view der);

// "C=DE, O=Example, CN=hq.example": in the order of the encoding. What is no printable ASCII is shown as \xNN.
[[nodiscard]] std::string to_string(const X509_NAME* name);
// Bytes as an operator may see them: printable ASCII as it is, the rest as \xNN; cut at 256 characters.
[[nodiscard]] std::string shown_text(byte_view text);

using time_point = std::chrono::system_clock::time_point;
[[nodiscard]] std::optional<time_point> to_time(const ASN1_TIME* time);
[[nodiscard]] std::string to_date(time_point time);  // "2026-01-02", UTC

}  // namespace trunkgate::ike
