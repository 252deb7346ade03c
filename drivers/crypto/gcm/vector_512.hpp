// Four blocks in a register: AVX-512 with VAES and VPCLMULQDQ. Included by the kernels' 512-bit file alone.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "drivers/crypto/gcm/always_inline.hpp"

namespace {

struct vector_512 {
  using type = __m512i;
  using mask = __mmask64;  // one bit a byte
  static constexpr unsigned blocks = 4, bytes = 64;
  // Measured: a fourth multiplication costs less here than the operations that save it, but bringing the places' hashes
  // together after every stride costs more than a second set of factors.
  static constexpr bool three_multiplications = false, hash_by_place = true;

  TRUNKGATE_INLINE type zero() { return _mm512_setzero_si512(); }
  TRUNKGATE_INLINE type load(const void* from) { return _mm512_loadu_si512(from); }
  TRUNKGATE_INLINE void store(void* to, type v) { _mm512_storeu_si512(to, v); }
  TRUNKGATE_INLINE type repeat(__m128i v) { return _mm512_broadcast_i32x4(v); }
  TRUNKGATE_INLINE type repeat_at(const std::uint8_t* from) {
    return repeat(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
  }
  TRUNKGATE_INLINE type exor(type a, type b) { return _mm512_xor_si512(a, b); }
  TRUNKGATE_INLINE type exor3(type a, type b, type c) { return _mm512_ternarylogic_epi64(a, b, c, 0x96); }
  // Keeps the compiler from gathering a sum's terms to add them up later: it would run out of registers.
  TRUNKGATE_INLINE void settle(type& a) { __asm__("" : "+v"(a)); }
  TRUNKGATE_INLINE type add32(type a, type b) { return _mm512_add_epi32(a, b); }
  TRUNKGATE_INLINE type shuffle(type a, type by) { return _mm512_shuffle_epi8(a, by); }
  TRUNKGATE_INLINE type swap_halves(type a) { return _mm512_shuffle_epi32(a, _MM_PERM_BADC); }
  template <int Halves>
  TRUNKGATE_INLINE type multiply(type a, type b) {
    return _mm512_clmulepi64_epi128(a, b, Halves);
  }
  TRUNKGATE_INLINE type round(type a, type key) { return _mm512_aesenc_epi128(a, key); }
  TRUNKGATE_INLINE type last_round(type a, type key) { return _mm512_aesenclast_epi128(a, key); }

  TRUNKGATE_INLINE __m128i first(type a) { return _mm512_castsi512_si128(a); }
  TRUNKGATE_INLINE type only_first(__m128i v) { return _mm512_zextsi128_si512(v); }
  TRUNKGATE_INLINE type without_first(type a) { return _mm512_maskz_mov_epi64(0xfc, a); }
  TRUNKGATE_INLINE type with_first(type a, __m128i v) { return _mm512_inserti32x4(a, v, 0); }
  TRUNKGATE_INLINE type with_block(type a, unsigned at, __m128i v) {
    return _mm512_mask_broadcast_i32x4(a, static_cast<__mmask16>(0xfu << 4 * at), v);
  }
  TRUNKGATE_INLINE __m128i sum_of_blocks(type a) {
    const auto half = _mm256_xor_si256(_mm512_castsi512_si256(a), _mm512_extracti64x4_epi64(a, 1));
    return _mm_xor_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
  }
  // 0, 1, 2, 3 in the blocks' last words
  TRUNKGATE_INLINE type block_numbers() { return _mm512_set_epi32(3, 0, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0); }

  // The first `count` bytes; any number, also less than none and more than all.
  TRUNKGATE_INLINE mask first_bytes(std::int64_t count) {
    const std::int64_t limited = count < 0 ? 0 : count > 64 ? 64 : count;
    return _bzhi_u64(~std::uint64_t{0}, static_cast<std::uint64_t>(limited));
  }
  TRUNKGATE_INLINE type load_part(const void* from, mask m) { return _mm512_maskz_loadu_epi8(m, from); }
  TRUNKGATE_INLINE void store_part(void* to, mask m, type v) { _mm512_mask_storeu_epi8(to, m, v); }
  TRUNKGATE_INLINE type only(mask m, type v) { return _mm512_maskz_mov_epi8(m, v); }
  // What was loaded in part, and only there changed, has zeros outside already.
  TRUNKGATE_INLINE type clean(mask, type v) { return v; }
};

}  // namespace
