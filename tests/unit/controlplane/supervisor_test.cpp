#include "controlplane/cli/supervisor.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <set>

#include <gtest/gtest.h>

#include "controlplane/cli/event_log.hpp"
#include "dataplane/core/sequence_file.hpp"

namespace trunkgate {
namespace {

using namespace std::chrono_literals;

TEST(restart_backoff, doubles_to_its_limit) {
  restart_backoff backoff;
  const std::chrono::milliseconds expected[] = {100ms, 200ms, 400ms, 800ms, 1600ms, 3200ms, 5000ms, 5000ms};
  for (auto wait : expected) EXPECT_EQ(backoff.died_after(50ms), wait);
}

TEST(restart_backoff, starts_afresh_after_a_life) {
  restart_backoff backoff;
  for (int i = 0; i < 4; ++i) (void)backoff.died_after(0s);
  EXPECT_EQ(backoff.died_after(9999ms), 1600ms);
  EXPECT_EQ(backoff.died_after(10s), 100ms);
  EXPECT_EQ(backoff.died_after(0s), 200ms);
}

// A supervisor in a process of its own over shell programs that tell over a pipe what they live through.
class supervised : public testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(::pipe(pipe_), 0); }  // inherited by the programs: no close-on-exec

  supervised_program program(const std::string& name, const std::string& script) {
    const auto say = "say() { echo \"" + name + " $*\" >&" + std::to_string(pipe_[1]) + "; }; ";
    return {.name = name, .command = {"/bin/sh", "-c", say + script}};
  }
  // Tells of its start, takes TERM and HUP, and waits without using the processor.
  supervised_program patient(const std::string& name) {
    return program(name,
                   "trap 'say hup' HUP; trap 'say term; kill $! 2>/dev/null; exit 0' TERM; say up $$; "
                   "sleep 60 & while :; do wait $!; done");
  }
  void start(std::vector<supervised_program> programs) {
    pid_ = ::fork();
    if (pid_ == 0) {
      start_event_log("supervisor", false);
      auto ended = supervisor(std::move(programs)).run();
      ::_exit(ended ? 0 : 1);
    }
    ::close(std::exchange(pipe_[1], -1));
  }
  // One line; waits for it. Empty at the end of all programs or after ten seconds.
  std::string line() {
    std::string out;
    pollfd watched{pipe_[0], POLLIN, 0};
    for (char c = 0; ::poll(&watched, 1, 10000) > 0 && ::read(pipe_[0], &c, 1) == 1;) {
      if (c == '\n') return out;
      out += c;
    }
    return out;
  }
  static pid_t number_in(const std::string& text) { return std::stoi(text.substr(text.rfind(' ') + 1)); }
  int wait_for_end() {
    int status = -1;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  void TearDown() override {
    if (pid_ > 0) {
      ::kill(pid_, SIGTERM);
      wait_for_end();
    }
    for (int end : pipe_)
      if (end >= 0) ::close(end);
  }

  int pipe_[2] = {-1, -1};
  pid_t pid_ = -1;
};

TEST_F(supervised, starts_anew_what_dies_and_ends_all_in_reverse_order) {
  start({patient("first")});
  const auto before = line();
  ASSERT_TRUE(before.starts_with("first up ")) << before;
  ::kill(number_in(before), SIGKILL);
  const auto after = line();
  ASSERT_TRUE(after.starts_with("first up ")) << after;
  EXPECT_NE(number_in(before), number_in(after));
}

TEST_F(supervised, ends_the_last_first) {
  start({patient("dataplane"), patient("control")});
  line();
  line();
  ::kill(pid_, SIGTERM);
  EXPECT_EQ(line(), "control term");
  EXPECT_EQ(line(), "dataplane term");
  EXPECT_EQ(wait_for_end(), 0);
}

TEST_F(supervised, passes_a_reload_only_to_who_wants_it) {
  auto control = patient("control");
  control.reloads = true;
  start({patient("dataplane"), control});
  line();
  line();
  ::kill(pid_, SIGHUP);
  EXPECT_EQ(line(), "control hup");
  ::kill(pid_, SIGINT);
  EXPECT_EQ(line(), "control term");  // and no "dataplane hup" before it
  EXPECT_EQ(line(), "dataplane term");
}

TEST_F(supervised, kills_who_does_not_end) {
  start({program("deaf", "trap '' TERM; say up $$; exec sleep 60")});
  const auto up = line();
  ::kill(pid_, SIGTERM);
  EXPECT_EQ(wait_for_end(), 0);
  EXPECT_EQ(::kill(number_in(up), 0), -1);
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(supervised, gives_the_sequence_file_to_one_program_alone_and_the_same_after_a_restart) {
  auto file = create_sequence_file();
  ASSERT_TRUE(file);
  // Each life adds a line to the file and tells how many there are; the second program must not see it.
  const auto script = "f=/proc/self/fd/$" + std::string(sequence_descriptor_variable) +
                      "; echo life >>$f; say lives $(wc -l <$f) pid $$; exec sleep 60";
  auto holder = program("holder", script);
  holder.inherited = *file;
  holder.inherited_variable = sequence_descriptor_variable;
  start({holder,
         program("other", "say [$" + std::string(sequence_descriptor_variable) +
                              "] sees $(readlink /proc/$$/fd/* | grep -c " + "trunkgate-sequences); exec sleep 60")});
  const std::set<std::string> lines{line(), line()};
  EXPECT_TRUE(lines.contains("other [] sees 0")) << *lines.rbegin();
  ASSERT_TRUE(lines.begin()->starts_with("holder lives 1 pid ")) << *lines.begin();
  ::kill(number_in(*lines.begin()), SIGKILL);
  EXPECT_TRUE(line().starts_with("holder lives 2 pid "));
  ::close(*file);
}

TEST_F(supervised, hides_the_environment_from_a_program_that_reads_no_keys) {
  ::setenv("SITE_KEY", "0123456789abcdef", 1);
  ::setenv("TRUNKGATE_RUN_DIR", "/run/here", 1);
  auto blind = program("blind", "say [$SITE_KEY] $TRUNKGATE_RUN_DIR; exec sleep 60");
  blind.sees_environment = false;
  auto half_blind = program("half", "say [$SITE_KEY] $TRUNKGATE_RUN_DIR; exec sleep 60");
  half_blind.hidden_variables = {"SITE_KEY", "TRUNKGATE_RUN"};
  start({blind, program("seeing", "say [$SITE_KEY]; exec sleep 60"), half_blind});
  const std::set<std::string> lines{line(), line(), line()};
  EXPECT_EQ(lines, (std::set<std::string>{"blind [] /run/here", "seeing [0123456789abcdef]", "half [] /run/here"}));
  ::unsetenv("SITE_KEY");
  ::unsetenv("TRUNKGATE_RUN_DIR");
}

TEST_F(supervised, leaves_no_orphan_when_it_is_killed_itself) {
  start({patient("first")});
  ASSERT_TRUE(line().starts_with("first up "));
  ::kill(pid_, SIGKILL);
  EXPECT_EQ(line(), "first term");
  EXPECT_EQ(wait_for_end(), -SIGKILL);
}

}  // namespace
}  // namespace trunkgate
