#include "perf/bench/judge.hpp"

#include <algorithm>

namespace trunkgate::bench {

esp_op esp_operation(esp_suite suite, std::uint8_t* frame, std::uint32_t length, const esp_key* key) {
  const auto& row = info(suite);
  const auto fixed = static_cast<std::uint32_t>(esp_at + sizeof(esp_header) + row.iv + row.icv);
  return {.esp = frame + esp_at, .payload_length = length - fixed, .sequence_high = 0, .key = key, .ok = false};
}

bool judge_agrees(const gateway_pair& pair, esp_processor& judge, esp_suite suite, std::uint32_t sa, checker& checked,
                  std::span<std::uint8_t> frame) {
  constexpr std::uint8_t hops_on_wire = 1;
  const auto key = pair.judge_key(sa);
  if (!key) return false;
  auto op = esp_operation(suite, frame.data(), static_cast<std::uint32_t>(frame.size()), key->get());
  esp_op* const one = &op;
  judge.decrypt(std::span(&one, 1));
  if (!op.ok) return false;
  const std::uint8_t* payload = op.esp + sizeof(esp_header) + info(suite).iv;
  const std::size_t pad = payload[op.payload_length - 2];
  return checked.matches({payload, op.payload_length - std::min<std::size_t>(op.payload_length, 2 + pad)},
                         hops_on_wire);
}

}  // namespace trunkgate::bench
