#include "drivers/crypto/gcm/kernels.hpp"

namespace trunkgate::gcm {

#ifdef __x86_64__
// The compiler's run-time asks CPUID, and XGETBV whether the operating system keeps the registers.
const kernels* find_kernels(vaes_width width) noexcept {
  __builtin_cpu_init();
  const bool common = __builtin_cpu_supports("aes") && __builtin_cpu_supports("avx2") &&
                      __builtin_cpu_supports("vaes") && __builtin_cpu_supports("vpclmulqdq") &&
                      __builtin_cpu_supports("pclmul");
  if (!common) return nullptr;
  if (width == vaes_width::bits_256) return &kernels_256;
  const bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                    __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("bmi2");
  return wide ? &kernels_512 : nullptr;
}
#else
const kernels* find_kernels(vaes_width) noexcept { return nullptr; }
#endif

}  // namespace trunkgate::gcm
