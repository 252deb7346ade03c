// Reads what a tunnel trusts.
#include <utility>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/trust.hpp"

namespace trunkgate::ike {

namespace {

void free_infos(STACK_OF(X509_INFO) * stack) { sk_X509_INFO_pop_free(stack, X509_INFO_free); }
using infos_ptr = std::unique_ptr<STACK_OF(X509_INFO), freed_by<free_infos>>;

// The certificates and CRLs of a PEM file; other objects in it are not ours to mind.
result<infos_ptr> read_pem(const std::string& file) {
  const bio_ptr from(BIO_new_file(file.c_str(), "r"));
  if (!from) {
    ERR_clear_error();
    return system_failure(file);
  }
  infos_ptr infos(PEM_X509_INFO_read_bio(from.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!infos) return failure(file + " has something that can't be read: certificates and CRLs in PEM form are wanted");
  return infos;
}

// SHA-1 of SubjectPublicKeyInfo: RFC 7296 3.7.
void append_authority(bytes& to, const X509* certificate) {
  const auto key = encode_der(X509_get_X509_PUBKEY(certificate), i2d_X509_PUBKEY);
  unsigned char digest[SHA_DIGEST_LENGTH];
  if (EVP_Q_digest(nullptr, "SHA1", nullptr, key.data(), key.size(), digest, nullptr) == 1)
    to.insert(to.end(), std::begin(digest), std::end(digest));
}

struct counted {
  std::size_t certificates = 0, crls = 0;
};

counted take(const STACK_OF(X509_INFO) * infos, bool certificates_too, anchor_content& into, bytes& authorities) {
  counted taken;
  for (int i = 0; i < sk_X509_INFO_num(infos); ++i) {
    X509_INFO* one = sk_X509_INFO_value(infos, i);
    if (one->x509 != nullptr && certificates_too && X509_STORE_add_cert(into.store.get(), one->x509) == 1) {
      append_authority(authorities, one->x509);
      ++taken.certificates;
    }
    if (one->crl != nullptr) {
      into.crls.emplace_back(std::exchange(one->crl, nullptr));
      ++taken.crls;
    }
  }
  return taken;
}

}  // namespace

result<std::shared_ptr<const trust_anchors>> trust_anchors::load(const std::vector<std::string>& ca_files,
                                                                 const std::vector<std::string>& crl_files) {
  auto content = std::make_shared<anchor_content>();
  content->store.reset(X509_STORE_new());
  auto made = std::make_shared<trust_anchors>();
  for (const auto& file : ca_files) {
    auto infos = read_pem(file);
    if (!infos) return std::unexpected(infos.error());
    if (take(infos->get(), true, *content, made->authorities_).certificates == 0)
      return failure(file + " has no CA certificate in PEM form");
  }
  for (const auto& file : crl_files) {
    auto infos = read_pem(file);
    if (!infos) return std::unexpected(infos.error());
    if (take(infos->get(), false, *content, made->authorities_).crls == 0)
      return failure(file + " has no CRL in PEM form");
  }
  made->store_ = std::move(content);
  return made;
}

}  // namespace trunkgate::ike
