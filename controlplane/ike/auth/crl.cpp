// Certificate revocation lists (RFC 5280 5 and 6.3).
#include <array>

#include <openssl/err.h>

#include "controlplane/ike/auth/revocation.hpp"

namespace trunkgate::ike {

namespace {

using distribution_point_ptr = std::unique_ptr<ISSUING_DIST_POINT, freed_by<ISSUING_DIST_POINT_free>>;
using distribution_points_ptr = std::unique_ptr<CRL_DIST_POINTS, freed_by<CRL_DIST_POINTS_free>>;
constexpr std::chrono::minutes clock_tolerance{5};

// RFC 5280 5.2: a CRL with a critical extension that is not processed must not be used.
bool has_unknown_critical(const X509_CRL* crl) {
  for (int i = 0; i < X509_CRL_get_ext_count(crl); ++i) {
    X509_EXTENSION* extension = X509_CRL_get_ext(crl, i);
    const int nid = OBJ_obj2nid(X509_EXTENSION_get_object(extension));
    if (X509_EXTENSION_get_critical(extension) != 0 && nid != NID_issuing_distribution_point &&
        nid != NID_authority_key_identifier && nid != NID_crl_number)
      return true;
  }
  return false;
}

bool share_a_name(const DIST_POINT_NAME* a, const DIST_POINT_NAME* b) {
  if (a == nullptr || b == nullptr || a->type != 0 || b->type != 0) return false;  // 0: a full name
  for (int i = 0; i < sk_GENERAL_NAME_num(a->name.fullname); ++i)
    for (int j = 0; j < sk_GENERAL_NAME_num(b->name.fullname); ++j)
      if (GENERAL_NAME_cmp(sk_GENERAL_NAME_value(a->name.fullname, i), sk_GENERAL_NAME_value(b->name.fullname, j)) == 0)
        return true;
  return false;
}

// Does its issuingDistributionPoint say that the CRL speaks for this certificate (RFC 5280 6.3.3 (b))? It can be for a
// part of the issuer's certificates.
bool is_in_scope(const X509_CRL* crl, X509* certificate) {
  int critical = -1;
  const distribution_point_ptr point(
      static_cast<ISSUING_DIST_POINT*>(X509_CRL_get_ext_d2i(crl, NID_issuing_distribution_point, &critical, nullptr)));
  if (!point) return critical == -1;  // there is none; otherwise it is malformed
  if (point->indirectCRL > 0 || point->onlysomereasons != nullptr || point->onlyattr > 0) return false;
  const bool is_ca = X509_check_ca(certificate) > 0;
  if ((point->onlyuser > 0 && is_ca) || (point->onlyCA > 0 && !is_ca)) return false;
  if (point->distpoint == nullptr) return true;
  const distribution_points_ptr own(
      static_cast<CRL_DIST_POINTS*>(X509_get_ext_d2i(certificate, NID_crl_distribution_points, nullptr, nullptr)));
  for (int i = 0; own && i < sk_DIST_POINT_num(own.get()); ++i)
    if (share_a_name(point->distpoint, sk_DIST_POINT_value(own.get(), i)->distpoint)) return true;
  return false;
}

bool may_sign_crls(X509* issuer) {
  return (X509_get_extension_flags(issuer) & EXFLAG_KUSAGE) == 0 || (X509_get_key_usage(issuer) & KU_CRL_SIGN) != 0;
}

// `why` is set where the CRL is the issuer's, but of no use.
bool is_usable(X509_CRL* crl, const revocation_question& question, std::string& why) {
  if (X509_NAME_cmp(X509_CRL_get_issuer(crl), X509_get_issuer_name(question.certificate)) != 0) return false;
  if (has_unknown_critical(crl)) {
    why = "its issuer's CRL has a critical extension that is not known here";
    return false;
  }
  if (!is_in_scope(crl, question.certificate)) return false;
  if (!may_sign_crls(question.issuer) || X509_CRL_verify(crl, X509_get0_pubkey(question.issuer)) != 1) {
    why = "a CRL in its issuer's name is not signed by it";
    return false;
  }
  const auto issued = to_time(X509_CRL_get0_lastUpdate(crl));
  if (!issued || (question.now && *issued > *question.now + clock_tolerance)) {
    why = "its issuer's CRL is from the future";
    return false;
  }
  return true;
}

bool is_out_of_date(const X509_CRL* crl, const revocation_question& question) {
  if (!question.now) return false;
  const auto next = to_time(X509_CRL_get0_nextUpdate(crl));
  return !next || *next < *question.now;  // RFC 5280 5.1.2.5: nextUpdate must be there
}

}  // namespace

revocation_answer ask_crls(const revocation_question& question, std::span<X509_CRL* const> crls) {
  X509_CRL* newest = nullptr;
  std::string why = "there is no CRL of its issuer";
  for (auto* crl : crls) {
    if (!is_usable(crl, question, why)) continue;
    if (newest == nullptr || to_time(X509_CRL_get0_lastUpdate(crl)) > to_time(X509_CRL_get0_lastUpdate(newest)))
      newest = crl;
  }
  ERR_clear_error();
  if (newest == nullptr) return {.state = revocation_state::unknown, .note = why};
  const std::string source = "(CRL of " + to_string(X509_CRL_get_issuer(newest)) + ")";
  X509_REVOKED* entry = nullptr;
  // 2: taken off the list again (RFC 5280 5.3.1, removeFromCRL)
  if (const int listed = X509_CRL_get0_by_cert(newest, &entry, question.certificate); listed == 1) {
    const auto when = to_time(X509_REVOKED_get0_revocationDate(entry));
    return {.state = revocation_state::revoked, .note = (when ? "on " + to_date(*when) + " " : "") + source};
  }
  if (is_out_of_date(newest, question)) {
    const auto next = to_time(X509_CRL_get0_nextUpdate(newest));
    return {.state = revocation_state::unknown,
            .note = "the CRL of " + to_string(X509_CRL_get_issuer(newest)) +
                    (next ? " was valid until " + to_date(*next) + " only" : " does not say how long it is valid")};
  }
  return {.state = revocation_state::good, .note = source};
}

}  // namespace trunkgate::ike
