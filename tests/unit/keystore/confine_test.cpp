#include "controlplane/keystore/confine.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>

#include <gtest/gtest.h>
#include <linux/openat2.h>

namespace trunkgate {
namespace {

[[maybe_unused]] bool is_refused(long answer) { return answer < 0 && errno == EPERM; }

// In a child: what is given up is gone for good. Its exit status is the number of the first thing that is wrong.
[[maybe_unused]] int first_wrong_when_confined() {
  const int folder = ::open("/etc", O_PATH | O_DIRECTORY);
  if (!confine()) return 1;
  if (::prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1 && errno != EPERM) return 2;
  if (!is_refused(::socket(AF_INET, SOCK_STREAM, 0)) || !is_refused(::socket(AF_UNIX, SOCK_STREAM, 0))) return 3;
  if (!is_refused(::open("/etc/passwd", O_RDONLY))) return 4;
  if (!is_refused(::execl("/bin/true", "true", nullptr))) return 5;
  if (!is_refused(::fork())) return 6;
  if (!is_refused(::syscall(SYS_ptrace, 0, 0, 0, 0))) return 7;
  if (::mmap(nullptr, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED) return 8;
  void* page = ::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) return 9;
  if (!is_refused(::mprotect(page, 4096, PROT_READ | PROT_EXEC))) return 10;
  open_how how{};
  how.flags = O_RDONLY;
  how.resolve = RESOLVE_BENEATH;
  if (::syscall(SYS_openat2, folder, "passwd", &how, sizeof how) < 0) return 11;
  return 0;
}

TEST(confine, leaves_only_what_the_loop_needs) {
#ifdef __SANITIZE_ADDRESS__
  EXPECT_TRUE(true) << "under a sanitizer calls are not filtered";
#else
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) ::_exit(first_wrong_when_confined());
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
#endif
}

}  // namespace
}  // namespace trunkgate
