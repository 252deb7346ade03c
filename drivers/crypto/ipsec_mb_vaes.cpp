// The one place that reaches behind IPsec-MB's public interface: the library ships AES-GCM for AVX2 with VAES and
// VPCLMULQDQ, but takes it only where GFNI is present too, which GCM does not need. The symbols are weak: a library
// without them leaves the choice to the ordinary engine, and so does a failed self-test at start.
#include "drivers/crypto/ipsec_mb.hpp"

extern "C" {
[[gnu::weak]] void aes_gcm_pre_128_vaes_avx2(const void*, gcm_key_data*);
[[gnu::weak]] void aes_gcm_pre_192_vaes_avx2(const void*, gcm_key_data*);
[[gnu::weak]] void aes_gcm_pre_256_vaes_avx2(const void*, gcm_key_data*);
[[gnu::weak]] void aes_gcm_enc_128_vaes_avx2(const gcm_key_data*, gcm_context_data*, std::uint8_t*, const std::uint8_t*,
                                             std::uint64_t, const std::uint8_t*, const std::uint8_t*, std::uint64_t,
                                             std::uint8_t*, std::uint64_t);
[[gnu::weak]] void aes_gcm_dec_128_vaes_avx2(const gcm_key_data*, gcm_context_data*, std::uint8_t*, const std::uint8_t*,
                                             std::uint64_t, const std::uint8_t*, const std::uint8_t*, std::uint64_t,
                                             std::uint8_t*, std::uint64_t);
[[gnu::weak]] void aes_gcm_enc_192_vaes_avx2(const gcm_key_data*, gcm_context_data*, std::uint8_t*, const std::uint8_t*,
                                             std::uint64_t, const std::uint8_t*, const std::uint8_t*, std::uint64_t,
                                             std::uint8_t*, std::uint64_t);
[[gnu::weak]] void aes_gcm_dec_192_vaes_avx2(const gcm_key_data*, gcm_context_data*, std::uint8_t*, const std::uint8_t*,
                                             std::uint64_t, const std::uint8_t*, const std::uint8_t*, std::uint64_t,
                                             std::uint8_t*, std::uint64_t);
[[gnu::weak]] void aes_gcm_enc_256_vaes_avx2(const gcm_key_data*, gcm_context_data*, std::uint8_t*, const std::uint8_t*,
                                             std::uint64_t, const std::uint8_t*, const std::uint8_t*, std::uint64_t,
                                             std::uint8_t*, std::uint64_t);
[[gnu::weak]] void aes_gcm_dec_256_vaes_avx2(const gcm_key_data*, gcm_context_data*, std::uint8_t*, const std::uint8_t*,
                                             std::uint64_t, const std::uint8_t*, const std::uint8_t*, std::uint64_t,
                                             std::uint8_t*, std::uint64_t);
}

namespace trunkgate::ipsec_mb {

result<gcm_kernels> vaes_kernels(const IMB_MGR* state) {
  // All that the library asks for its second AVX2 type, but GFNI.
  constexpr std::uint64_t needed = IMB_CPUFLAGS_AVX2_T2 & ~IMB_FEATURE_GFNI;
  if ((state->features & needed) != needed) return failure("ipsec-mb-vaes: this processor has no VAES");
  const gcm_kernels kernels{{{{aes_gcm_pre_128_vaes_avx2, aes_gcm_enc_128_vaes_avx2, aes_gcm_dec_128_vaes_avx2},
                              {aes_gcm_pre_192_vaes_avx2, aes_gcm_enc_192_vaes_avx2, aes_gcm_dec_192_vaes_avx2},
                              {aes_gcm_pre_256_vaes_avx2, aes_gcm_enc_256_vaes_avx2, aes_gcm_dec_256_vaes_avx2}}}};
  for (const auto& kernel : kernels.by_key)
    if (kernel.pre == nullptr || kernel.encrypt == nullptr || kernel.decrypt == nullptr)
      return failure("ipsec-mb-vaes: this build of the library has no VAES code to call");
  return kernels;
}

}  // namespace trunkgate::ipsec_mb
