// OCSP responses (RFC 6960), as they come in CERT payloads (RFC 4806) or over HTTP.
#include <openssl/err.h>

#include "controlplane/ike/auth/revocation.hpp"

namespace trunkgate::ike {

namespace {

constexpr std::chrono::minutes clock_tolerance{5};
// RFC 6960 4.2.2.1: without nextUpdate there is always newer information: then it may be a day old.
constexpr std::chrono::hours without_next_update{24};

revocation_answer unknown(std::string why) { return {.state = revocation_state::unknown, .note = std::move(why)}; }

bool is_for(const OCSP_CERTID* id, const revocation_question& question) {
  ASN1_OBJECT* hash = nullptr;
  // Its signature lacks a const that it keeps.
  if (OCSP_id_get0_info(nullptr, &hash, nullptr, nullptr, const_cast<OCSP_CERTID*>(id)) != 1) return false;
  const EVP_MD* digest = EVP_get_digestbyobj(hash);
  if (digest == nullptr) return false;
  const ocsp_id_ptr ours(OCSP_cert_to_id(digest, question.certificate, question.issuer));
  return ours && OCSP_id_cmp(ours.get(), id) == 0;
}

bool is_valid_at(const X509* certificate, const std::optional<time_point>& now) {
  if (!now) return true;
  const auto from = to_time(X509_get0_notBefore(certificate)), until = to_time(X509_get0_notAfter(certificate));
  return from && until && *from <= *now + clock_tolerance && *now <= *until;
}

// RFC 6960 4.2.2.2: the CA itself, or a responder with a certificate that this CA issued directly, with the purpose
// OCSPSigning. That certificate's own revocation is not asked for: it is short-lived, or says id-pkix-ocsp-nocheck.
result<void> check_signer(const OCSP_BASICRESP& basic, const revocation_question& question) {
  const x509_stack_ptr candidates(sk_X509_new_null());
  if (X509_up_ref(question.issuer) == 1) sk_X509_push(candidates.get(), question.issuer);
  X509* signer = nullptr;
  auto* response = const_cast<OCSP_BASICRESP*>(&basic);
  if (OCSP_resp_get0_signer(response, &signer, candidates.get()) != 1)
    return failure("the OCSP response's signer is not known");
  if (X509_cmp(signer, question.issuer) != 0) {
    if (X509_check_issued(question.issuer, signer) != X509_V_OK ||
        X509_verify(signer, X509_get0_pubkey(question.issuer)) != 1)
      return failure("the OCSP responder " + to_string(X509_get_subject_name(signer)) +
                     " was not certified by the certificate's issuer");
    if ((X509_get_extension_flags(signer) & EXFLAG_XKUSAGE) == 0 ||
        (X509_get_extended_key_usage(signer) & XKU_OCSP_SIGN) == 0)
      return failure("the OCSP responder " + to_string(X509_get_subject_name(signer)) +
                     " has no certificate for signing OCSP");
    if (!is_valid_at(signer, question.now))
      return failure("the OCSP responder's certificate " + to_string(X509_get_subject_name(signer)) +
                     " is out of date");
  }
  // NOVERIFY: the signer was judged above, at our own time.
  if (OCSP_basic_verify(response, candidates.get(), nullptr, OCSP_NOVERIFY) != 1)
    return failure("the OCSP response's signature is wrong");
  return {};
}

result<void> check_freshness(const ASN1_GENERALIZEDTIME* from, const ASN1_GENERALIZEDTIME* until,
                             const std::optional<time_point>& now) {
  if (!now) return {};
  const auto this_update = to_time(from), next_update = to_time(until);
  if (!this_update || (until != nullptr && !next_update)) return failure("the OCSP response has a malformed date");
  if (*this_update > *now + clock_tolerance) return failure("the OCSP response is from the future");
  if (*now > (next_update ? *next_update : *this_update + without_next_update) + clock_tolerance)
    return failure("the OCSP response is out of date, it is of " + to_date(*this_update));
  return {};
}

}  // namespace

revocation_answer ask_ocsp(const revocation_question& question, byte_view response_der) {
  struct at_end {
    ~at_end() { ERR_clear_error(); }
  } clear_errors;
  const auto response = decode_der<ocsp_response_ptr>(response_der, d2i_OCSP_RESPONSE);
  if (!response) return unknown("an OCSP response that is malformed");
  if (const int status = OCSP_response_status(response.get()); status != OCSP_RESPONSE_STATUS_SUCCESSFUL)
    return unknown("the OCSP responder answered \"" + std::string(OCSP_response_status_str(status)) + "\"");
  const ocsp_basic_ptr basic(OCSP_response_get1_basic(response.get()));
  if (!basic) return unknown("an OCSP response that is malformed");
  for (int i = 0; i < OCSP_resp_count(basic.get()); ++i) {
    auto* single = OCSP_resp_get0(basic.get(), i);
    if (!is_for(OCSP_SINGLERESP_get0_id(single), question)) continue;
    if (auto signer = check_signer(*basic, question); !signer) return unknown(signer.error().reason);
    ASN1_GENERALIZEDTIME *when = nullptr, *from = nullptr, *until = nullptr;
    const int status = OCSP_single_get0_status(single, nullptr, &when, &from, &until);
    // What was revoked stays so: an old response still says it.
    if (status == V_OCSP_CERTSTATUS_REVOKED) {
      const auto since = to_time(when);
      return {.state = revocation_state::revoked, .note = (since ? "on " + to_date(*since) + " " : "") + "(OCSP)"};
    }
    if (auto fresh = check_freshness(from, until, question.now); !fresh) return unknown(fresh.error().reason);
    if (status == V_OCSP_CERTSTATUS_GOOD) return {.state = revocation_state::good, .note = "(OCSP)"};
    return unknown("the OCSP responder does not know the certificate");
  }
  return unknown("no OCSP response is about it");
}

}  // namespace trunkgate::ike
