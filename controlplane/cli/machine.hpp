// What the machine gives, read from /proc and /sys: facts for `trunkgate doctor`.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace trunkgate {

struct nic {
  std::string name;    // netdev name, or PCI address if the kernel has no netdev for it
  std::string driver;  // empty: a virtual device
  bool up = false;
  std::uint32_t mtu = 0;
  unsigned receive_queues = 0;
};

struct hugepage_pool {
  std::uint64_t page_kilobytes = 0, total = 0, free = 0;
};

struct machine {
  std::vector<nic> nics;
  std::vector<hugepage_pool> hugepages;
  std::set<std::string> cpu_flags;
  std::string cpu_model;
  unsigned cpus = 0;                                 // that this process may use
  std::uint64_t capabilities = 0;                    // effective, as in capabilities(7)
  std::optional<bool> forwarding_v4, forwarding_v6;  // nothing: the kernel has not got the family
  bool tun_device = false;
  std::string nft;                  // where it is; empty: nowhere
  std::uint64_t memlock_bytes = 0;  // UINT64_MAX: no limit
  std::string kernel;
};

// `root` is "/"; a test gives a folder with a proc and sys of its own.
[[nodiscard]] machine read_machine(const std::filesystem::path& root);

}  // namespace trunkgate
