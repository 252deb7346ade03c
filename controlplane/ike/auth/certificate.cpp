#include "controlplane/ike/auth/certificate.hpp"

#include <algorithm>
#include <cctype>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "controlplane/ike/auth/openssl_types.hpp"

namespace trunkgate::ike {

namespace {

constexpr std::size_t names_limit = 64;  // of one certificate

bytes bytes_of(const ASN1_STRING* string) {
  const auto* data = ASN1_STRING_get0_data(string);
  return {data, data + ASN1_STRING_length(string)};
}

std::optional<id_payload> identity_of(const GENERAL_NAME* name) {
  int type = 0;
  const void* value = GENERAL_NAME_get0_value(name, &type);
  switch (type) {
    case GEN_DNS: return id_payload{.type = id_type::fqdn, .data = bytes_of(static_cast<const ASN1_STRING*>(value))};
    case GEN_EMAIL:
      return id_payload{.type = id_type::rfc822, .data = bytes_of(static_cast<const ASN1_STRING*>(value))};
    case GEN_IPADD: {
      auto address = bytes_of(static_cast<const ASN1_STRING*>(value));
      if (address.size() == 4) return id_payload{.type = id_type::ipv4, .data = std::move(address)};
      if (address.size() == 16) return id_payload{.type = id_type::ipv6, .data = std::move(address)};
      return std::nullopt;
    }
    case GEN_DIRNAME:
      return id_payload{.type = id_type::dn, .data = encode_der(static_cast<const X509_NAME*>(value), i2d_X509_NAME)};
    default: return std::nullopt;
  }
}

bool same_without_case(byte_view a, byte_view b) {
  return std::ranges::equal(a, b, [](auto x, auto y) { return std::tolower(x) == std::tolower(y); });
}

// RFC 5321 2.4: the domain has no case, what is before it is the host's own affair.
bool same_mail_address(byte_view a, byte_view b) {
  const auto at_a = std::ranges::find(a, '@') - a.begin(), at_b = std::ranges::find(b, '@') - b.begin();
  if (at_a != at_b) return false;
  const auto at = static_cast<std::size_t>(at_a);
  return std::ranges::equal(a.first(at), b.first(at)) && same_without_case(a.subspan(at), b.subspan(at));
}

bool same_name(byte_view a, byte_view b) {
  const auto one = decode_der<x509_name_ptr>(a, d2i_X509_NAME);
  const auto other = decode_der<x509_name_ptr>(b, d2i_X509_NAME);
  ERR_clear_error();
  if (!one || !other || X509_NAME_entry_count(one.get()) == 0) return false;
  if (X509_NAME_cmp(one.get(), other.get()) == 0) return true;
  const x509_name_ptr reversed(X509_NAME_new());
  for (int i = X509_NAME_entry_count(other.get()); i-- > 0;)
    if (X509_NAME_add_entry(reversed.get(), X509_NAME_get_entry(other.get(), i), -1, 0) != 1) return false;
  return X509_NAME_cmp(one.get(), reversed.get()) == 0;
}

}  // namespace

result<std::vector<bytes>> load_certificates(const std::string& file) {
  const bio_ptr from(BIO_new_file(file.c_str(), "r"));
  if (!from) {
    ERR_clear_error();
    return system_failure(file);
  }
  std::vector<bytes> out;
  while (const x509_ptr certificate{PEM_read_bio_X509(from.get(), nullptr, nullptr, nullptr)})
    out.push_back(encode_der(certificate.get(), i2d_X509));
  // The end of the file is told as "no start line".
  const bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
  ERR_clear_error();
  if (!ended) return failure(file + " has a certificate that can't be read, behind " + std::to_string(out.size()));
  if (out.empty()) return failure(file + " has no certificate in PEM form");
  return out;
}

result<bytes> public_key_of(byte_view certificate_der) {
  const auto certificate = parse_certificate(certificate_der);
  if (!certificate) return failure("the certificate can't be read");
  auto key = encode_der(X509_get_X509_PUBKEY(certificate.get()), i2d_X509_PUBKEY);
  if (key.empty()) return failure("the certificate has no public key");
  return key;
}

std::vector<id_payload> identities_of(byte_view certificate_der) {
  const auto certificate = parse_certificate(certificate_der);
  if (!certificate) return {};
  std::vector<id_payload> out;
  const general_names_ptr names(
      static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(certificate.get(), NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()) && out.size() < names_limit; ++i)
    if (auto id = identity_of(sk_GENERAL_NAME_value(names.get(), i)); id && !id->data.empty())
      out.push_back(std::move(*id));
  const X509_NAME* subject = X509_get_subject_name(certificate.get());
  if (X509_NAME_entry_count(subject) > 0)
    out.push_back({.type = id_type::dn, .data = encode_der(subject, i2d_X509_NAME)});
  ERR_clear_error();
  return out;
}

result<id_payload> build_identity_from_certificate(byte_view certificate_der) {
  auto names = identities_of(certificate_der);
  // A wildcard is a pattern, and nobody's name.
  std::erase_if(names, [](const auto& id) { return id.type == id_type::fqdn && std::ranges::contains(id.data, '*'); });
  if (names.empty()) return failure("the certificate names nobody: it has neither a subject nor an alternative name");
  return std::move(names.front());
}

bool same_identity(const id_payload& a, const id_payload& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case id_type::fqdn: return same_without_case(a.data, b.data);
    case id_type::rfc822: return same_mail_address(a.data, b.data);
    case id_type::dn: return same_name(a.data, b.data);
    default: return a.data == b.data;
  }
}

std::string subject_of(byte_view certificate_der) {
  const auto certificate = parse_certificate(certificate_der);
  return certificate ? to_string(X509_get_subject_name(certificate.get())) : "(not a certificate)";
}

}  // namespace trunkgate::ike
