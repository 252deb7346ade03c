// Asks trunkgated over its control socket, and waits for the answer.
#pragma once

#include <chrono>
#include <string>
#include <utility>

#include <nlohmann/json.hpp>

#include "controlplane/cli/verbs.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

class control_client {
 public:
  [[nodiscard]] static result<control_client> connect(const std::string& path);
  // To the daemon whose run directory the options name.
  [[nodiscard]] static result<control_client> connect(const arguments& given);
  control_client(control_client&& other) noexcept : descriptor_(std::exchange(other.descriptor_, -1)) {}
  control_client& operator=(control_client&&) = delete;
  ~control_client();

  // The daemon's answer; what it says as "error" is the failure.
  [[nodiscard]] result<nlohmann::ordered_json> ask(const nlohmann::ordered_json& request,
                                                   std::chrono::seconds patience = std::chrono::seconds(30));

 private:
  explicit control_client(int descriptor) : descriptor_(descriptor) {}
  [[nodiscard]] result<void> send(std::string_view text, std::chrono::steady_clock::time_point until) const;
  [[nodiscard]] result<std::string> receive(std::chrono::steady_clock::time_point until) const;
  int descriptor_;
};

}  // namespace trunkgate
