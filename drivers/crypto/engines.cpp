#include <array>
#include <cassert>

#include "drivers/crypto/engine.hpp"
#include "drivers/crypto/self_test.hpp"

namespace trunkgate {

result<std::vector<engine_choice>> choose_engines(std::span<const std::unique_ptr<esp_engine>> candidates) {
  std::vector<std::unique_ptr<esp_processor>> processors;
  for (const auto& candidate : candidates) {
    auto processor = candidate->make_processor();
    processors.push_back(processor ? std::move(*processor) : nullptr);
  }
  std::vector<engine_choice> choices;
  for (const auto& row : esp_suites) {
    engine_choice choice{row.suite, nullptr, ""};
    for (std::size_t i = 0; i < candidates.size(); ++i) {
      const auto& candidate = *candidates[i];
      if (!candidate.supports(row.suite)) continue;
      if (processors[i] && self_test(candidate, *processors[i], row.suite)) {
        choice.engine = &candidate;
        break;
      }
      if (!choice.note.empty()) choice.note += ", ";
      choice.note += std::string(candidate.name()) + " failed its self-test";
    }
    if (choice.engine == nullptr)
      return failure("suite " + std::string(row.name) + " has no working engine" +
                     (choice.note.empty() ? "" : ": " + choice.note));
    choices.push_back(std::move(choice));
  }
  return choices;
}

result<crypto_engines> crypto_engines::start(std::vector<std::unique_ptr<esp_engine>> candidates) {
  crypto_engines started;
  started.engines_ = std::move(candidates);
  auto choices = choose_engines(started.engines_);
  if (!choices) return std::unexpected(choices.error());
  started.choices_ = std::move(*choices);
  return started;
}

result<crypto_engines> crypto_engines::start() {
  std::vector<std::unique_ptr<esp_engine>> candidates;
  std::string absent;
  // Fastest first, as measured: docs/decisions/0017-own-aes-gcm.md
  for (const auto width : {vaes_width::bits_512, vaes_width::bits_256})
    if (auto own = make_vaes_gcm_engine(width)) candidates.push_back(std::move(*own));
  if (ipsec_mb_passes_over_vaes())
    if (auto vaes = make_ipsec_mb_vaes_engine()) candidates.push_back(std::move(*vaes));
  if (auto fast = make_ipsec_mb_engine())
    candidates.push_back(std::move(*fast));
  else
    absent = fast.error().reason;
  auto reference = make_openssl_engine();
  if (!reference) return std::unexpected(reference.error());
  candidates.push_back(std::move(*reference));
  auto started = start(std::move(candidates));
  if (started && !absent.empty())
    for (auto& choice : started->choices_) choice.note = absent + (choice.note.empty() ? "" : ", " + choice.note);
  return started;
}

result<std::unique_ptr<esp_key>> crypto_engines::prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const {
  return choices_[static_cast<std::size_t>(suite)].engine->prepare(suite, material, esn);
}

result<crypto_worker> crypto_worker::make(const crypto_engines& engines) {
  crypto_worker made;
  for (const auto& engine : engines.engines()) {
    bool chosen = false;
    for (const auto& choice : engines.choices()) chosen |= choice.engine == engine.get();
    if (!chosen) continue;
    auto processor = engine->make_processor();
    if (!processor) return std::unexpected(processor.error());
    made.parts_.push_back({engine.get(), std::move(*processor)});
  }
  return made;
}

namespace {

// One pass per engine until every operation has found its own: nearly always one pass.
template <class Parts, class Process>
void by_engine(Parts& parts, std::span<esp_op> ops, Process process) noexcept {
  assert(ops.size() <= crypto_worker::burst_limit);
  std::array<esp_op*, crypto_worker::burst_limit> sorted;
  std::size_t done = 0;
  for (auto& part : parts) {
    if (done == ops.size()) return;
    std::size_t count = 0;
    for (auto& op : ops)
      if (&op.key->engine == part.engine) sorted[count++] = &op;
    if (count != 0) process(*part.processor, std::span<esp_op* const>(sorted.data(), count));
    done += count;
  }
  assert(done == ops.size());
}

}  // namespace

void crypto_worker::encrypt(std::span<esp_op> ops) noexcept {
  by_engine(parts_, ops, [](esp_processor& processor, auto own) { processor.encrypt(own); });
}

void crypto_worker::decrypt(std::span<esp_op> ops) noexcept {
  by_engine(parts_, ops, [](esp_processor& processor, auto own) { processor.decrypt(own); });
}

}  // namespace trunkgate
