// Certificates made by the OpenSSL command, which knows nothing of us.
#pragma once

#include <filesystem>
#include <string>

namespace trunkgate::ike::test {

class pki {
 public:
  explicit pki(std::filesystem::path folder);  // with a CA of its own: ca.pem
  // NAME.pem and NAME.key in the folder; `key` as `openssl req -newkey` takes it: "rsa:2048", "ed25519", "ec -pkeyopt
  // ec_paramgen_curve:P-256". `more` goes to `openssl req`.
  void issue(const std::string& name, const std::string& key, const std::string& more = {}) const;
  void revoke(const std::string& name) const;  // into ca.crl

 private:
  void run(const std::string& command) const;
  std::filesystem::path folder_;
};

}  // namespace trunkgate::ike::test
