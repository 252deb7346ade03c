#include "drivers/port/eal.hpp"

#include <dlfcn.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <bit>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <utility>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

namespace trunkgate {
namespace {

constexpr std::size_t megabyte = std::size_t{1} << 20;

// Whether this much could be had in pages of one size now: counted as free, and granted to this process.
bool can_reserve(std::size_t page_bytes, std::size_t free_pages, std::size_t wanted) {
  const std::size_t length = (wanted + page_bytes - 1) / page_bytes * page_bytes;
  if (free_pages < length / page_bytes) return false;
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB | std::countr_zero(page_bytes) << MAP_HUGE_SHIFT;
  void* pages = mmap(nullptr, length, PROT_READ | PROT_WRITE, flags, -1, 0);
  if (pages == MAP_FAILED) return false;
  munmap(pages, length);
  return true;
}

// Empty if the kernel has the hugepages; otherwise why not.
std::string why_no_hugepages(std::size_t wanted) {
  std::size_t free_bytes = 0;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/kernel/mm/hugepages", none)) {
    const std::string name = entry.path().filename();  // hugepages-2048kB
    const std::size_t page_bytes = std::strtoull(name.c_str() + name.find('-') + 1, nullptr, 10) * 1024;
    std::size_t free_pages = 0;
    std::ifstream(entry.path() / "free_hugepages") >> free_pages;
    if (page_bytes == 0 || free_pages == 0) continue;
    if (can_reserve(page_bytes, free_pages, wanted)) return {};
    free_bytes += free_pages * page_bytes;
  }
  if (free_bytes == 0) return "the kernel has no free hugepages (vm.nr_hugepages)";
  return "of " + std::to_string(wanted / megabyte) + " MB in hugepages the kernel gives at most " +
         std::to_string(free_bytes / megabyte) + " MB (vm.nr_hugepages)";
}

// One lcore that may run on every CPU the thread may run on: EAL would otherwise pin the caller to one.
std::string lcore_argument(const cpu_set_t& affinity) {
  std::string cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(cpu, &affinity)) cpus += (cpus.empty() ? "" : ",") + std::to_string(cpu);
  return "--lcores=0@(" + cpus + ")";
}

// EAL makes a folder for files shared between processes. Nothing is in it (--no-shconf): it goes at once, so that a
// killed process leaves none behind. The parent stays while another process is between making it and using it.
void remove_runtime_folder() {
  std::error_code none;
  const std::filesystem::path folder = rte_eal_get_runtime_dir();
  std::filesystem::remove(folder, none);
  std::filesystem::remove(folder.parent_path(), none);
}

// libbpf and libxdp, which DPDK's AF_XDP driver brings, write to the operator's terminal. Why AF_XDP fails is said by
// the port; so where they are loaded, their printing is switched off.
void silence_xdp_libraries() {
  using set_print = void* (*)(void*);
  for (const auto& [library, function] :
       {std::pair{"libbpf.so.1", "libbpf_set_print"}, std::pair{"libxdp.so.1", "libxdp_set_print"}}) {
    void* const loaded = dlopen(library, RTLD_LAZY | RTLD_NOLOAD);
    if (loaded == nullptr) continue;
    if (auto* const set = reinterpret_cast<set_print>(dlsym(loaded, function)); set != nullptr) set(nullptr);
    dlclose(loaded);
  }
}

}  // namespace

result<eal_report> start_eal(const eal_options& options) {
  eal_report report;
  const std::size_t wanted = options.memory_mb * megabyte;
  report.note = options.hugepages ? why_no_hugepages(wanted) : "hugepages are switched off";
  report.hugepages = report.note.empty();

  cpu_set_t affinity;
  if (const int failed = pthread_getaffinity_np(pthread_self(), sizeof affinity, &affinity); failed != 0) {
    errno = failed;
    return system_failure("CPU affinity");
  }
  std::vector<std::string> arguments = {"trunkgate",
                                        "--no-shconf",
                                        "--no-telemetry",
                                        "--log-level=critical",
                                        lcore_argument(affinity),
                                        "--file-prefix=trunkgate-" + std::to_string(getpid()),
                                        "-m",
                                        std::to_string(options.memory_mb)};
  // The two exclude each other: without hugepages there is no file to keep out of the file system.
  arguments.emplace_back(report.hugepages ? "--in-memory" : "--no-huge");
  if (options.pci_devices.empty()) arguments.emplace_back("--no-pci");
  for (const auto& device : options.pci_devices) arguments.insert(arguments.end(), {"-a", device});
  std::vector<char*> argument_pointers;
  for (auto& argument : arguments) argument_pointers.push_back(argument.data());

  const int started = rte_eal_init(static_cast<int>(argument_pointers.size()), argument_pointers.data());
  const int reason = rte_errno;
  pthread_setaffinity_np(pthread_self(), sizeof affinity, &affinity);
  if (started < 0) {
    return failure("DPDK does not start with " + std::to_string(options.memory_mb) + " MB of " +
                   (report.hugepages ? "hugepages: " : "ordinary memory: ") + rte_strerror(reason));
  }
  remove_runtime_folder();
  silence_xdp_libraries();
  return report;
}

result<void> register_thread() {
  if (rte_lcore_id() != LCORE_ID_ANY) return {};
  if (rte_thread_register() != 0) return failure(std::string("a thread can't join DPDK: ") + rte_strerror(rte_errno));
  return {};
}

}  // namespace trunkgate
