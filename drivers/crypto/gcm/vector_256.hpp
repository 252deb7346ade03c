// Two blocks in a register: AVX2 with VAES and VPCLMULQDQ. Included by the kernels' 256-bit file alone.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "drivers/crypto/gcm/always_inline.hpp"

namespace {

struct vector_256 {
  using type = __m256i;
  struct mask {
    __m256i bytes;
    std::int64_t count;
  };
  static constexpr unsigned blocks = 2, bytes = 32;
  // Measured: a multiplication takes two cycles whatever its width, so Karatsuba's way wins here; a second set of its
  // factors does not.
  static constexpr bool three_multiplications = true, hash_by_place = false;

  TRUNKGATE_INLINE type zero() { return _mm256_setzero_si256(); }
  TRUNKGATE_INLINE type load(const void* from) { return _mm256_loadu_si256(static_cast<const __m256i*>(from)); }
  TRUNKGATE_INLINE void store(void* to, type v) { _mm256_storeu_si256(static_cast<__m256i*>(to), v); }
  TRUNKGATE_INLINE type repeat(__m128i v) { return _mm256_broadcastsi128_si256(v); }
  TRUNKGATE_INLINE type repeat_at(const std::uint8_t* from) {
    return repeat(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  TRUNKGATE_INLINE type exor(type a, type b) { return _mm256_xor_si256(a, b); }
  TRUNKGATE_INLINE type exor3(type a, type b, type c) { return exor(exor(a, b), c); }
  // Keeps the compiler from gathering a sum's terms to add them up later: it would run out of registers.
  TRUNKGATE_INLINE void settle(type& a) { __asm__("" : "+x"(a)); }
  TRUNKGATE_INLINE type add32(type a, type b) { return _mm256_add_epi32(a, b); }
  TRUNKGATE_INLINE type shuffle(type a, type by) { return _mm256_shuffle_epi8(a, by); }
  TRUNKGATE_INLINE type swap_halves(type a) { return _mm256_shuffle_epi32(a, 0x4e); }
  template <int Halves>
  TRUNKGATE_INLINE type multiply(type a, type b) {
    return _mm256_clmulepi64_epi128(a, b, Halves);
  }
  TRUNKGATE_INLINE type round(type a, type key) { return _mm256_aesenc_epi128(a, key); }
  TRUNKGATE_INLINE type last_round(type a, type key) { return _mm256_aesenclast_epi128(a, key); }

  TRUNKGATE_INLINE __m128i first(type a) { return _mm256_castsi256_si128(a); }
  TRUNKGATE_INLINE type only_first(__m128i v) { return _mm256_zextsi128_si256(v); }
  TRUNKGATE_INLINE type without_first(type a) { return _mm256_blend_epi32(zero(), a, 0xf0); }
  TRUNKGATE_INLINE type with_first(type a, __m128i v) { return _mm256_inserti128_si256(a, v, 0); }
  TRUNKGATE_INLINE type with_block(type a, unsigned at, __m128i v) {
    return at == 0 ? _mm256_inserti128_si256(a, v, 0) : _mm256_inserti128_si256(a, v, 1);
  }
  TRUNKGATE_INLINE __m128i sum_of_blocks(type a) {
    return _mm_xor_si128(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
  }
  // 0, 1 in the blocks' last words
  TRUNKGATE_INLINE type block_numbers() { return _mm256_set_epi32(1, 0, 0, 0, 0, 0, 0, 0); }

  // The first `count` bytes; any number, also less than none and more than all.
  TRUNKGATE_INLINE mask first_bytes(std::int64_t count) {
    alignas(64) static constexpr std::uint8_t window[64] = {
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
        0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const std::int64_t limited = count < 0 ? 0 : count > 32 ? 32 : count;
    return {load(window + 32 - limited), limited};
  }
  // No masked access here: a block that begins inside the payload may be read and written whole, because an ICV of 16
  // bytes follows the payload. Bytes outside of the mask are written back as they were read.
  TRUNKGATE_INLINE type load_part(const void* from, const mask& m) {
    if (m.count > 16) return load(from);
    return m.count > 0 ? only_first(_mm_loadu_si128(static_cast<const __m128i*>(from))) : zero();
  }
  TRUNKGATE_INLINE void store_part(void* to, const mask& m, type v) {
    if (m.count > 16)
      store(to, v);
    else if (m.count > 0)
      _mm_storeu_si128(static_cast<__m128i*>(to), first(v));
  }
  TRUNKGATE_INLINE type only(const mask& m, type v) { return _mm256_and_si256(v, m.bytes); }
  TRUNKGATE_INLINE type clean(const mask& m, type v) { return only(m, v); }
};

}  // namespace
