// A cursor over received bytes. It cannot read past their end: a read that would is refused, gives zeros or nothing,
// and leaves the reader failed, so that a parser may read all its fields first and ask once.
#pragma once

#include "controlplane/ike/wire/payload.hpp"
#include "dataplane/core/bytes.hpp"

namespace trunkgate::ike::wire {

class reader {
 public:
  explicit reader(byte_view bytes) : in_(bytes) {}  // borrows the bytes

  [[nodiscard]] std::uint8_t u8() { return number<std::uint8_t>(); }
  [[nodiscard]] std::uint16_t u16() { return number<std::uint16_t>(); }
  [[nodiscard]] std::uint32_t u32() { return number<std::uint32_t>(); }
  [[nodiscard]] std::uint64_t u64() { return number<std::uint64_t>(); }
  [[nodiscard]] byte_view take(std::size_t count) {
    const auto part = failed_ ? std::nullopt : in_.take(count);
    failed_ = !part;
    return part.value_or(byte_view{});
  }
  [[nodiscard]] bytes copy(std::size_t count) {
    const auto part = take(count);
    return bytes(part.begin(), part.end());
  }
  [[nodiscard]] bytes rest() { return copy(in_.remaining()); }
  void skip(std::size_t count) { (void)take(count); }

  [[nodiscard]] std::size_t remaining() const { return in_.remaining(); }
  [[nodiscard]] std::size_t position() const { return in_.position(); }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  template <class T>
  T number() {
    const auto value = failed_ ? std::nullopt : in_.template read<big_endian<T>>();
    failed_ = !value;
    return value ? value->host() : T{};
  }

  byte_reader in_;
  bool failed_ = false;
};

}  // namespace trunkgate::ike::wire
