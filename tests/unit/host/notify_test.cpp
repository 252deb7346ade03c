#include "drivers/host/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

TEST(notify, says_nothing_without_a_listener) {
  ::unsetenv("NOTIFY_SOCKET");
  EXPECT_TRUE(notify_ready("x"));
}

TEST(notify, refuses_a_socket_it_cannot_name) {
  ::setenv("NOTIFY_SOCKET", "relative/path", 1);
  EXPECT_FALSE(notify_ready("x"));
  ::setenv("NOTIFY_SOCKET", ("/" + std::string(200, 'a')).c_str(), 1);
  EXPECT_FALSE(notify_ready("x"));
  ::setenv("NOTIFY_SOCKET", "/nonexistent/socket", 1);
  EXPECT_FALSE(notify_ready("x"));
}

TEST(notify, sends_the_states_as_datagrams) {
  const std::string name = "@trunkgate-notify-test-" + std::to_string(::getpid());
  const int listener = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un at{};
  at.sun_family = AF_UNIX;
  std::memcpy(at.sun_path, name.data(), name.size());
  at.sun_path[0] = '\0';
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size());
  ASSERT_EQ(::bind(listener, reinterpret_cast<const sockaddr*>(&at), size), 0);
  ::setenv("NOTIFY_SOCKET", name.c_str(), 1);
  const auto received = [&] {
    char text[256];
    const ssize_t length = ::recv(listener, text, sizeof(text), MSG_DONTWAIT);
    return length < 0 ? std::string("nothing") : std::string(text, static_cast<std::size_t>(length));
  };
  ASSERT_TRUE(notify_ready("2 ports up"));
  EXPECT_EQ(received(), "READY=1\nSTATUS=2 ports up\n");
  ASSERT_TRUE(notify_status("two\nREADY=1"));  // no second assignment may be smuggled in
  EXPECT_EQ(received(), "STATUS=two READY=1\n");
  ASSERT_TRUE(notify_stopping("signal"));
  EXPECT_EQ(received(), "STOPPING=1\nSTATUS=signal\n");
  ::close(listener);
  ::unsetenv("NOTIFY_SOCKET");
}

}  // namespace
}  // namespace trunkgate
