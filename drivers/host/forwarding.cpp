#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "drivers/host/netdev_guard.hpp"

namespace trunkgate {

namespace {

namespace fs = std::filesystem;

// True when the switch is off afterwards, or does not exist on this kernel.
bool turned_off(const fs::path& path) {
  std::string value;
  if (!(std::ifstream(path) >> value) || value == "0") return true;
  std::ofstream out(path);
  out << '0' << std::flush;
  out.close();
  value.clear();
  return (std::ifstream(path) >> value) && value == "0";
}

}  // namespace

result<void> forbid_kernel_forwarding() {
  // "all" first: writing it sets every device's own switch, as the kernel looks at the device's only. A device may
  // still have been switched on by itself.
  std::vector<fs::path> paths = {"/proc/sys/net/ipv4/ip_forward", "/proc/sys/net/ipv6/conf/all/forwarding"};
  for (const char* family : {"/proc/sys/net/ipv4/conf", "/proc/sys/net/ipv6/conf"}) {
    std::error_code ignored;  // a kernel without IPv6 has no such folder
    for (const auto& device : fs::directory_iterator(family, ignored)) {
      paths.push_back(device.path() / "forwarding");
      paths.push_back(device.path() / "force_forwarding");  // IPv6, kernels from 6.17
    }
  }
  if (!fs::exists(paths.front()))
    return failure("/proc/sys/net is not there: can't see whether the kernel forwards; mount /proc");
  for (const auto& path : paths)
    if (!turned_off(path))
      return failure("the kernel forwards past the policy and " + path.string() +
                     " is read-only: set it to 0 from outside (sysctl, or the container's settings)");
  return {};
}

}  // namespace trunkgate
