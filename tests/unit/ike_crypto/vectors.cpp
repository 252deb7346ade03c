#include "tests/unit/ike_crypto/vectors.hpp"

#include <fstream>

namespace trunkgate::ike::test {

octets unhex(const std::string& text) {
  octets out(text.size() / 2);
  for (std::size_t i = 0; i < out.size(); ++i)
    out[i] = static_cast<std::uint8_t>(std::stoul(text.substr(2 * i, 2), nullptr, 16));
  return out;
}

nlohmann::json read_vectors(const std::string& file) {
  std::ifstream in(std::string(TRUNKGATE_SOURCE_DIR "/tests/vectors/") + file);
  return nlohmann::json::parse(in);
}

nlohmann::json read_cases(const std::string& file) { return read_vectors(file)["tests"]; }

nlohmann::json hexed(const ike_keys& keys) {
  const auto hex = [](const secret& one) {
    static constexpr auto digits = "0123456789abcdef";
    std::string text;
    for (const auto octet : one.bytes()) {
      text += digits[octet >> 4];
      text += digits[octet & 15];
    }
    return text;
  };
  return {{"d", hex(keys.d)},   {"ai", hex(keys.ai)}, {"ar", hex(keys.ar)}, {"ei", hex(keys.ei)},
          {"er", hex(keys.er)}, {"pi", hex(keys.pi)}, {"pr", hex(keys.pr)}};
}

}  // namespace trunkgate::ike::test
