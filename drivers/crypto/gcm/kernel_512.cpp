// The kernels for AVX-512. This file is compiled for such processors, and called only on them.
#include "drivers/crypto/gcm/kernel.hpp"
#include "drivers/crypto/gcm/vector_512.hpp"

namespace trunkgate::gcm {

const kernels kernels_512{expand, burst<vector_512, true>, burst<vector_512, false>};

}  // namespace trunkgate::gcm
