#include "controlplane/cli/ike_file.hpp"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace trunkgate {

result<int> create_ike_file() {
  const int descriptor = ::memfd_create("trunkgate-ike", MFD_CLOEXEC | MFD_ALLOW_SEALING);
  if (descriptor < 0) return system_failure("make the memory file for IKE SAs");
  // A way by /proc/PID/fd would ask for these.
  if (::fchmod(descriptor, 0) != 0) return system_failure("close the memory file for IKE SAs to others");
  return descriptor;
}

void wipe_ike_file(int descriptor) {
  static constexpr std::array<std::uint8_t, 65536> zeros{};
  // Only what was ever written has pages: the file is far larger than its content.
  off_t data = 0;
  while ((data = ::lseek(descriptor, data, SEEK_DATA)) >= 0) {
    const off_t end = ::lseek(descriptor, data, SEEK_HOLE);
    if (end <= data) return;
    while (data < end) {
      const auto part = std::min<off_t>(end - data, static_cast<off_t>(zeros.size()));
      if (::pwrite(descriptor, zeros.data(), static_cast<std::size_t>(part), data) != part) return;
      data += part;
    }
  }
}

}  // namespace trunkgate
