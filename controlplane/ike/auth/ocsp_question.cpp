#include "controlplane/ike/auth/ocsp_question.hpp"

#include <algorithm>
#include <string_view>

#include <openssl/err.h>
#include <openssl/http.h>

#include "controlplane/ike/auth/openssl_types.hpp"

namespace trunkgate::ike {

namespace {

using access_ptr = std::unique_ptr<AUTHORITY_INFO_ACCESS, freed_by<AUTHORITY_INFO_ACCESS_free>>;
using request_ptr = std::unique_ptr<OCSP_REQUEST, freed_by<OCSP_REQUEST_free>>;
constexpr std::size_t url_limit = 1024;

struct at_end {
  ~at_end() { ERR_clear_error(); }
};

// The first http URL of its authorityInfoAccess for OCSP.
std::string responder_of(const X509* certificate) {
  const access_ptr access(
      static_cast<AUTHORITY_INFO_ACCESS*>(X509_get_ext_d2i(certificate, NID_info_access, nullptr, nullptr)));
  for (int i = 0; access && i < sk_ACCESS_DESCRIPTION_num(access.get()); ++i) {
    const auto* one = sk_ACCESS_DESCRIPTION_value(access.get(), i);
    if (OBJ_obj2nid(one->method) != NID_ad_OCSP || one->location->type != GEN_URI) continue;
    const auto* uri = one->location->d.uniformResourceIdentifier;
    std::string url(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                    static_cast<std::size_t>(ASN1_STRING_length(uri)));
    const bool plain = std::ranges::all_of(url, [](unsigned char c) { return c > 0x20 && c < 0x7f; });
    if (plain && url.size() <= url_limit && url.starts_with("http://")) return url;
  }
  return {};
}

std::string take(char* text) {
  std::string out(text != nullptr ? text : "");
  OPENSSL_free(text);
  return out;
}

}  // namespace

result<ocsp_question> build_ocsp_question(byte_view certificate, byte_view issuer) {
  const at_end clear_errors;
  const auto subject = parse_certificate(certificate), above = parse_certificate(issuer);
  if (!subject || !above) return failure("a certificate that can't be read");
  const std::string name = to_string(X509_get_subject_name(subject.get()));
  const auto url = responder_of(subject.get());
  if (url.empty()) return failure("the certificate " + name + " names no OCSP responder that is asked by http");

  char *host = nullptr, *port = nullptr, *path = nullptr;
  const bool parsed =
      OSSL_HTTP_parse_url(url.c_str(), nullptr, nullptr, &host, &port, nullptr, &path, nullptr, nullptr) == 1;
  ocsp_question out{.request = {}, .host = take(host), .port = take(port), .target = take(path)};
  if (!parsed || out.host.empty()) return failure("the certificate " + name + " has a malformed OCSP address");

  const request_ptr request(OCSP_REQUEST_new());
  // SHA-1 is what every responder knows (RFC 5019 2.1.1); it identifies, it secures nothing.
  OCSP_CERTID* id = OCSP_cert_to_id(EVP_sha1(), subject.get(), above.get());
  if (id == nullptr || OCSP_request_add0_id(request.get(), id) == nullptr) {
    OCSP_CERTID_free(id);
    return failure("no memory for an OCSP request");
  }
  out.request = encode_der(request.get(), i2d_OCSP_REQUEST);
  return out;
}

std::optional<time_point> fresh_until(byte_view response) {
  const at_end clear_errors;
  const auto parsed = decode_der<ocsp_response_ptr>(response, d2i_OCSP_RESPONSE);
  if (!parsed || OCSP_response_status(parsed.get()) != OCSP_RESPONSE_STATUS_SUCCESSFUL) return std::nullopt;
  const ocsp_basic_ptr basic(OCSP_response_get1_basic(parsed.get()));
  if (!basic || OCSP_resp_count(basic.get()) == 0) return std::nullopt;
  auto earliest = time_point::max();
  for (int i = 0; i < OCSP_resp_count(basic.get()); ++i) {
    ASN1_GENERALIZEDTIME* next = nullptr;
    OCSP_single_get0_status(OCSP_resp_get0(basic.get(), i), nullptr, nullptr, nullptr, &next);
    const auto until = to_time(next);
    if (!until) return std::nullopt;
    earliest = std::min(earliest, *until);
  }
  return earliest;
}

}  // namespace trunkgate::ike
