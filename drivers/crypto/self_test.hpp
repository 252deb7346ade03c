// Which engine does which suite: known answers decide, then the order of the candidates.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "drivers/crypto/engine.hpp"

namespace trunkgate {

// Runs the suite's known answers, ESN off and on, through the engine's `processor`: encrypts, decrypts, and has
// forgeries refused.
[[nodiscard]] result<void> self_test(const esp_engine& engine, esp_processor& processor, esp_suite suite);

// Takes for each suite the first candidate (fastest first) that passes; its note names those that failed before it.
// Fails if some suite is left without an engine.
[[nodiscard]] result<std::vector<engine_choice>> choose_engines(
    std::span<const std::unique_ptr<esp_engine>> candidates);

}  // namespace trunkgate
