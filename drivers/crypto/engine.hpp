// ESP's cryptography behind one small interface: prepare a key, process a burst.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/core/bytes.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/core/suite.hpp"

namespace trunkgate {

class esp_engine;

// A prepared key: expanded cipher and authentication keys of one SA direction. Immutable, shared by all workers, wiped
// when destroyed. Made by an engine, only understood by it.
class esp_key {
 public:
  virtual ~esp_key() = default;
  esp_key(const esp_key&) = delete;
  esp_key& operator=(const esp_key&) = delete;

  const esp_engine& engine;
  const esp_suite suite;
  const bool esn;

 protected:
  esp_key(const esp_engine& made_by, esp_suite s, bool extended) : engine(made_by), suite(s), esn(extended) {}
};

// One ESP packet, worked on in place and contiguous: SPI, sequence number, IV, payload with trailer, ICV.
struct esp_op {
  std::uint8_t* esp = nullptr;       // first byte of the SPI; the IV is already written when encrypting
  std::uint32_t payload_length = 0;  // bytes between IV and ICV: a whole number of the cipher's blocks
  std::uint32_t sequence_high = 0;  // high half of the extended sequence number; used only if key->esn (RFC 4303 2.2.1)
  const esp_key* key = nullptr;
  bool ok =
      false;  // out: encrypted; or authenticated and decrypted. When false after decrypt, the payload is undefined
};

// An engine's per-thread half: no lock, allocation or system call in encrypt and decrypt.
class esp_processor {
 public:
  virtual ~esp_processor() = default;
  virtual void encrypt(std::span<esp_op* const> ops) noexcept = 0;  // all ops' keys are of this engine
  virtual void decrypt(std::span<esp_op* const> ops) noexcept = 0;  // ICVs are compared in constant time
};

// An engine's shared half. Thread-safe.
class esp_engine {
 public:
  virtual ~esp_engine() = default;
  [[nodiscard]] virtual std::string_view name() const noexcept = 0;  // "vaes512-gcm", "ipsec-mb", "openssl"
  [[nodiscard]] virtual bool supports(esp_suite suite) const noexcept = 0;
  // `material` has info(suite).key_material() bytes: cipher key, then salt, then authentication key.
  [[nodiscard]] virtual result<std::unique_ptr<esp_key>> prepare(esp_suite suite,
                                                                 std::span<const std::uint8_t> material,
                                                                 bool esn) const = 0;
  [[nodiscard]] virtual result<std::unique_ptr<esp_processor>> make_processor() const = 0;
};

enum class vaes_width : std::uint8_t { bits_256, bits_512 };
// AES-GCM only, by kernels of our own ("vaes256-gcm", "vaes512-gcm"). Fails where the processor lacks the instructions.
[[nodiscard]] result<std::unique_ptr<esp_engine>> make_vaes_gcm_engine(vaes_width width);
[[nodiscard]] result<std::unique_ptr<esp_engine>> make_ipsec_mb_engine();
// AES-GCM and GMAC only, by IPsec-MB's 256-bit VAES code. Fails where the processor or the library lacks it.
[[nodiscard]] result<std::unique_ptr<esp_engine>> make_ipsec_mb_vaes_engine();
[[nodiscard]] bool ipsec_mb_passes_over_vaes();  // true where IPsec-MB by itself takes code slower than that
[[nodiscard]] result<std::unique_ptr<esp_engine>> make_openssl_engine();

struct engine_choice {
  esp_suite suite;
  const esp_engine* engine;
  std::string note;  // why not the other: "ipsec-mb failed its self-test", ""
};

// All engines of this machine, self-tested against known answers at start; one chosen per suite (the fastest that
// passed).
class crypto_engines {
 public:
  [[nodiscard]] static result<crypto_engines> start();  // fails if some suite has no engine that passes its self-test
  [[nodiscard]] static result<crypto_engines> start(
      std::vector<std::unique_ptr<esp_engine>> candidates);  // fastest first
  [[nodiscard]] std::span<const engine_choice> choices() const { return choices_; }
  [[nodiscard]] result<std::unique_ptr<esp_key>> prepare(esp_suite suite, std::span<const std::uint8_t> material,
                                                         bool esn) const;
  [[nodiscard]] std::span<const std::unique_ptr<esp_engine>> engines() const { return engines_; }

 private:
  std::vector<std::unique_ptr<esp_engine>> engines_;
  std::vector<engine_choice> choices_;
};

// What one worker uses: sorts a burst by engine and hands each engine all its operations at once.
class crypto_worker {
 public:
  static constexpr std::size_t burst_limit = 512;
  [[nodiscard]] static result<crypto_worker> make(const crypto_engines& engines);
  void encrypt(std::span<esp_op> ops) noexcept;  // at most burst_limit
  void decrypt(std::span<esp_op> ops) noexcept;

 private:
  struct part {
    const esp_engine* engine;
    std::unique_ptr<esp_processor> processor;
  };
  std::vector<part> parts_;
};

// Unpredictable CBC IVs (RFC 3602 3) without a system call per packet: AES-256-CTR keystream keyed from getrandom(2).
// One thread. Never fails after make().
class iv_source {
 public:
  [[nodiscard]] static result<iv_source> make();
  iv_source(iv_source&&) noexcept;
  ~iv_source();
  void fill(std::uint8_t* iv, std::size_t size) noexcept;  // size at most 16

 private:
  struct state;
  explicit iv_source(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

}  // namespace trunkgate
