#include "controlplane/cli/control_client.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "dataplane/api/run_directory.hpp"

namespace trunkgate {

namespace {

using clock = std::chrono::steady_clock;
constexpr std::size_t answer_limit = std::size_t{256} << 20;

bool wait_for(int descriptor, short what, clock::time_point until) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(until - clock::now()).count();
  pollfd one{.fd = descriptor, .events = what, .revents = 0};
  return left > 0 && ::poll(&one, 1, static_cast<int>(left)) == 1;
}

}  // namespace

result<control_client> control_client::connect(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure("socket path too long: " + path);
  path.copy(address.sun_path, path.size());
  const int descriptor = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return system_failure("socket");
  control_client made(descriptor);
  if (::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    const auto why = system_failure("trunkgated at " + path);
    return failure(why.error().reason + "; is it running? (trunkgate run)");
  }
  return made;
}

result<control_client> control_client::connect(const arguments& given) {
  return connect(api::control_socket_in(api::run_directory(given.value("run-dir"))));
}

control_client::~control_client() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

result<void> control_client::send(std::string_view text, clock::time_point until) const {
  while (!text.empty()) {
    const auto sent = ::send(descriptor_, text.data(), text.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent > 0) {
      text.remove_prefix(static_cast<std::size_t>(sent));
      continue;
    }
    if (sent < 0 && errno != EAGAIN && errno != EINTR) return system_failure("trunkgated");
    if (!wait_for(descriptor_, POLLOUT, until)) return failure("trunkgated does not listen");
  }
  return {};
}

result<std::string> control_client::receive(clock::time_point until) const {
  std::string line;
  std::array<char, 65536> part;
  while (!line.ends_with('\n')) {
    if (!wait_for(descriptor_, POLLIN, until)) return failure("trunkgated does not answer");
    const auto got = ::recv(descriptor_, part.data(), part.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return failure("trunkgated closed the connection");
    line.append(part.data(), static_cast<std::size_t>(got));
    if (line.size() > answer_limit) return failure("trunkgated's answer is too long");
  }
  return line;
}

result<nlohmann::ordered_json> control_client::ask(const nlohmann::ordered_json& request,
                                                   std::chrono::seconds patience) {
  const auto until = clock::now() + patience;
  if (auto sent = send(request.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n", until); !sent)
    return std::unexpected(sent.error());
  const auto line = receive(until);
  if (!line) return std::unexpected(line.error());
  auto said = nlohmann::ordered_json::parse(*line, nullptr, false);
  if (!said.is_object()) return failure("trunkgated's answer is no JSON");
  if (const auto error = said.find("error"); error != said.end() && error->is_string())
    return failure(error->get<std::string>());
  return said;
}

}  // namespace trunkgate
