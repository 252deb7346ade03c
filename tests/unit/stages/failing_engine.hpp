// An engine that passes its self-test and breaks later: the real one, with a switch.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "drivers/crypto/engine.hpp"

namespace trunkgate::test {

class failing_engine final : public esp_engine {
 public:
  inline static std::atomic<bool> broken{false};

  explicit failing_engine(std::unique_ptr<esp_engine> real) : real_(std::move(real)) {}
  [[nodiscard]] std::string_view name() const noexcept override { return "failing"; }
  [[nodiscard]] bool supports(esp_suite suite) const noexcept override { return real_->supports(suite); }
  [[nodiscard]] result<std::unique_ptr<esp_key>> prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const override {
    auto made = real_->prepare(suite, material, esn);
    if (!made) return std::unexpected(made.error());
    return std::unique_ptr<esp_key>(new key(*this, suite, esn, std::move(*made)));
  }
  [[nodiscard]] result<std::unique_ptr<esp_processor>> make_processor() const override {
    auto made = real_->make_processor();
    if (!made) return std::unexpected(made.error());
    return std::unique_ptr<esp_processor>(new processor(std::move(*made)));
  }

 private:
  struct key final : esp_key {
    key(const esp_engine& engine_of, esp_suite s, bool extended, std::unique_ptr<esp_key> inside)
        : esp_key(engine_of, s, extended), real(std::move(inside)) {}
    std::unique_ptr<esp_key> real;
  };
  class processor final : public esp_processor {
   public:
    explicit processor(std::unique_ptr<esp_processor> real) : real_(std::move(real)) {}
    void encrypt(std::span<esp_op* const> ops) noexcept override { each(ops, &esp_processor::encrypt); }
    void decrypt(std::span<esp_op* const> ops) noexcept override { each(ops, &esp_processor::decrypt); }

   private:
    void each(std::span<esp_op* const> ops, void (esp_processor::*work)(std::span<esp_op* const>) noexcept) noexcept {
      for (auto* op : ops) {
        op->ok = false;
        if (broken.load()) continue;
        auto inside = *op;
        inside.key = static_cast<const key*>(op->key)->real.get();
        const std::array<esp_op*, 1> one{&inside};
        ((*real_).*work)(std::span<esp_op* const>(one));
        op->ok = inside.ok;
      }
    }
    std::unique_ptr<esp_processor> real_;
  };
  std::unique_ptr<esp_engine> real_;
};

}  // namespace trunkgate::test
