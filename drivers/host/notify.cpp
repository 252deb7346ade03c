#include "drivers/host/notify.hpp"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <string>

namespace trunkgate {

namespace {

// One assignment per line: a line break inside the status would begin another one.
std::string status_line(std::string_view status) {
  std::string line = "STATUS=" + std::string(status);
  std::ranges::replace(line, '\n', ' ');
  return line + "\n";
}

result<void> send_state(const std::string& text) {
  const char* path = std::getenv("NOTIFY_SOCKET");
  if (path == nullptr || *path == '\0') return {};
  sockaddr_un to{};
  to.sun_family = AF_UNIX;
  const std::size_t length = std::strlen(path);
  if ((path[0] != '/' && path[0] != '@') || length >= sizeof(to.sun_path))
    return failure("NOTIFY_SOCKET: neither an absolute path nor an abstract name of at most 107 characters");
  std::memcpy(to.sun_path, path, length);
  if (path[0] == '@') to.sun_path[0] = '\0';  // abstract name space
  const int descriptor = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return system_failure("socket for NOTIFY_SOCKET");
  const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + length);
  const ssize_t sent =
      ::sendto(descriptor, text.data(), text.size(), MSG_NOSIGNAL, reinterpret_cast<const sockaddr*>(&to), size);
  result<void> outcome;
  if (sent < 0) outcome = system_failure("send to NOTIFY_SOCKET");
  ::close(descriptor);
  return outcome;
}

}  // namespace

result<void> notify_ready(std::string_view status) { return send_state("READY=1\n" + status_line(status)); }
result<void> notify_status(std::string_view status) { return send_state(status_line(status)); }
result<void> notify_stopping(std::string_view status) { return send_state("STOPPING=1\n" + status_line(status)); }

}  // namespace trunkgate
