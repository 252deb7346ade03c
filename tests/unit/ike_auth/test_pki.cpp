#include "tests/unit/ike_auth/test_pki.hpp"

#include <stdlib.h>

#include <stdexcept>

#include <openssl/err.h>
#include <openssl/pem.h>

namespace trunkgate::ike::test {

namespace {

void require(bool fine, const char* what) {
  if (fine) return;
  ERR_print_errors_fp(stderr);
  throw std::runtime_error(what);
}

std::time_t seconds(time_point time) { return std::chrono::system_clock::to_time_t(time); }

std::string text_of(BIO* memory) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(memory, &data);
  return {data, static_cast<std::size_t>(size)};
}

void add_extension(X509* to, X509* issuer, int nid, const std::string& value) {
  if (value.empty()) return;
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, to, nullptr, nullptr, 0);
  X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
  require(extension != nullptr && X509_add_ext(to, extension, -1) == 1, value.c_str());
  X509_EXTENSION_free(extension);
}

const EVP_MD* digest_for(const evp_pkey_ptr& key, const std::string& hash) {
  if (EVP_PKEY_is_a(key.get(), "ED25519") == 1 || EVP_PKEY_is_a(key.get(), "ED448") == 1) return nullptr;
  return EVP_get_digestbyname(hash.c_str());
}

long next_serial() {
  static long serial = 1000;
  return ++serial;
}

}  // namespace

std::string identity::pem() const {
  const bio_ptr memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(memory.get(), certificate.get());
  return text_of(memory.get());
}

std::string identity::key_pem() const {
  const bio_ptr memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_PrivateKey(memory.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr);
  return text_of(memory.get());
}

evp_pkey_ptr make_key(const std::string& kind) {
  EVP_PKEY* key = nullptr;
  if (kind.starts_with("RSA-"))
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", static_cast<std::size_t>(std::stoul(kind.substr(4))));
  else if (kind.starts_with("ED"))
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, kind.c_str());
  else
    key = EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", kind.c_str());
  require(key != nullptr, kind.c_str());
  return evp_pkey_ptr(key);
}

identity issue(const certificate_form& form, const identity* issuer) {
  identity made{.certificate = x509_ptr(X509_new()), .key = make_key(form.key)};
  X509* certificate = made.certificate.get();
  X509_set_version(certificate, X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), next_serial());
  ASN1_TIME_set(X509_getm_notBefore(certificate), seconds(form.not_before));
  ASN1_TIME_set(X509_getm_notAfter(certificate), seconds(form.not_after));
  X509_NAME* name = X509_get_subject_name(certificate);
  if (!form.common_name.empty()) {
    const auto add = [name](const char* type, const std::string& value) {
      X509_NAME_add_entry_by_txt(name, type, MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(value.c_str()), -1,
                                 -1, 0);
    };
    add("O", "Example");
    add("CN", form.common_name);
  }
  X509* above = issuer != nullptr ? issuer->certificate.get() : certificate;
  X509_set_issuer_name(certificate, X509_get_subject_name(above));
  X509_set_pubkey(certificate, made.key.get());
  add_extension(certificate, above, NID_basic_constraints, form.constraints);
  add_extension(certificate, above, NID_key_usage, form.key_usage);
  add_extension(certificate, above, NID_ext_key_usage, form.extended_key_usage);
  add_extension(certificate, above, NID_subject_alt_name, form.alternative_names);
  add_extension(certificate, above, NID_name_constraints, form.name_constraints);
  add_extension(certificate, above, NID_crl_distribution_points, form.distribution_points);
  add_extension(certificate, above, NID_info_access, form.information_access);
  const auto& signer = issuer != nullptr ? issuer->key : made.key;
  require(X509_sign(certificate, signer.get(), digest_for(signer, form.hash)) > 0, "sign a certificate");
  return made;
}

identity make_ca(const std::string& name, const identity* issuer) {
  return issue({.common_name = name, .constraints = "critical, CA:TRUE", .key_usage = "critical, keyCertSign, cRLSign"},
               issuer);
}

identity make_peer(const std::string& domain, const identity& issuer) {
  return issue({.common_name = "peer", .alternative_names = "DNS:" + domain}, &issuer);
}

crl_ptr make_crl(const identity& issuer, const crl_form& form) {
  crl_ptr crl(X509_CRL_new());
  X509_CRL_set_version(crl.get(), X509_CRL_VERSION_2);
  X509_CRL_set_issuer_name(crl.get(), X509_get_subject_name(issuer.certificate.get()));
  const std::unique_ptr<ASN1_TIME, freed_by<ASN1_TIME_free>> issued(ASN1_TIME_set(nullptr, seconds(form.issued))),
      next(ASN1_TIME_set(nullptr, seconds(form.next))), on(ASN1_TIME_set(nullptr, seconds(form.revoked_on)));
  X509_CRL_set1_lastUpdate(crl.get(), issued.get());
  X509_CRL_set1_nextUpdate(crl.get(), next.get());
  for (const auto* one : form.revoked) {
    X509_REVOKED* entry = X509_REVOKED_new();
    X509_REVOKED_set_serialNumber(entry, X509_get_serialNumber(one->certificate.get()));
    X509_REVOKED_set_revocationDate(entry, on.get());
    require(X509_CRL_add0_revoked(crl.get(), entry) == 1, "add to a CRL");
  }
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer.certificate.get(), nullptr, nullptr, crl.get(), 0);
  for (const auto& [nid, value] : form.extensions) {
    X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str());
    require(extension != nullptr && X509_CRL_add_ext(crl.get(), extension, -1) == 1, value.c_str());
    X509_EXTENSION_free(extension);
  }
  if (form.delta) {
    const std::unique_ptr<ASN1_INTEGER, freed_by<ASN1_INTEGER_free>> base(ASN1_INTEGER_new());
    ASN1_INTEGER_set(base.get(), 1);
    require(X509_CRL_add1_ext_i2d(crl.get(), NID_delta_crl, base.get(), 1, 0) == 1, "make a delta CRL");
  }
  X509_CRL_sort(crl.get());
  require(X509_CRL_sign(crl.get(), issuer.key.get(), digest_for(issuer.key, "SHA256")) > 0, "sign a CRL");
  return crl;
}

bytes der_of(const crl_ptr& crl) { return encode_der(crl.get(), i2d_X509_CRL); }

std::string pem_of(const crl_ptr& crl) {
  const bio_ptr memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509_CRL(memory.get(), crl.get());
  return text_of(memory.get());
}

bytes make_ocsp(const identity& about, const identity& issuer, const identity& signer, const ocsp_form& form) {
  const ocsp_basic_ptr basic(OCSP_BASICRESP_new());
  const ocsp_id_ptr id(OCSP_cert_to_id(EVP_sha1(), about.certificate.get(), issuer.certificate.get()));
  using generalized_ptr = std::unique_ptr<ASN1_GENERALIZEDTIME, freed_by<ASN1_GENERALIZEDTIME_free>>;
  const generalized_ptr from(ASN1_GENERALIZEDTIME_set(nullptr, seconds(form.issued))),
      until(form.next ? ASN1_GENERALIZEDTIME_set(nullptr, seconds(*form.next)) : nullptr),
      when(ASN1_GENERALIZEDTIME_set(nullptr, seconds(today() - days(2))));
  require(OCSP_basic_add1_status(basic.get(), id.get(), form.status, 0,
                                 form.status == V_OCSP_CERTSTATUS_REVOKED ? when.get() : nullptr, from.get(),
                                 until.get()) != nullptr,
          "add an OCSP status");
  require(OCSP_basic_sign(basic.get(), signer.certificate.get(), signer.key.get(), EVP_sha256(), nullptr,
                          form.include_signer ? 0 : OCSP_NOCERTS) == 1,
          "sign an OCSP response");
  const ocsp_response_ptr response(OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic.get()));
  return encode_der(response.get(), i2d_OCSP_RESPONSE);
}

bytes sign(const identity& signer, const char* hash, bool pss, byte_view octets) {
  const std::unique_ptr<EVP_MD_CTX, freed_by<EVP_MD_CTX_free>> context(EVP_MD_CTX_new());
  EVP_PKEY_CTX* key_context = nullptr;
  require(EVP_DigestSignInit_ex(context.get(), &key_context, hash, nullptr, nullptr, signer.key.get(), nullptr) == 1,
          "sign");
  if (pss) {
    EVP_PKEY_CTX_set_rsa_padding(key_context, RSA_PKCS1_PSS_PADDING);
    EVP_PKEY_CTX_set_rsa_pss_saltlen(key_context, RSA_PSS_SALTLEN_DIGEST);
  }
  bytes out(static_cast<std::size_t>(EVP_PKEY_get_size(signer.key.get())));
  std::size_t size = out.size();
  require(EVP_DigestSign(context.get(), out.data(), &size, octets.data(), octets.size()) == 1, "sign");
  out.resize(size);
  return out;
}

scratch::scratch() {
  char name[] = "/tmp/trunkgate-test-XXXXXX";
  require(::mkdtemp(name) != nullptr, "mkdtemp");
  path_ = name;
}

}  // namespace trunkgate::ike::test
