// An engine that says all is well and does something else.
#pragma once

#include <memory>

#include "drivers/crypto/engine.hpp"

namespace trunkgate::bench {

enum class lie { encrypts_nothing, damages_what_it_opens, refuses_what_it_opens };

class lying_engine final : public esp_engine {
 public:
  explicit lying_engine(lie how) : how_(how) {}
  [[nodiscard]] std::string_view name() const noexcept override { return "lying"; }
  [[nodiscard]] bool supports(esp_suite) const noexcept override { return true; }
  [[nodiscard]] result<std::unique_ptr<esp_key>> prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const override {
    auto real = openssl_->prepare(suite, material, esn);
    if (!real) return std::unexpected(real.error());
    return std::unique_ptr<esp_key>(new key(*this, suite, esn, std::move(*real)));
  }
  [[nodiscard]] result<std::unique_ptr<esp_processor>> make_processor() const override {
    auto real = openssl_->make_processor();
    if (!real) return std::unexpected(real.error());
    return std::unique_ptr<esp_processor>(new processor(std::move(*real), how_));
  }

 private:
  struct key final : esp_key {
    key(const esp_engine& engine_of, esp_suite s, bool extended, std::unique_ptr<esp_key> inside)
        : esp_key(engine_of, s, extended), real(std::move(inside)) {}
    std::unique_ptr<esp_key> real;
  };
  class processor final : public esp_processor {
   public:
    processor(std::unique_ptr<esp_processor> real, lie how) : real_(std::move(real)), how_(how) {}
    void encrypt(std::span<esp_op* const> ops) noexcept override {
      for (auto* op : ops) work(*op, how_ != lie::encrypts_nothing, &esp_processor::encrypt);
    }
    void decrypt(std::span<esp_op* const> ops) noexcept override {
      for (auto* op : ops) {
        work(*op, how_ != lie::encrypts_nothing, &esp_processor::decrypt);
        const auto& row = info(op->key->suite);
        if (how_ == lie::damages_what_it_opens) op->esp[8 + row.iv + op->payload_length / 2] ^= 1;
        if (how_ == lie::refuses_what_it_opens) op->ok = false;
      }
    }

   private:
    void work(esp_op& op, bool really, void (esp_processor::*how)(std::span<esp_op* const>) noexcept) noexcept {
      auto inside = op;
      inside.key = static_cast<const key*>(op.key)->real.get();
      inside.ok = true;
      esp_op* const one = &inside;
      if (really) ((*real_).*how)(std::span(&one, 1));
      op.ok = inside.ok;
    }
    std::unique_ptr<esp_processor> real_;
    lie how_;
  };
  lie how_;
  std::unique_ptr<esp_engine> openssl_ = std::move(*make_openssl_engine());
};

}  // namespace trunkgate::bench
