// Network namespaces of the tests' own, and iproute2 in them: for set-up, and as the judge who knows nothing of our
// code.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

namespace trunkgate::testing {

// Runs a shell command in the current network namespace; fails the test when the command fails. Returns its output.
std::string shell(const std::string& command);
nlohmann::json ip_json(const std::string& arguments);  // `ip -j ARGUMENTS`

// Puts the process into a new network namespace (with lo up) and back into the former one at the end.
class fresh_namespace {
 public:
  fresh_namespace();
  fresh_namespace(const fresh_namespace&) = delete;
  fresh_namespace& operator=(const fresh_namespace&) = delete;
  ~fresh_namespace();

 private:
  int former_;
};

// A packet socket on a device.
class packet_socket {
 public:
  explicit packet_socket(const std::string& device);
  packet_socket(const packet_socket&) = delete;
  packet_socket& operator=(const packet_socket&) = delete;
  ~packet_socket();
  void send(const std::string& frame) const;
  // True when a frame with this text inside arrives in time.
  [[nodiscard]] bool sees(const std::string& text, int milliseconds) const;

 private:
  int descriptor_;
};

}  // namespace trunkgate::testing
