// Key bytes that are wiped when they go.
#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <vector>

namespace trunkgate {

// memset that the optimiser may not remove.
inline void wipe(void* data, std::size_t size) {
  std::memset(data, 0, size);
  __asm__ __volatile__("" : : "r"(data) : "memory");
}

// Owns key bytes; move-only, wiped on destruction. It has no text form on purpose.
class secret {
 public:
  secret() = default;
  explicit secret(std::span<const std::uint8_t> bytes) : bytes_(bytes.begin(), bytes.end()) {}
  secret(secret&& other) noexcept : bytes_(std::move(other.bytes_)) { other.bytes_.clear(); }
  secret& operator=(secret&& other) noexcept {
    if (this != &other) {
      clear();
      bytes_ = std::move(other.bytes_);
      other.bytes_.clear();
    }
    return *this;
  }
  secret(const secret&) = delete;
  secret& operator=(const secret&) = delete;
  ~secret() { clear(); }

  [[nodiscard]] std::span<const std::uint8_t> bytes() const { return bytes_; }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }

 private:
  void clear() {
    if (!bytes_.empty()) wipe(bytes_.data(), bytes_.size());
    bytes_.clear();
  }
  std::vector<std::uint8_t> bytes_;
};

}  // namespace trunkgate
