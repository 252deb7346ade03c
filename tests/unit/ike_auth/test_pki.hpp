// Certificates, CRLs and OCSP responses made on the spot with OpenSSL.
#pragma once

#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/ike/auth/authenticate.hpp"
#include "controlplane/ike/auth/clock_rule.hpp"
#include "controlplane/ike/auth/openssl_types.hpp"

namespace trunkgate::ike::test {

using namespace std::chrono_literals;
using std::chrono::days;

// A moment at which the clock is believed, and around which everything is valid.
inline time_point today() { return built_at() + days(30); }

struct certificate_form {
  std::string common_name{};
  std::string alternative_names{};  // as in OpenSSL's configuration: "DNS:a.example, IP:192.0.2.1"
  std::string constraints{};        // "critical, CA:TRUE"
  std::string key_usage{}, extended_key_usage{}, name_constraints{}, distribution_points{}, information_access{};
  time_point not_before = today() - days(100), not_after = today() + days(365);
  std::string key = "P-256";  // as EVP_PKEY_Q_keygen has it, or "RSA-2048"
  std::string hash = "SHA256";
};

// A certificate with its private key.
struct identity {
  x509_ptr certificate;
  evp_pkey_ptr key;

  [[nodiscard]] bytes der() const { return encode_der(certificate.get(), i2d_X509); }
  [[nodiscard]] std::string pem() const;
  [[nodiscard]] std::string key_pem() const;
  [[nodiscard]] std::string subject() const { return to_string(X509_get_subject_name(certificate.get())); }
};

[[nodiscard]] evp_pkey_ptr make_key(const std::string& kind);
// Signed by `issuer`; nullptr: by itself.
[[nodiscard]] identity issue(const certificate_form& form, const identity* issuer);
[[nodiscard]] identity make_ca(const std::string& name, const identity* issuer = nullptr);
[[nodiscard]] identity make_peer(const std::string& domain, const identity& issuer);  // "CN=peer", DNS:domain

struct crl_form {
  std::vector<const identity*> revoked{};
  time_point issued = today() - days(1), next = today() + days(7);
  time_point revoked_on = today() - days(2);
  std::vector<std::pair<int, std::string>> extensions{};  // NID and value
  bool delta = false;
};
[[nodiscard]] crl_ptr make_crl(const identity& issuer, const crl_form& form = {});
[[nodiscard]] bytes der_of(const crl_ptr& crl);
[[nodiscard]] std::string pem_of(const crl_ptr& crl);

struct ocsp_form {
  int status = V_OCSP_CERTSTATUS_GOOD;
  time_point issued = today() - 1h;
  std::optional<time_point> next = today() + 24h;
  bool include_signer = true;
};
[[nodiscard]] bytes make_ocsp(const identity& about, const identity& issuer, const identity& signer,
                              const ocsp_form& form = {});

[[nodiscard]] bytes sign(const identity& signer, const char* hash, bool pss, byte_view octets);

// A folder that goes with the test.
class scratch {
 public:
  scratch();
  ~scratch() { std::filesystem::remove_all(path_); }
  scratch(const scratch&) = delete;
  scratch& operator=(const scratch&) = delete;
  [[nodiscard]] const std::string& path() const { return path_; }
  std::string write(const std::string& name, const std::string& text) const {
    std::ofstream(path_ + "/" + name) << text;
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

[[nodiscard]] inline bytes to_bytes(std::string_view text) { return {text.begin(), text.end()}; }

}  // namespace trunkgate::ike::test
