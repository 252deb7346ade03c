// The kernels for AVX2 with VAES. This file is compiled for such processors, and called only on them.
#include "drivers/crypto/gcm/kernel.hpp"
#include "drivers/crypto/gcm/vector_256.hpp"

namespace trunkgate::gcm {

const kernels kernels_256{expand, burst<vector_256, true>, burst<vector_256, false>};

}  // namespace trunkgate::gcm
