#include "dataplane/core/protect_memory.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/capability.h>

namespace trunkgate {
namespace {

// With a limit and without the capability, locking would make some later allocation fail instead.
bool may_lock_memory() {
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, sets) == 0 && (sets[0].effective & (1u << CAP_IPC_LOCK)) != 0) return true;
  rlimit limit{};
  return ::getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY;
}

}  // namespace

result<void> keep_secrets_in_memory() {
  const rlimit none{0, 0};
  if (::setrlimit(RLIMIT_CORE, &none) != 0) return system_failure("forbid core files");
  if (::prctl(PR_SET_DUMPABLE, 0) != 0) return system_failure("forbid core dumps");
  if (!may_lock_memory()) return failure("keys may be swapped out: grant CAP_IPC_LOCK, or run without swap");
  // ONFAULT: only pages that are used count; tables reserve far more than they touch.
  if (::mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT) != 0) return system_failure("keep memory out of swap");
  return {};
}

}  // namespace trunkgate
