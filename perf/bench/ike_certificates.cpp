#include "perf/bench/ike_certificates.hpp"

#include <cstdio>
#include <memory>

#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

namespace trunkgate::bench {

namespace {

using certificate_pointer = std::unique_ptr<X509, decltype(&X509_free)>;

bool add_extension(X509* certificate, X509* issuer, int kind, const char* value) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  auto* extension = X509V3_EXT_conf_nid(nullptr, &context, kind, value);
  const bool done = extension != nullptr && X509_add_ext(certificate, extension, -1) == 1;
  X509_EXTENSION_free(extension);
  return done;
}

// `issuer` and its key; the certificate signs itself if there is none.
certificate_pointer make_certificate(const std::string& name, EVP_PKEY* key, X509* issuer, EVP_PKEY* issuer_key,
                                     long serial) {
  certificate_pointer out(X509_new(), X509_free);
  const bool is_authority = issuer == nullptr;
  X509_set_version(out.get(), 2);
  ASN1_INTEGER_set(X509_get_serialNumber(out.get()), serial);
  X509_gmtime_adj(X509_getm_notBefore(out.get()), -86400);
  X509_gmtime_adj(X509_getm_notAfter(out.get()), 86400);
  X509_set_pubkey(out.get(), key);
  X509_NAME_add_entry_by_txt(X509_get_subject_name(out.get()), "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(out.get(), X509_get_subject_name(is_authority ? out.get() : issuer));
  bool good = add_extension(out.get(), is_authority ? out.get() : issuer, NID_basic_constraints,
                            is_authority ? "critical,CA:TRUE" : "critical,CA:FALSE");
  good = good && add_extension(out.get(), issuer, NID_key_usage,
                               is_authority ? "critical,keyCertSign,cRLSign" : "critical,digitalSignature");
  if (!is_authority) good = good && add_extension(out.get(), issuer, NID_subject_alt_name, ("DNS:" + name).c_str());
  const bool own_hash = EVP_PKEY_is_a(issuer_key, "ED25519") == 1;
  good = good && X509_sign(out.get(), issuer_key, own_hash ? nullptr : EVP_sha256()) != 0;
  return good ? std::move(out) : certificate_pointer(nullptr, X509_free);
}

bool write(const std::filesystem::path& file, const auto& writer) {
  std::unique_ptr<std::FILE, int (*)(std::FILE*)> out(std::fopen(file.c_str(), "w"), std::fclose);
  return out && writer(out.get()) == 1;
}

}  // namespace

key_pointer make_key(const std::string& kind) {
  EVP_PKEY* key = kind == "rsa"     ? EVP_RSA_gen(3072)
                  : kind == "ecdsa" ? EVP_EC_gen("P-256")
                                    : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
  return {key, EVP_PKEY_free};
}

result<void> write_certificates(const std::string& kind, const std::filesystem::path& folder) {
  const auto authority_key = make_key(kind);
  const auto authority = make_certificate("bench CA", authority_key.get(), nullptr, authority_key.get(), 1);
  bool good = authority && write(folder / "ca.pem", [&](auto* to) { return PEM_write_X509(to, authority.get()); });
  long serial = 2;
  for (const std::string side : {"left", "right"}) {
    const auto key = make_key(kind);
    const auto own = make_certificate(side + ".example", key.get(), authority.get(), authority_key.get(), serial++);
    good = good && own && write(folder / (side + ".pem"), [&](auto* to) { return PEM_write_X509(to, own.get()); }) &&
           write(folder / (side + ".key"),
                 [&](auto* to) { return PEM_write_PrivateKey(to, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  }
  if (!good) return failure("the " + kind + " certificates of the benchmark could not be made in " + folder.string());
  return {};
}

}  // namespace trunkgate::bench
