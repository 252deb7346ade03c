// AES-GCM on ESP packets (NIST SP 800-38D, RFC 4106), for vectors of any width: V is vector_256 or vector_512.
//
// An ESP packet is itself a row of blocks: header and IV are 16 bytes, so the payload's blocks follow in step. The
// kernel runs over it from the SPI: block 0 gets the counter of the tag's mask (J0) and, for GHASH, the associated data
// in its place; block i gets the counter i + 1; behind the last one GHASH has the lengths.
//
// Everything here is in an unnamed namespace and uses nothing of the standard library: what is compiled for a newer
// processor must never be the copy that the linker keeps for all.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "drivers/crypto/gcm/always_inline.hpp"
#include "drivers/crypto/gcm/kernels.hpp"

namespace {

using trunkgate::esp_op;
using gcm_key = trunkgate::gcm::key;

template <int N>
struct index {
  static constexpr int value = N;
  constexpr operator int() const { return N; }
};
template <int N, class F>
TRUNKGATE_INLINE void each(F f) {
  if constexpr (N > 0) {
    each<N - 1>(f);
    f(index<N - 1>{});
  }
}

[[gnu::always_inline]] inline __m128i load_block(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

// GHASH reads bits from the front and the multiplier from the back: blocks are turned round, and the powers of H carry
// the factor x that makes up for the carry-less product's missing bit.
[[gnu::always_inline]] inline __m128i turned_order() {
  return _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
[[gnu::always_inline]] inline __m128i reduction_factor() {  // x^127 + x^126 + x^121 + 1, turned round
  return _mm_set_epi64x(static_cast<std::int64_t>(0xc200000000000000), 1);
}

// A power of H as it is multiplied with: by Karatsuba's way also the sum of its halves.
template <class V>
struct factor {
  typename V::type power, halves;

  factor() = default;
  [[gnu::always_inline]] explicit factor(typename V::type p) : power(p), halves(p) {
    if constexpr (V::three_multiplications) halves = V::exor(p, V::swap_halves(p));
  }
};

// A sum of 256-bit products, not reduced. The middle part counts from bit 64.
template <class V>
struct product {
  using vec = typename V::type;
  vec low = V::zero(), middle = V::zero(), high = V::zero();

  [[gnu::always_inline]] void add(vec a, const factor<V>& b) {
    low = V::exor(low, V::template multiply<0x00>(a, b.power));
    high = V::exor(high, V::template multiply<0x11>(a, b.power));
    if constexpr (V::three_multiplications)
      middle = V::exor(middle, V::template multiply<0x00>(V::exor(a, V::swap_halves(a)), b.halves));
    else
      middle = V::exor3(middle, V::template multiply<0x01>(a, b.power), V::template multiply<0x10>(a, b.power));
    V::settle(low);
    V::settle(high);
    V::settle(middle);
  }
  // In each block, modulo GHASH's polynomial: 64 bits from below, and 64 once more.
  [[gnu::always_inline]] vec reduced() const {
    const auto by = V::repeat(reduction_factor());
    const auto crossed = V::three_multiplications ? V::exor3(middle, low, high) : middle;
    const auto once = V::exor3(crossed, V::swap_halves(low), V::template multiply<0x01>(by, low));
    return V::exor3(high, V::swap_halves(once), V::template multiply<0x01>(by, once));
  }
};

template <class V, int Groups>
struct row {
  typename V::type at[Groups];
};

template <class V, bool Encrypt, int Rounds>
class packet {
  using vec = typename V::type;
  static constexpr int stride = static_cast<int>(trunkgate::gcm::powers_of(Rounds) / V::blocks);  // vectors

 public:
  TRUNKGATE_INLINE void run(esp_op& op) {
    const auto& key = static_cast<const gcm_key&>(*op.key);
    packet p(op, key);
    const std::uint32_t hashed = (op.payload_length + 15) / 16 + 2;
    const std::uint32_t vectors = (hashed + V::blocks - 1) / V::blocks;
    __m128i mask;  // of the tag
    const __m128i hash =
        vectors > stride ? p.long_one(hashed, vectors, mask) : p.template short_one<stride>(hashed, vectors, mask);
    p.finish(op, _mm_xor_si128(_mm_shuffle_epi8(hash, turned_order()), mask));
  }

 private:
  [[gnu::always_inline]] packet(const esp_op& op, const gcm_key& key)
      : at_(op.esp), left_(16 + std::int64_t{op.payload_length}), key_(key) {
    each<Rounds + 1>([&](auto r)
                         __attribute__((always_inline)) { rounds_[r] = V::repeat_at(key.round_keys() + 16 * r); });
    const auto header = load_block(op.esp);
    // The nonce is salt and IV (RFC 4106 4); the counter is kept in the processor's order until it is used.
    std::uint32_t salt;
    __builtin_memcpy(&salt, key.salt, 4);
    const auto iv =
        _mm_shuffle_epi8(header, _mm_set_epi8(-1, -1, -1, -1, 15, 14, 13, 12, 11, 10, 9, 8, -1, -1, -1, -1));
    const auto nonce = _mm_or_si128(iv, _mm_cvtsi32_si128(static_cast<int>(salt)));
    counters_ = V::add32(V::repeat(_mm_or_si128(nonce, _mm_set_epi32(1, 0, 0, 0))), V::block_numbers());
    // RFC 4106 5: SPI and sequence number, or SPI and extended sequence number. Turned round, to be hashed.
    if (key.esn) {
      const auto spread =
          _mm_shuffle_epi8(header, _mm_set_epi8(0, 1, 2, 3, -1, -1, -1, -1, 4, 5, 6, 7, -1, -1, -1, -1));
      associated_ = _mm_or_si128(spread, _mm_set_epi32(0, static_cast<int>(op.sequence_high), 0, 0));
    } else {
      associated_ = _mm_shuffle_epi8(header, _mm_set_epi8(0, 1, 2, 3, 4, 5, 6, 7, -1, -1, -1, -1, -1, -1, -1, -1));
    }
    lengths_ = _mm_set_epi64x(key.esn ? 96 : 64, 8 * std::int64_t{op.payload_length});
  }

  template <int Groups>
  [[gnu::always_inline]] __m128i short_one(std::uint32_t hashed, std::uint32_t vectors, __m128i& mask) {
    if constexpr (Groups > 1)
      if (vectors < Groups) return short_one<Groups - 1>(hashed, vectors, mask);
    const auto text = last_text<Groups, true>(hashed, mask, [](auto) {});
    product<V> sum;
    each<Groups>([&](auto g) __attribute__((always_inline)) { sum.add(text.at[g], power(hashed, g)); });
    return V::sum_of_blocks(sum.reduced());
  }

  // Where V::hash_by_place, each place in a vector has a hash of its own up to the last stride, of every so manieth
  // block: one power multiplies all places. The last stride brings the hashes together.
  [[gnu::always_inline]] __m128i long_one(std::uint32_t hashed, std::uint32_t vectors, __m128i& mask) {
    constexpr unsigned blocks = stride * V::blocks;
    factor<V> factors[stride];
    each<stride>([&](auto g) __attribute__((always_inline)) {
      factors[g] = V::hash_by_place
                       ? factor<V>(V::repeat_at(key_.powers_end() - V::bytes * static_cast<std::size_t>(stride - g)))
                       : power(blocks, g);
    });
    auto text = whole_text<true>(mask, [](auto) {});
    vec hash = V::zero();
    while (vectors > 2 * stride) {
      text = hashing<false>(text, factors, hash, [&](auto step) __attribute__((always_inline)) {
        __m128i unused;
        return whole_text<false>(unused, step);
      });
      vectors -= stride;
      hashed -= blocks;
    }
    return last_part<stride>(text, factors, hash, hashed - blocks, vectors - stride, mask);
  }

  template <int Groups>
  [[gnu::always_inline]] __m128i last_part(const row<V, stride>& before, const factor<V> (&factors)[stride], vec hash,
                                           std::uint32_t hashed, std::uint32_t vectors, __m128i& mask) {
    if constexpr (Groups > 1)
      if (vectors < Groups) return last_part<Groups - 1>(before, factors, hash, hashed, vectors, mask);
    auto text = hashing<true>(before, factors, hash, [&](auto step) __attribute__((always_inline)) {
      __m128i unused;
      return last_text<Groups, false>(hashed, unused, step);
    });
    text.at[0] = V::exor(text.at[0], hash);
    product<V> sum;
    each<Groups>([&](auto g) __attribute__((always_inline)) { sum.add(text.at[g], power(hashed, g)); });
    return V::sum_of_blocks(sum.reduced());
  }

  // Takes a full stride of text into the hash (of each place, but for the last stride), one vector between each two
  // rounds of `cipher`.
  template <bool Last, class Cipher>
  [[gnu::always_inline]] auto hashing(row<V, stride> text, const factor<V> (&factors)[stride], vec& hash,
                                      Cipher cipher) {
    constexpr bool by_place = V::hash_by_place && !Last;
    product<V> sum;
    auto next = cipher([&](auto r) __attribute__((always_inline)) {
      // the first vector last: it waits for the hash before
      constexpr int vector = (r + 1) % stride;
      if constexpr (r < stride) {
        if constexpr (vector == 0) text.at[0] = V::exor(text.at[0], hash);
        sum.add(text.at[vector], by_place || !V::hash_by_place ? factors[vector] : power(stride * V::blocks, vector));
      }
      if constexpr (r == stride) hash = by_place ? sum.reduced() : V::only_first(V::sum_of_blocks(sum.reduced()));
    });
    return next;
  }

  [[gnu::always_inline]] factor<V> power(std::uint32_t of_first, int vector) const {
    return factor<V>(
        V::load(key_.powers_end() - 16 * std::size_t{of_first} + V::bytes * static_cast<unsigned>(vector)));
  }

  // Key stream for the next vectors; step(r) runs behind round r.
  template <int Groups, class Step>
  [[gnu::always_inline]] row<V, Groups> key_stream(Step step) {
    const auto order = V::repeat(_mm_set_epi8(12, 13, 14, 15, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1, 0));
    row<V, Groups> s;
    each<Groups>([&](auto g) __attribute__((always_inline)) {
      s.at[g] = V::exor(V::shuffle(counters_, order), rounds_[0]);
      counters_ = V::add32(counters_, V::repeat(_mm_set_epi32(V::blocks, 0, 0, 0)));
    });
    each<Rounds - 1>([&](auto r) __attribute__((always_inline)) {
      each<Groups>([&](auto g) __attribute__((always_inline)) { s.at[g] = V::round(s.at[g], rounds_[r + 1]); });
      step(r);
    });
    each<Groups>([&](auto g) __attribute__((always_inline)) { s.at[g] = V::last_round(s.at[g], rounds_[Rounds]); });
    return s;
  }

  [[gnu::always_inline]] static vec turned(vec text) { return V::shuffle(text, V::repeat(turned_order())); }

  // Cipher one vector of the payload, the whole of it or as far as the payload goes; return what is to be hashed.
  [[gnu::always_inline]] vec cipher_whole(int vector, vec stream) const {
    std::uint8_t* const at = at_ + static_cast<int>(V::bytes) * vector;
    const auto in = V::load(at), out = V::exor(in, stream);
    V::store(at, out);
    return turned(Encrypt ? out : in);
  }
  [[gnu::always_inline]] vec cipher_part(int vector, vec stream) const {
    const int before = static_cast<int>(V::bytes) * vector;
    const auto part = V::first_bytes(left_ - before);
    const auto in = V::load_part(at_ + before, part), out = V::exor(in, V::only(part, stream));
    V::store_part(at_ + before, part, out);
    return turned(V::clean(part, Encrypt ? out : in));
  }

  // Ciphers a stride; returns the ciphertext to be hashed. Only where nothing but the lengths is to come, and they
  // begin a vector, the payload may end within the stride: in its last block.
  template <bool First, class Step>
  [[gnu::always_inline]] row<V, stride> whole_text(__m128i& mask, Step step) {
    auto stream = key_stream<stride>(step);
    row<V, stride> hashed;
    if constexpr (First) {
      mask = V::first(stream.at[0]);
      stream.at[0] = V::without_first(stream.at[0]);
    }
    each<stride>([&](auto g) __attribute__((always_inline)) {
      if (g + 1 == stride && left_ < std::int64_t{V::bytes} * stride) [[unlikely]]
        hashed.at[g] = cipher_part(g, stream.at[g]);
      else
        hashed.at[g] = cipher_whole(g, stream.at[g]);
    });
    if constexpr (First) hashed.at[0] = V::with_first(hashed.at[0], associated_);
    at_ += V::bytes * stride;
    left_ -= V::bytes * stride;
    return hashed;
  }

  // Ciphers what is left, in so many vectors, and puts the lengths behind it. The payload may end in either of the last
  // two.
  template <int Groups, bool First, class Step>
  [[gnu::always_inline]] row<V, Groups> last_text(std::uint32_t blocks, __m128i& mask, Step step) {
    auto stream = key_stream<Groups>(step);
    row<V, Groups> hashed;
    if constexpr (First) {
      mask = V::first(stream.at[0]);
      stream.at[0] = V::without_first(stream.at[0]);
    }
    each<Groups>([&](auto g) __attribute__((always_inline)) {
      if constexpr (g + 2 < Groups)
        hashed.at[g] = cipher_whole(g, stream.at[g]);
      else
        hashed.at[g] = cipher_part(g, stream.at[g]);
    });
    if constexpr (First) hashed.at[0] = V::with_first(hashed.at[0], associated_);
    hashed.at[Groups - 1] = V::with_block(hashed.at[Groups - 1], (blocks - 1) % V::blocks, lengths_);
    return hashed;
  }

  [[gnu::always_inline]] static void finish(esp_op& op, __m128i tag) {
    auto* icv = reinterpret_cast<__m128i*>(op.esp + 16 + op.payload_length);
    if constexpr (Encrypt) {
      _mm_storeu_si128(icv, tag);
      op.ok = true;
    } else {
      const auto differ = _mm_xor_si128(tag, _mm_loadu_si128(icv));
      op.ok =
          _mm_testz_si128(differ, differ) != 0;  // the whole difference at once: no byte is looked at before another
    }
  }

  std::uint8_t* at_;
  std::int64_t left_;  // bytes from there to the payload's end; the last vector may begin behind it
  const gcm_key& key_;
  vec rounds_[Rounds + 1];
  vec counters_;
  __m128i associated_, lengths_;
};

constexpr std::size_t prefetch_ahead = 4;

template <class V, bool Encrypt>
void burst(esp_op* const* ops, std::size_t count) noexcept {
  for (std::size_t i = 0; i < count; ++i) {
    if (i + 2 * prefetch_ahead < count) __builtin_prefetch(ops[i + 2 * prefetch_ahead]);
    if (i + prefetch_ahead < count) {
      const auto* ahead = reinterpret_cast<const char*>(ops[i + prefetch_ahead]->key);
      if (ahead != reinterpret_cast<const char*>(ops[i + prefetch_ahead - 1]->key))
        for (std::size_t line = 0; line < sizeof(gcm_key); line += 64) __builtin_prefetch(ahead + line);
    }
    switch (static_cast<const gcm_key&>(*ops[i]->key).rounds) {
      case 10: packet<V, Encrypt, 10>::run(*ops[i]); break;
      case 12: packet<V, Encrypt, 12>::run(*ops[i]); break;
      default: packet<V, Encrypt, 14>::run(*ops[i]); break;
    }
  }
}

// The key schedule (FIPS 197 5.2) and the powers of H.
[[gnu::always_inline]] inline std::uint32_t substituted(std::uint32_t word) {
  // Of four equal columns ShiftRows changes nothing: the last round with a zero key is SubBytes alone, without a table.
  const auto columns = _mm_set1_epi32(static_cast<int>(word));
  return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_aesenclast_si128(columns, _mm_setzero_si128())));
}

inline __m128i times(__m128i a, __m128i b) {
  const auto factor = reduction_factor();
  const auto low = _mm_clmulepi64_si128(a, b, 0x00), high = _mm_clmulepi64_si128(a, b, 0x11);
  auto middle = _mm_xor_si128(_mm_clmulepi64_si128(a, b, 0x01), _mm_clmulepi64_si128(a, b, 0x10));
  middle = _mm_xor_si128(_mm_xor_si128(middle, _mm_shuffle_epi32(low, 0x4e)), _mm_clmulepi64_si128(factor, low, 0x01));
  return _mm_xor_si128(_mm_xor_si128(high, _mm_shuffle_epi32(middle, 0x4e)),
                       _mm_clmulepi64_si128(factor, middle, 0x01));
}

inline void expand(gcm_key& to, const std::uint8_t* cipher_key) noexcept {
  const unsigned given = to.rounds - 6u, all = 4u * (to.rounds + 1u), powers = trunkgate::gcm::powers_of(to.rounds);
  std::uint8_t* const keys = to.schedule + 16 * powers;
  std::uint32_t word = 0, constant = 1;
  for (unsigned i = 0; i < all; ++i) {
    if (i < given) {
      __builtin_memcpy(&word, cipher_key + 4 * i, 4);
    } else {
      if (i % given == 0) {
        word = substituted(word >> 8 | word << 24) ^ constant;
        constant = constant << 1 ^ (constant >> 7) * 0x11b;
      } else if (given == 8 && i % 8 == 4) {
        word = substituted(word);
      }
      std::uint32_t before;
      __builtin_memcpy(&before, keys + 4 * (i - given), 4);
      word ^= before;
    }
    __builtin_memcpy(keys + 4 * i, &word, 4);
  }
  auto h = load_block(keys);
  for (unsigned r = 1; r < to.rounds; ++r) h = _mm_aesenc_si128(h, load_block(keys + 16 * r));
  h = _mm_shuffle_epi8(_mm_aesenclast_si128(h, load_block(keys + 16 * to.rounds)), turned_order());
  // times x: one bit up; what leaves above comes back as the polynomial, chosen by a mask
  const auto carries = _mm_srli_epi64(h, 63);
  const auto out = _mm_sub_epi64(_mm_setzero_si128(), _mm_unpackhi_epi64(carries, carries));
  h = _mm_or_si128(_mm_slli_epi64(h, 1), _mm_slli_si128(carries, 8));
  h = _mm_xor_si128(h, _mm_and_si128(out, reduction_factor()));
  auto power = h;
  for (unsigned i = 1; i <= powers; ++i) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to.schedule + 16 * (powers - i)), power);
    power = times(power, h);
  }
}

}  // namespace
