#include "controlplane/keystore/confine.hpp"

#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>

namespace trunkgate {

namespace {

result<void> drop_capabilities() {
  constexpr std::uint32_t kept = (1u << CAP_IPC_LOCK) | (1u << CAP_DAC_READ_SEARCH);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[_LINUX_CAPABILITY_U32S_3] = {};
  if (::syscall(SYS_capget, &header, sets) != 0) return system_failure("capget");
  sets[0].effective &= kept;
  sets[0].permitted &= kept;
  sets[1].effective = sets[1].permitted = 0;
  sets[0].inheritable = sets[1].inheritable = 0;
  if (::syscall(SYS_capset, &header, sets) != 0) return system_failure("give up capabilities");
  return {};
}

// What is used after the start: by the loop, by the allocator, by OpenSSL, by the log, and to end.
constexpr int needed_calls[] = {
    SYS_read,   SYS_write,        SYS_writev,         SYS_close,         SYS_fstat,           SYS_newfstatat,
    SYS_lseek,  SYS_openat2,      SYS_poll,           SYS_ppoll,         SYS_recvfrom,        SYS_recvmsg,
    SYS_sendto, SYS_sendmsg,      SYS_accept4,        SYS_munmap,        SYS_mremap,          SYS_madvise,
    SYS_brk,    SYS_futex,        SYS_getrandom,      SYS_clock_gettime, SYS_gettimeofday,    SYS_getpid,
    SYS_gettid, SYS_rt_sigreturn, SYS_rt_sigprocmask, SYS_rt_sigaction,  SYS_restart_syscall, SYS_tgkill,
    SYS_exit,   SYS_exit_group,
};

sock_filter load(std::size_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<std::uint32_t>(offset)); }
sock_filter jump_if(std::uint32_t value, std::uint8_t yes, std::uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}
sock_filter answer(std::uint32_t what) { return BPF_STMT(BPF_RET | BPF_K, what); }

[[maybe_unused]] result<void> filter_calls() {
  std::vector<sock_filter> program{
      load(offsetof(seccomp_data, arch)),
      jump_if(AUDIT_ARCH_X86_64, 1, 0),
      answer(SECCOMP_RET_KILL_PROCESS),
      load(offsetof(seccomp_data, nr)),
  };
  for (const int number : needed_calls) {
    program.push_back(jump_if(static_cast<std::uint32_t>(number), 0, 1));
    program.push_back(answer(SECCOMP_RET_ALLOW));
  }
  // Memory, but none that can be run.
  for (const int number : {SYS_mmap, SYS_mprotect}) {
    program.push_back(jump_if(static_cast<std::uint32_t>(number), 0, 4));
    program.push_back(load(offsetof(seccomp_data, args) + 2 * sizeof(std::uint64_t)));  // the protection's low half
    program.push_back(BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, PROT_EXEC, 1, 0));
    program.push_back(answer(SECCOMP_RET_ALLOW));
    program.push_back(answer(SECCOMP_RET_ERRNO | EPERM));
  }
  // An error, no death: a call that only some library's odd path makes must not end the process.
  program.push_back(answer(SECCOMP_RET_ERRNO | EPERM));
  const sock_fprog whole{.len = static_cast<unsigned short>(program.size()), .filter = program.data()};
  if (::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &whole) != 0) return system_failure("filter system calls");
  return {};
}

}  // namespace

result<void> confine() {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return system_failure("forbid new privileges");
  auto dropped = drop_capabilities();
#ifdef __SANITIZE_ADDRESS__
  return dropped;  // the sanitizer's own calls at the end would be refused
#else
  auto filtered = filter_calls();
  return dropped ? filtered : dropped;
#endif
}

}  // namespace trunkgate
