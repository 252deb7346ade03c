#include "dataplane/core/protect_memory.hpp"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

[[maybe_unused]] long locked_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("VmLck:")) return std::stol(line.substr(6));
  return -1;
}

// In a child: what is forbidden stays forbidden for the rest of a process.
TEST(protect_memory, leaves_no_core_no_tracer_and_no_swap) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const auto kept = keep_secrets_in_memory();
    rlimit core{1, 1};
    ::getrlimit(RLIMIT_CORE, &core);
    int wrong = 0;
    if (!kept) wrong |= 1;
    if (core.rlim_cur != 0 || core.rlim_max != 0) wrong |= 2;
    if (::prctl(PR_GET_DUMPABLE) != 0) wrong |= 4;
#ifndef __SANITIZE_ADDRESS__  // its mlockall(2) does nothing: the shadow memory would not fit
    if (locked_kb() <= 0) wrong |= 8;
#endif
    ::_exit(wrong);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 0) << "1: refused, 2: core limit, 4: dumpable, 8: not locked";
}

TEST(protect_memory, says_what_is_amiss_without_the_right_to_lock) {
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit little{65536, 65536};
    ::setrlimit(RLIMIT_MEMLOCK, &little);
    if (::setresuid(65534, 65534, 65534) != 0) ::_exit(2);
    const auto kept = keep_secrets_in_memory();
    const bool told = !kept && kept.error().reason.find("CAP_IPC_LOCK") != std::string::npos;
    ::_exit(told && ::prctl(PR_GET_DUMPABLE) == 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

}  // namespace
}  // namespace trunkgate
