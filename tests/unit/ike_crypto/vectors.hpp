// Reads tests/vectors as the IKE crypto tests need them.
#pragma once

#include <string>
#include <vector>

#include <nlohmann/json.hpp>

#include "controlplane/ike/crypto/key_schedule.hpp"

namespace trunkgate::ike::test {

using octets = std::vector<std::uint8_t>;

[[nodiscard]] octets unhex(const std::string& text);
[[nodiscard]] nlohmann::json read_vectors(const std::string& file);
[[nodiscard]] nlohmann::json read_cases(const std::string& file);  // its member "tests"
[[nodiscard]] nlohmann::json hexed(const ike_keys& keys);          // as the vectors write them

[[nodiscard]] inline octets bytes_of(const secret& one) { return {one.bytes().begin(), one.bytes().end()}; }

[[nodiscard]] inline std::uint64_t number(const octets& big_endian) {
  std::uint64_t value = 0;
  for (const auto octet : big_endian) value = value << 8 | octet;
  return value;
}

[[nodiscard]] inline std::vector<secret> secrets(const nlohmann::json& texts) {
  std::vector<secret> out;
  for (const auto& text : texts) out.emplace_back(unhex(text));
  return out;
}

[[nodiscard]] inline transform_choice encryption_of(const nlohmann::json& suite) {
  return {transform_type::encryption, suite["encryption"], suite["key_bits"]};
}
[[nodiscard]] inline ike_suite suite_of(const nlohmann::json& suite) {
  return {encryption_of(suite), suite["prf"], suite["integrity"], 0};
}

// Nonces and SPIs, with what exchange_context only looks at.
struct held_context {
  octets initiator_nonce, responder_nonce;
  std::uint64_t initiator_spi, responder_spi;
  held_context(const nlohmann::json& nonces, const nlohmann::json& spis)
      : initiator_nonce(unhex(nonces[0])),
        responder_nonce(unhex(nonces[1])),
        initiator_spi(number(unhex(spis[0]))),
        responder_spi(number(unhex(spis[1]))) {}
  [[nodiscard]] exchange_context view() const {
    return {initiator_nonce, responder_nonce, initiator_spi, responder_spi};
  }
};

}  // namespace trunkgate::ike::test
