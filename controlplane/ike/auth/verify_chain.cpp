// From the peer's certificate to one of our anchors, and from its ID payload to the certificate.
#include <algorithm>
#include <span>

#include <openssl/err.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/certificate.hpp"
#include "controlplane/ike/auth/clock_rule.hpp"
#include "controlplane/ike/auth/revocation.hpp"
#include "controlplane/ike/auth/trust.hpp"

namespace trunkgate::ike {

namespace {

using store_context_ptr = std::unique_ptr<X509_STORE_CTX, freed_by<X509_STORE_CTX_free>>;

// More than honest peers send: each costs a signature to check.
constexpr std::size_t certificates_limit = 10, revocation_limit = 10;
constexpr int depth_limit = 8, security_level = 2;  // 112 bits: RSA of 2,048, no SHA-1 in the path

std::string called(X509* certificate, int depth) {
  return (depth == 0 ? "the peer's certificate " : "the CA certificate ") +
         to_string(X509_get_subject_name(certificate));
}

std::string date_of(const ASN1_TIME* time) {
  const auto when = to_time(time);
  return when ? to_date(*when) : "a malformed date";
}

std::unexpected<error> path_failure(X509_STORE_CTX* context) {
  const int code = X509_STORE_CTX_get_error(context), depth = X509_STORE_CTX_get_error_depth(context);
  X509* at = X509_STORE_CTX_get_current_cert(context);
  if (at == nullptr) at = X509_STORE_CTX_get0_cert(context);
  const auto subject = called(at, depth);
  switch (code) {
    case X509_V_ERR_CERT_HAS_EXPIRED: return failure(subject + " expired on " + date_of(X509_get0_notAfter(at)));
    case X509_V_ERR_CERT_NOT_YET_VALID:
      return failure(subject + " is valid from " + date_of(X509_get0_notBefore(at)) + " on only");
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
    case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
    case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
      return failure("no CA of ours issued " + subject + ": its issuer is " + to_string(X509_get_issuer_name(at)));
    case X509_V_ERR_CERT_SIGNATURE_FAILURE: return failure(subject + " has a signature that is not its issuer's");
    case X509_V_ERR_INVALID_CA: return failure(subject + " issued another one, but is no CA");
    case X509_V_ERR_PATH_LENGTH_EXCEEDED: return failure(subject + " may not have that many CAs below it");
    case X509_V_ERR_CERT_CHAIN_TOO_LONG: return failure("the peer's certificate path is too long");
    case X509_V_ERR_PERMITTED_VIOLATION:
    case X509_V_ERR_EXCLUDED_VIOLATION:
      return failure(subject + " has a name that a CA above it may not certify (name constraints)");
    case X509_V_ERR_EE_KEY_TOO_SMALL:
    case X509_V_ERR_CA_KEY_TOO_SMALL: return failure(subject + " has a key that is too weak");
    case X509_V_ERR_CA_MD_TOO_WEAK: return failure(subject + " is signed with a hash that is too weak");
    default: return failure(subject + ": " + X509_verify_cert_error_string(code));
  }
}

// RFC 4945 5.1.3.2 and 5.1.3.12: what the certificate was made for must not exclude IKE.
result<void> check_purpose(X509* certificate) {
  const auto flags = X509_get_extension_flags(certificate);
  if ((flags & EXFLAG_KUSAGE) != 0 &&
      (X509_get_key_usage(certificate) & (KU_DIGITAL_SIGNATURE | KU_NON_REPUDIATION)) == 0)
    return failure(called(certificate, 0) +
                   " is not for signatures: its key usage has neither digitalSignature nor "
                   "nonRepudiation");
  if ((flags & EXFLAG_XKUSAGE) == 0) return {};
  const std::unique_ptr<EXTENDED_KEY_USAGE, freed_by<EXTENDED_KEY_USAGE_free>> uses(
      static_cast<EXTENDED_KEY_USAGE*>(X509_get_ext_d2i(certificate, NID_ext_key_usage, nullptr, nullptr)));
  for (int i = 0; uses && i < sk_ASN1_OBJECT_num(uses.get()); ++i) {
    const int nid = OBJ_obj2nid(sk_ASN1_OBJECT_value(uses.get(), i));
    if (nid == NID_anyExtendedKeyUsage || nid == NID_ipsec_IKE || nid == NID_server_auth || nid == NID_client_auth)
      return {};
  }
  return failure(called(certificate, 0) +
                 " is not for IKE: its extended key usage has none of ipsecIKE, serverAuth, "
                 "clientAuth and any");
}

bool is_proved(const id_payload& id, const std::vector<id_payload>& names) {
  // A wildcard in a certificate stands for names that it does not say: it proves none (RFC 4945 3.1.2).
  if (id.type == id_type::fqdn && std::ranges::contains(id.data, '*')) return false;
  return std::ranges::any_of(names, [&id](const auto& name) { return same_identity(id, name); });
}

std::string list_of(const std::vector<id_payload>& names) {
  constexpr std::size_t shown = 5;
  std::string out;
  for (std::size_t i = 0; i < std::min(names.size(), shown); ++i) out += (i > 0 ? " and " : "") + to_string(names[i]);
  return names.empty() ? "nothing" : out + (names.size() > shown ? " and more" : "");
}

result<void> check_identity(const chain_input& input) {
  const auto names = identities_of(input.certificates.front());
  if (!is_proved(input.claimed, names))
    return failure("the peer says it is " + to_string(input.claimed) + ", its certificate proves " + list_of(names));
  // What we look for may also stand beside what the peer calls itself.
  if (input.expected && !same_identity(*input.expected, input.claimed) && !is_proved(*input.expected, names))
    return failure("the peer is " + to_string(input.claimed) + ", but " + to_string(*input.expected) +
                   " is expected here; its certificate proves " + list_of(names));
  return {};
}

// Builds the path and keeps it in `context`.
result<void> build_path(const anchor_content& trusted, X509* own, STACK_OF(X509) * others,
                        const std::optional<time_point>& now, X509_STORE_CTX* context) {
  if (X509_STORE_CTX_init(context, trusted.store.get(), own, others) != 1) return failure("no memory for a path");
  auto* parameters = X509_STORE_CTX_get0_param(context);
  X509_VERIFY_PARAM_set_depth(parameters, depth_limit);
  X509_VERIFY_PARAM_set_auth_level(parameters, security_level);
  // An anchor need not be a root: who names an intermediate, or the peer's own certificate, means just that.
  unsigned long flags = X509_V_FLAG_PARTIAL_CHAIN | X509_V_FLAG_TRUSTED_FIRST;
  if (now)
    X509_VERIFY_PARAM_set_time(parameters, std::chrono::system_clock::to_time_t(*now));
  else
    flags |= X509_V_FLAG_NO_CHECK_TIME;
  X509_VERIFY_PARAM_set_flags(parameters, flags);
  const int verified = X509_verify_cert(context);
  ERR_clear_error();
  if (verified != 1) return path_failure(context);
  return {};
}

class revocation_check {
 public:
  revocation_check(const anchor_content& trusted, const chain_input& input) : input_(input) {
    for (const auto& crl : trusted.crls) crls_.push_back(crl.get());
    for (const auto& der : input.crls) {
      if (received_.size() >= revocation_limit) break;
      if (auto crl = decode_der<crl_ptr>(der, d2i_X509_CRL)) received_.push_back(std::move(crl));
    }
    for (const auto& crl : received_) crls_.push_back(crl.get());
    ERR_clear_error();
  }

  // Every certificate of the path but the anchor. Fills `revocation` and `not_known` of `peer`.
  [[nodiscard]] result<void> judge(const STACK_OF(X509) * path, const std::optional<time_point>& now,
                                   verified_peer& peer) const {
    peer.revocation = "not asked for: the certificate itself is trusted";
    for (int i = sk_X509_num(path) - 2; i >= 0; --i) {
      X509 *certificate = sk_X509_value(path, i), *issuer = sk_X509_value(path, i + 1);
      const auto answer = ask({.certificate = certificate, .issuer = issuer, .now = now});
      if (answer.state == revocation_state::revoked)
        return failure(called(certificate, i) + " was revoked " + answer.note);
      if (answer.state == revocation_state::unknown && input_.revocation == revocation_mode::strict)
        return failure("nothing is known of a revocation of " + called(certificate, i) + ": " + answer.note);
      const bool is_known = answer.state == revocation_state::good;
      peer.revocation = (is_known ? "not revoked " : "nothing is known: ") + answer.note;
      if (!is_known)
        peer.not_known.push_back(
            {.certificate = encode_der(certificate, i2d_X509), .issuer = encode_der(issuer, i2d_X509)});
    }
    return {};
  }

 private:
  // Who says "revoked" is believed before who says "good".
  [[nodiscard]] revocation_answer ask(const revocation_question& question) const {
    auto best = ask_crls(question, crls_);
    for (const auto& der :
         std::span(input_.ocsp_responses).first(std::min(input_.ocsp_responses.size(), revocation_limit))) {
      if (best.state == revocation_state::revoked) break;
      auto answer = ask_ocsp(question, der);
      if (answer.state > best.state)
        best = std::move(answer);
      else if (best.state == revocation_state::unknown)
        best.note += "; " + answer.note;
    }
    return best;
  }

  const chain_input& input_;
  std::vector<crl_ptr> received_;
  std::vector<X509_CRL*> crls_;
};

// `path` may be one that did not reach an anchor.
verified_peer describe(const STACK_OF(X509) * path, const chain_input& input) {
  verified_peer peer{.subject = subject_of(input.certificates.front()),
                     .path = {},
                     .not_after = time_point::max(),
                     .revocation = "not asked for",
                     .certificate = input.certificates.front()};
  for (int i = 0; i < sk_X509_num(path); ++i) {
    peer.path.push_back(to_string(X509_get_subject_name(sk_X509_value(path, i))));
    if (const auto until = to_time(X509_get0_notAfter(sk_X509_value(path, i))))
      peer.not_after = std::min(peer.not_after, *until);
  }
  return peer;
}

std::unexpected<refused_peer> refused(std::string reason) {
  return std::unexpected(refused_peer{.reason = std::move(reason), .governs = "remote.ca"});
}

std::unexpected<refused_peer> refused(error why, std::string governs, verified_peer peer) {
  return std::unexpected(refused_peer{.reason = std::move(why.reason),
                                      .governs = std::move(governs),
                                      .subject = std::move(peer.subject),
                                      .path = std::move(peer.path),
                                      .not_after = peer.not_after});
}

}  // namespace

chain_verdict verify_chain(const trust_anchors& anchors, const chain_input& input) {
  if (input.certificates.empty()) return refused("the peer sent no certificate");
  if (input.certificates.size() > certificates_limit)
    return refused("the peer sent more than " + std::to_string(certificates_limit) + " certificates");
  const x509_stack_ptr others(sk_X509_new_null());
  x509_ptr own = parse_certificate(input.certificates.front());
  if (!own) return refused("the peer's certificate can't be read");
  for (const auto& der : std::span(input.certificates).subspan(1))
    if (auto other = parse_certificate(der)) sk_X509_push(others.get(), other.release());

  const auto now = is_clock_set(input.now) ? std::optional(input.now) : std::nullopt;
  const auto& trusted = chain_check::content(anchors);
  const store_context_ptr context(X509_STORE_CTX_new());
  const auto built = build_path(trusted, own.get(), others.get(), now, context.get());
  const auto* path = X509_STORE_CTX_get0_chain(context.get());
  auto peer = describe(path, input);
  if (!built) return refused(built.error(), "remote.ca", std::move(peer));
  if (auto fit = check_purpose(own.get()); !fit) return refused(fit.error(), "remote.ca", std::move(peer));
  if (auto same = check_identity(input); !same) return refused(same.error(), "remote.id", std::move(peer));

  peer.dates_not_judged = !now;
  if (input.revocation == revocation_mode::off) return peer;
  if (auto lives = revocation_check(trusted, input).judge(path, now, peer); !lives)
    return refused(lives.error(), "remote.revocation", std::move(peer));
  return peer;
}

}  // namespace trunkgate::ike
