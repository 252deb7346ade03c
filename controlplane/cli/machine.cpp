#include "controlplane/cli/machine.hpp"

#include <sched.h>
#include <sys/resource.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <sstream>

namespace trunkgate {

namespace {

namespace fs = std::filesystem;

std::optional<std::string> first_line(const fs::path& file) {
  std::ifstream in(file);
  std::string line;
  if (!std::getline(in, line)) return std::nullopt;
  return line;
}

std::uint64_t number_in(const fs::path& file) {
  const auto line = first_line(file);
  return line ? std::strtoull(line->c_str(), nullptr, 10) : 0;
}

std::vector<fs::path> entries(const fs::path& folder) {
  std::error_code none;
  std::vector<fs::path> out;
  for (const auto& entry : fs::directory_iterator(folder, none)) out.push_back(entry.path());
  std::ranges::sort(out);
  return out;
}

std::string link_target_name(const fs::path& link) {
  std::error_code none;
  return fs::read_symlink(link, none).filename().string();
}

unsigned receive_queues(const fs::path& device) {
  return static_cast<unsigned>(std::ranges::count_if(
      entries(device / "queues"), [](const auto& path) { return path.filename().string().starts_with("rx-"); }));
}

std::vector<nic> read_nics(const fs::path& root) {
  std::vector<nic> out;
  for (const auto& device : entries(root / "sys/class/net")) {
    const auto name = device.filename().string();
    std::error_code none;
    if (name == "lo" || !fs::is_directory(device, none)) continue;  // bonding_masters is a file
    out.push_back({.name = name,
                   .driver = link_target_name(device / "device/driver"),
                   .up = first_line(device / "operstate").value_or("") == "up",
                   .mtu = static_cast<std::uint32_t>(number_in(device / "mtu")),
                   .receive_queues = receive_queues(device)});
  }
  for (const auto& device : entries(root / "sys/bus/pci/drivers/vfio-pci"))
    if (device.filename().string().find(':') != std::string::npos)
      out.push_back({.name = device.filename().string(), .driver = "vfio-pci", .up = true});
  return out;
}

std::vector<hugepage_pool> read_hugepages(const fs::path& root) {
  std::vector<hugepage_pool> out;
  for (const auto& pool : entries(root / "sys/kernel/mm/hugepages")) {
    const auto name = pool.filename().string();  // hugepages-2048kB
    const auto dash = name.find('-');
    if (dash == std::string::npos) continue;
    out.push_back({.page_kilobytes = std::strtoull(name.c_str() + dash + 1, nullptr, 10),
                   .total = number_in(pool / "nr_hugepages"),
                   .free = number_in(pool / "free_hugepages")});
  }
  return out;
}

// "key<space>: value" lines; of several with one key, the first.
std::string value_of(const fs::path& file, std::string_view key) {
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);) {
    if (!line.starts_with(key)) continue;
    const auto colon = line.find(':');
    if (colon == std::string::npos) continue;
    const auto start = line.find_first_not_of(" \t", colon + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

std::optional<bool> switched_on(const fs::path& file) {
  const auto line = first_line(file);
  if (!line) return std::nullopt;
  return *line != "0";
}

unsigned usable_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  return ::sched_getaffinity(0, sizeof set, &set) == 0 ? static_cast<unsigned>(CPU_COUNT(&set)) : 1;
}

std::string find_nft(const fs::path& root) {
  for (const char* folder : {"usr/sbin", "usr/bin", "usr/local/sbin", "sbin"})
    if (::access((root / folder / "nft").c_str(), X_OK) == 0) return (root / folder / "nft").string();
  return "";
}

}  // namespace

machine read_machine(const fs::path& root) {
  machine out;
  out.nics = read_nics(root);
  out.hugepages = read_hugepages(root);
  std::istringstream flags(value_of(root / "proc/cpuinfo", "flags"));
  for (std::string flag; flags >> flag;) out.cpu_flags.insert(flag);
  out.cpu_model = value_of(root / "proc/cpuinfo", "model name");
  out.cpus = usable_cpus();
  out.capabilities = std::strtoull(value_of(root / "proc/self/status", "CapEff").c_str(), nullptr, 16);
  out.forwarding_v4 = switched_on(root / "proc/sys/net/ipv4/ip_forward");
  out.forwarding_v6 = switched_on(root / "proc/sys/net/ipv6/conf/all/forwarding");
  out.tun_device = ::access((root / "dev/net/tun").c_str(), R_OK | W_OK) == 0;
  out.nft = find_nft(root);
  rlimit limit{};
  ::getrlimit(RLIMIT_MEMLOCK, &limit);
  out.memlock_bytes = limit.rlim_cur == RLIM_INFINITY ? UINT64_MAX : limit.rlim_cur;
  utsname kernel{};
  if (::uname(&kernel) == 0) out.kernel = kernel.release;
  return out;
}

}  // namespace trunkgate
