#include "tests/unit/ike_engine/pki.hpp"

#include <cstdlib>
#include <fstream>

#include <gtest/gtest.h>

namespace trunkgate::ike::test {

pki::pki(std::filesystem::path folder) : folder_(std::move(folder)) {
  run("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout ca.key -out ca.pem -days 30 "
      "-subj /CN=ca -addext keyUsage=critical,keyCertSign,cRLSign");
  std::ofstream(folder_ / "ca.cnf") << "[ca]\ndefault_ca=d\n[d]\ndatabase=index.txt\ndefault_md=sha256\n"
                                       "default_crl_days=30\ncertificate=ca.pem\nprivate_key=ca.key\n";
  std::ofstream(folder_ / "index.txt");
}

void pki::run(const std::string& command) const {
  const auto all = "cd " + folder_.string() + " && " + command + " >log 2>&1";
  // NOLINTNEXTLINE(cert-env33-c): a fixed command of a test
  ASSERT_EQ(std::system(all.c_str()), 0) << command;
}

void pki::issue(const std::string& name, const std::string& key, const std::string& more) const {
  const auto dates = more.contains("-not_after") ? std::string() : std::string(" -days 20");
  run("openssl req -x509 -CA ca.pem -CAkey ca.key -newkey " + key + " -nodes -keyout " + name + ".key -out " + name +
      ".pem -subj /CN=" + name + " -addext subjectAltName=DNS:" + name +
      " -addext basicConstraints=CA:FALSE -addext keyUsage=digitalSignature" + dates + " " + more);
}

void pki::revoke(const std::string& name) const {
  run("openssl ca -config ca.cnf -revoke " + name + ".pem && openssl ca -config ca.cnf -gencrl -out ca.crl");
}

}  // namespace trunkgate::ike::test
