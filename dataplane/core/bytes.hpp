// Integers in network byte order as types, and bounds-checked reading and writing of bytes that came from outside.
#pragma once

#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>

namespace trunkgate {

// An integer as it stands on the wire. No implicit conversion: `host()` and the constructor are the only two doors, so
// a forgotten swap does not compile. Alignment 1: it may be laid over packet bytes.
template <std::unsigned_integral T>
class big_endian {
 public:
  constexpr big_endian() = default;
  constexpr explicit big_endian(T host_value) {
    if constexpr (std::endian::native == std::endian::little) host_value = std::byteswap(host_value);
    bytes_ = std::bit_cast<storage>(host_value);
  }
  [[nodiscard]] constexpr T host() const {
    T value = std::bit_cast<T>(bytes_);
    if constexpr (std::endian::native == std::endian::little) value = std::byteswap(value);
    return value;
  }
  friend constexpr bool operator==(const big_endian&, const big_endian&) = default;

 private:
  struct storage {
    unsigned char bytes[sizeof(T)];
    friend constexpr bool operator==(const storage&, const storage&) = default;
  };
  storage bytes_{};
};

using be16 = big_endian<std::uint16_t>;
using be32 = big_endian<std::uint32_t>;
using be64 = big_endian<std::uint64_t>;
static_assert(sizeof(be32) == 4 && alignof(be64) == 1);

// Reads a byte string from front to back. Every read says whether it was inside; after a failed read the position is
// unchanged. The reader borrows the bytes.
class byte_reader {
 public:
  explicit byte_reader(std::span<const std::uint8_t> bytes) : bytes_(bytes) {}

  [[nodiscard]] std::size_t remaining() const { return bytes_.size() - position_; }
  [[nodiscard]] std::size_t position() const { return position_; }

  template <class T>
    requires std::is_trivially_copyable_v<T>
  [[nodiscard]] std::optional<T> read() {
    if (remaining() < sizeof(T)) return std::nullopt;
    T value;
    std::memcpy(&value, bytes_.data() + position_, sizeof(T));
    position_ += sizeof(T);
    return value;
  }
  [[nodiscard]] std::optional<std::span<const std::uint8_t>> take(std::size_t count) {
    if (remaining() < count) return std::nullopt;
    auto part = bytes_.subspan(position_, count);
    position_ += count;
    return part;
  }

 private:
  std::span<const std::uint8_t> bytes_;
  std::size_t position_ = 0;
};

}  // namespace trunkgate
