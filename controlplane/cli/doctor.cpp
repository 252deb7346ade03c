#include "controlplane/cli/doctor.hpp"

#include <unistd.h>

#include <cstdlib>
#include <iostream>

#include "controlplane/cli/text.hpp"
#include "controlplane/cli/verbs.hpp"

namespace trunkgate {

namespace {

// Numbers of capabilities(7).
constexpr unsigned net_admin = 12, net_raw = 13, ipc_lock = 14, sys_admin = 21, bpf = 39;

bool has(const machine& found, unsigned capability) { return (found.capabilities >> capability & 1) != 0; }

struct finding {
  severity how = severity::fine;
  std::string what, value, to_do;
};
using findings = std::vector<finding>;

void look_at_rights(const machine& found, findings& out) {
  struct right {
    unsigned number;
    severity if_missing;
    std::string_view name, needed_for;
  };
  constexpr right rights[] = {
      {net_admin, severity::problem, "CAP_NET_ADMIN", "TAP devices, addresses and nftables"},
      {net_raw, severity::problem, "CAP_NET_RAW", "AF_PACKET ports"},
      {ipc_lock, severity::notable, "CAP_IPC_LOCK", "keeping keys and packet buffers out of swap"},
  };
  for (const auto& [number, if_missing, name, needed_for] : rights) {
    if (has(found, number))
      out.push_back({severity::fine, std::string(name), "present", ""});
    else
      out.push_back({if_missing, std::string(name), "missing",
                     "give it to trunkgate-dataplane: it is for " + std::string(needed_for)});
  }
  if (!has(found, bpf) && !has(found, sys_admin))
    out.push_back({severity::notable, "CAP_BPF", "missing", "give it for AF_XDP ports; AF_PACKET works without"});
  if (found.tun_device)
    out.push_back({severity::fine, "/dev/net/tun", "usable", ""});
  else
    out.push_back({severity::problem, "/dev/net/tun", "not usable",
                   "load the tun module, or pass the device into the container (--device /dev/net/tun)"});
}

void look_at_kernel(const machine& found, findings& out) {
  if (found.nft.empty())
    out.push_back({severity::problem, "nft", "missing", "install the package nftables"});
  else
    out.push_back({severity::fine, "nft", found.nft, ""});
  const std::pair<std::string, std::optional<bool>> families[] = {
      {"net.ipv4.ip_forward", found.forwarding_v4}, {"net.ipv6.conf.all.forwarding", found.forwarding_v6}};
  for (const auto& [name, on] : families) {
    if (!on) continue;
    if (*on)
      out.push_back({severity::notable, name, "on",
                     "the data plane turns it off; where /proc/sys is read-only: sysctl -w " + name + "=0"});
    else
      out.push_back({severity::fine, name, "off", ""});
  }
  if (found.memlock_bytes == UINT64_MAX || has(found, ipc_lock))
    out.push_back({severity::fine, "memlock", "no limit", ""});
  else
    out.push_back({severity::notable, "memlock", bytes_text(found.memlock_bytes),
                   "raise it (ulimit -l unlimited, LimitMEMLOCK=infinity, docker --ulimit memlock=-1)"});
  out.push_back({severity::fine, "kernel", found.kernel, ""});
}

void look_at_memory(const machine& found, findings& out) {
  std::uint64_t total_kilobytes = 0;
  for (const auto& pool : found.hugepages) {
    total_kilobytes += pool.total * pool.page_kilobytes;
    if (pool.total > 0)
      out.push_back({pool.free == 0 ? severity::notable : severity::fine,
                     "hugepages of " + bytes_text(pool.page_kilobytes * 1024),
                     std::to_string(pool.free) + " of " + std::to_string(pool.total) + " free",
                     pool.free == 0 ? "none is free: sysctl -w vm.nr_hugepages=N with a larger N" : ""});
  }
  if (total_kilobytes == 0)
    out.push_back(
        {severity::notable, "hugepages", "none", "runs without; for line rate: sysctl -w vm.nr_hugepages=256"});
}

void look_at_processor(const machine& found, findings& out) {
  out.push_back({severity::fine, "processor", found.cpu_model, ""});
  out.push_back({found.cpus < 2 ? severity::notable : severity::fine, "usable CPUs", std::to_string(found.cpus),
                 found.cpus < 2 ? "one worker shares its CPU with everything else: give it two or more" : ""});
  for (const char* flag : {"aes", "pclmulqdq", "ssse3", "sse4_2"})
    if (!found.cpu_flags.contains(flag))
      out.push_back({severity::problem, "CPU flag " + std::string(flag), "missing",
                     "choose a machine type that has it, or pass the host's processor through to the guest"});
  std::string present;
  for (const char* flag : {"aes", "vaes", "vpclmulqdq", "avx2", "avx512f", "gfni", "sha_ni", "rdrand"})
    if (found.cpu_flags.contains(flag)) present += (present.empty() ? "" : " ") + std::string(flag);
  const bool wide = found.cpu_flags.contains("vaes") && found.cpu_flags.contains("vpclmulqdq");
  out.push_back({severity::fine, "CPU flags", present,
                 wide ? "" : "without vaes and vpclmulqdq AES-GCM runs one block at a time"});
  if (!found.cpu_flags.contains("constant_tsc") || !found.cpu_flags.contains("nonstop_tsc"))
    out.push_back({severity::notable, "TSC", "not constant", "cycle counters and rates are not exact here"});
}

struct port_path {
  std::string path, note;
};

port_path path_for(const machine& found, const nic& device) {
  if (device.driver == "vfio-pci") return {"vfio", ""};
  if (device.driver.empty()) return {"af_packet", "a virtual device: AF_PACKET completes its checksums"};
  if (!has(found, bpf) && !has(found, sys_admin))
    return {"af_packet", "CAP_BPF would give af_xdp; binding to vfio-pci the best"};
  return {"af_xdp", "binding to vfio-pci would be faster"};
}

void look_at_nics(const machine& found, findings& out) {
  for (const auto& device : found.nics) {
    auto [path, note] = path_for(found, device);
    std::string value = path + (device.driver.empty() ? "" : " (" + device.driver + ")");
    if (device.receive_queues > 0)
      value += ", " + std::to_string(device.receive_queues) + (device.receive_queues == 1 ? " queue" : " queues");
    if (!device.up) value += ", link down";
    out.push_back({severity::fine, "port " + device.name, value, note});
  }
  if (found.nics.empty())
    out.push_back({severity::problem, "ports", "none", "this network namespace has no device but lo: give it two"});
}

}  // namespace

listing diagnose(const machine& found) {
  findings all;
  look_at_rights(found, all);
  look_at_kernel(found, all);
  look_at_memory(found, all);
  look_at_processor(found, all);
  look_at_nics(found, all);

  listing out{.short_view = table({{"WHAT"}, {"IS"}, {"TO DO"}})};
  std::size_t problems = 0, notables = 0;
  for (const auto& [how, what, value, to_do] : all) {
    problems += how == severity::problem ? 1 : 0;
    notables += how == severity::notable ? 1 : 0;
    out.short_view.add(how, {what, value, to_do});
    const char* level = how == severity::problem ? "problem" : how == severity::notable ? "notable" : "fine";
    out.objects.push_back({{"what", what}, {"level", level}, {"is", value}, {"to_do", to_do}});
  }
  out.something_down = problems > 0;
  out.summary = std::to_string(problems) + " to mend, " + std::to_string(notables) + " to know";
  return out;
}

int run_doctor(const arguments& given) {
  const auto found = diagnose(read_machine("/"));
  if (given.has("json"))
    std::cout << json_text(found.objects);
  else
    std::cout << found.short_view.text(terminal_style(given)) << found.summary << "\n";
  return found.something_down ? exit_something_down : exit_well;
}

}  // namespace trunkgate
