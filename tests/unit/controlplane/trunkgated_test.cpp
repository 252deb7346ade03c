// The control daemon as it ships, against a peer that speaks the data plane's end of the protocol.
#include <fcntl.h>
#include <sys/wait.h>

#include <chrono>
#include <csignal>
#include <fstream>

#include <gtest/gtest.h>

#include "tests/unit/controlplane/recording_peer.hpp"

namespace trunkgate {
namespace {

using api::message_type;

std::string configuration_with(const std::string& gateway_name) {
  return "gateway: {name: " + gateway_name +
         "}\n"
         "ports:\n"
         "  wan: {device: eth0, addresses: [203.0.113.2/24]}\n";
}

class trunkgated : public testing::Test {
 protected:
  void SetUp() override {
    write(configuration_with("first"));
    notify_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    notify_path_.copy(address.sun_path, sizeof address.sun_path - 1);
    ASSERT_EQ(::bind(notify_, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::pipe2(log_, O_CLOEXEC), 0);
  }
  void TearDown() override {
    if (pid_ > 0) end();
    ::close(notify_);
    for (int side : log_)
      if (side >= 0) ::close(side);
  }

  void write(const std::string& text) { std::ofstream(file_) << text; }
  void start() {
    pid_ = ::fork();
    if (pid_ == 0) {
      ::dup2(log_[1], STDERR_FILENO);
      ::setenv("NOTIFY_SOCKET", notify_path_.c_str(), 1);
      ::execl(TRUNKGATED_PROGRAM, "trunkgated", "--config", file_.c_str(), "--run-dir", folder_.path().c_str(),
              "--foreground", nullptr);
      ::_exit(127);
    }
    ::close(std::exchange(log_[1], -1));
  }
  int end(int signal = SIGTERM) {
    ::kill(pid_, signal);
    return wait_for_end();
  }
  int wait_for_end() {
    int status = -1;
    ::waitpid(std::exchange(pid_, -1), &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  // Reads the log until a line with this event ("": any) came; that line, or "" if the daemon ended or took ten
  // seconds.
  std::string log_line(const std::string& event) {
    std::string line;
    pollfd watched{log_[0], POLLIN, 0};
    for (char c = 0; ::poll(&watched, 1, 10000) > 0 && ::read(log_[0], &c, 1) == 1;) {
      if (c != '\n') {
        line += c;
        continue;
      }
      if (event.empty() || line.find(" " + event + " ") != std::string::npos) return line;
      line.clear();
    }
    return "";
  }
  std::string notification() {
    char buffer[512];
    pollfd watched{notify_, POLLIN, 0};
    if (::poll(&watched, 1, 10000) <= 0) return "";
    const auto got = ::recv(notify_, buffer, sizeof buffer, 0);
    return {buffer, static_cast<std::size_t>(std::max<ssize_t>(got, 0))};
  }
  static std::string gateway_in(const std::vector<recording_peer::request>& requests) {
    for (const auto& request : requests)
      if (request.type == message_type::put_gateway)
        return std::string(request.as<api::gateway_record>().gateway_name.view());
    return "";
  }

  scratch_folder folder_;
  std::string file_ = folder_ / "gateway.yaml", notify_path_ = folder_ / "notify", socket_ = folder_ / "dataplane.sock";
  int notify_ = -1, log_[2] = {-1, -1};
  pid_t pid_ = -1;
};

TEST_F(trunkgated, refuses_to_start_with_a_bad_configuration) {
  write("gateway: {nam: hq}\n");
  start();
  EXPECT_EQ(wait_for_end(), 1);
  EXPECT_NE(log_line("config.bad"), "");
}

TEST_F(trunkgated, installs_and_says_that_it_is_ready) {
  recording_peer peer(socket_);
  start();
  ASSERT_TRUE(peer.accept());
  EXPECT_EQ(gateway_in(peer.serve_batch()), "first");
  EXPECT_TRUE(notification().starts_with("READY=1\n"));
  EXPECT_NE(log_line("config.installed").find("1 port, 0 routes, 0 policies, 0 SAs"), std::string::npos);
  EXPECT_EQ(end(), 0);
}

TEST_F(trunkgated, waits_for_the_data_plane_and_installs_again_after_its_restart) {
  start();
  EXPECT_NE(log_line("dataplane.unreachable"), "");
  for (int life = 0; life < 2; ++life) {
    recording_peer peer(socket_);
    ASSERT_TRUE(peer.accept());
    EXPECT_EQ(gateway_in(peer.serve_batch()), "first");
    EXPECT_NE(log_line("config.installed"), "");
  }
  EXPECT_NE(log_line("dataplane.lost"), "");
}

TEST_F(trunkgated, reload_installs_what_the_file_says_now_on_the_same_connection) {
  recording_peer peer(socket_);
  start();
  ASSERT_TRUE(peer.accept());
  peer.serve_batch();
  EXPECT_NE(log_line("config.installed"), "");
  write(configuration_with("second"));
  ::kill(pid_, SIGHUP);
  EXPECT_EQ(gateway_in(peer.serve_batch()), "second");
  EXPECT_NE(log_line("config.applied"), "");
  // From now on this is what a data plane that was started anew gets.
  ASSERT_TRUE((peer.hang_up(), peer.accept()));
  EXPECT_EQ(gateway_in(peer.serve_batch()), "second");
}

TEST_F(trunkgated, logs_what_the_data_plane_tells_once_and_on_one_line) {
  const auto at = [](std::uint64_t later_ns) {
    api::event event;
    event.kind = api::event_kind::hard_expire;
    event.limit = api::sa_limit::packets;
    event.value = 1000;
    event.tunnel = api::name("hq");
    event.child = api::name("lan");
    event.spi = 0x1001;
    event.unix_ns = later_ns + static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch() /
                                                          std::chrono::nanoseconds(1));
    return event;
  };
  recording_peer peer(socket_);
  const auto old = at(0);
  start();
  ASSERT_TRUE(peer.accept());
  const auto first = at(1'000'000'000);
  peer.tell(old);  // from before this daemon's start; and between the answers to the batch
  peer.tell(first);
  const auto requests = peer.serve_batch();
  ASSERT_FALSE(requests.empty());
  EXPECT_EQ(requests[0].type, message_type::subscribe);
  const auto line = log_line("sa.hard_expire");
  EXPECT_NE(line.find("error trunkgated sa.hard_expire tunnel hq, child lan, out, SPI 0x00001001, limit 1000 packets"),
            std::string::npos)
      << line;
  EXPECT_NE(log_line("config.installed"), "") << "the old one was not logged, nor taken for an answer";
  auto soft = at(2'000'000'000);
  soft.kind = api::event_kind::soft_expire;
  peer.tell(soft);
  EXPECT_NE(log_line("sa.soft_expire").find("warning"), std::string::npos);
  // A new connection brings the kept ones again.
  ASSERT_TRUE((peer.hang_up(), peer.accept()));
  auto exhausted = at(3'000'000'000);
  exhausted.kind = api::event_kind::sequence_exhausted;
  for (const auto& event : {first, soft, exhausted}) peer.tell(event);
  peer.serve_batch();
  std::string between;
  for (std::string next; (next = log_line("")) != "" && next.find("config.installed") == std::string::npos;)
    between += next + "\n";
  EXPECT_EQ(between.find("_expire"), std::string::npos) << between;
  EXPECT_NE(between.find("sa.sequence_exhausted"), std::string::npos) << between;
}

TEST_F(trunkgated, reload_of_a_bad_file_changes_nothing) {
  recording_peer peer(socket_);
  start();
  ASSERT_TRUE(peer.accept());
  peer.serve_batch();
  EXPECT_NE(log_line("config.installed"), "");
  write("gateway: {nam: hq}\n");
  ::kill(pid_, SIGHUP);
  EXPECT_NE(log_line("config.bad").find("nothing was changed"), std::string::npos);
  // What comes next is the install after a restart, of what was good.
  ASSERT_TRUE((peer.hang_up(), peer.accept()));
  EXPECT_EQ(gateway_in(peer.serve_batch()), "first");
}

TEST_F(trunkgated, a_refused_reload_is_logged_and_what_ran_is_kept) {
  recording_peer peer(socket_);
  start();
  ASSERT_TRUE(peer.accept());
  peer.serve_batch();
  EXPECT_NE(log_line("config.installed"), "");
  write(configuration_with("second"));
  ::kill(pid_, SIGHUP);
  EXPECT_EQ(gateway_in(peer.serve_batch(message_type::batch_commit, "gateway: name needs a restart of the data plane")),
            "second");
  EXPECT_NE(log_line("config.refused").find("gateway: name needs a restart of the data plane: nothing was changed"),
            std::string::npos);
  // It stays on this connection; what a data plane that was started anew gets is what ran.
  ASSERT_TRUE((peer.hang_up(), peer.accept()));
  EXPECT_EQ(gateway_in(peer.serve_batch()), "first");
}

}  // namespace
}  // namespace trunkgate
