#include "controlplane/keystore/server.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

namespace trunkgate {

namespace {

namespace wire = keystore_wire;
using parts_of_answer = std::array<wire::byte_view, 3>;

// trunkgated, and an operator's tool or two.
constexpr std::size_t clients_limit = 16;
// Requests of one client in a row, so that another waits no longer than this.
constexpr int requests_in_a_row = 32;

wire::byte_view as_bytes(std::string_view text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

result<void> outcome_of(const auto& done) {
  if (!done) return std::unexpected(done.error());
  return {};
}

}  // namespace

keystore_server::keystore_server(int listener, int signals, key_ring& keys, report to_log)
    : listener_(listener), signals_(signals), keys_(keys), report_(std::move(to_log)), buffer_(wire::message_limit) {}

keystore_server::~keystore_server() {
  for (auto& one : clients_) {
    if (!one.unsent.empty()) wipe(one.unsent.data(), one.unsent.size());
    ::close(one.descriptor);
  }
  ::close(listener_);
}

result<void> keystore_server::run() {
  while (!ending_) {
    std::vector<pollfd> watched{{signals_, POLLIN, 0}, {listener_, POLLIN, 0}};
    if (clients_.size() >= clients_limit) watched[1].events = 0;
    for (const auto& one : clients_)
      watched.push_back({one.descriptor, static_cast<short>(one.unsent.empty() ? POLLIN : POLLOUT), 0});
    if (::poll(watched.data(), watched.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return system_failure("poll");
    }
    std::size_t place = 2;
    for (auto one = clients_.begin(); one != clients_.end();) {
      if (watched[place++].revents == 0 || serve(*one)) {
        ++one;
        continue;
      }
      ::close(one->descriptor);
      one = clients_.erase(one);
    }
    if (watched[1].revents != 0) accept_one();
    if (watched[0].revents != 0) take_signals();
  }
  return {};
}

void keystore_server::accept_one() {
  const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (descriptor >= 0) clients_.push_back({.descriptor = descriptor});
}

bool keystore_server::serve(client& one) {
  if (!one.unsent.empty() && !send(one, std::exchange(one.unsent, {}))) return false;
  for (int i = 0; i < requests_in_a_row && one.unsent.empty(); ++i) {
    const auto got = ::recv(one.descriptor, buffer_.data(), buffer_.size(), MSG_TRUNC);
    if (got < 0) return errno == EAGAIN || errno == EINTR;
    const auto size = static_cast<std::size_t>(got);
    if (size == 0 || size > buffer_.size()) return false;  // closed, or more than any request has
    auto message = answer(std::span(buffer_).first(size));
    wipe(buffer_.data(), size);
    if (!send(one, std::move(message))) return false;
  }
  return true;
}

bool keystore_server::send(client& one, std::vector<std::uint8_t> message) {
  const auto sent = ::send(one.descriptor, message.data(), message.size(), MSG_NOSIGNAL);
  if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
    one.unsent = std::move(message);
    return true;
  }
  wipe(message.data(), message.size());
  return sent >= 0;
}

std::vector<std::uint8_t> keystore_server::answer(std::span<const std::uint8_t> message) {
  const auto wanted = wire::parse_request(message);
  if (wanted) return compute(*wanted);
  return finish(wire::number_of(message), failure("the key process refused " + wanted.error().reason), {});
}

std::vector<std::uint8_t> keystore_server::compute(const wire::request& wanted) {
  const auto one_part = [this, &wanted](const result<key_ring::bytes>& done) {
    return finish(wanted.number, outcome_of(done), done ? parts_of_answer{*done} : parts_of_answer{});
  };
  switch (wanted.type) {
    case wire::message_type::public_key: return one_part(keys_.public_key(wanted.key));
    case wire::message_type::sign: return one_part(keys_.sign(wanted.key, wanted.scheme, wanted.parts[0]));
    case wire::message_type::psk_auth: {
      const auto done = keys_.psk_auth(wanted.key, wanted.prf, wanted.parts[0]);
      return finish(wanted.number, outcome_of(done), done ? parts_of_answer{done->bytes()} : parts_of_answer{});
    }
    case wire::message_type::mix_ppk: {
      const auto done = keys_.mix_ppk(wanted.key, wanted.prf, wanted.parts[0], wanted.parts[1], wanted.parts[2]);
      return finish(wanted.number, outcome_of(done),
                    done ? parts_of_answer{done->d.bytes(), done->pi.bytes(), done->pr.bytes()} : parts_of_answer{});
    }
    case wire::message_type::reload: return finish(wanted.number, keys_.reload(), {});
    case wire::message_type::status: {
      const wire::status_record now{.private_keys = static_cast<std::uint32_t>(keys_.private_key_count()),
                                    .shared_keys = static_cast<std::uint32_t>(keys_.shared_key_count()),
                                    .answered = answered_,
                                    .refused = refused_};
      return finish(wanted.number, {},
                    parts_of_answer{wire::byte_view(reinterpret_cast<const std::uint8_t*>(&now), sizeof now)});
    }
    default: return finish(wanted.number, failure("the key process knows no such request"), {});
  }
}

std::vector<std::uint8_t> keystore_server::finish(std::uint32_t number, const result<void>& done,
                                                  const parts_of_answer& parts) {
  ++(done ? answered_ : refused_);
  if (done) return wire::encode(wire::answer{.number = number, .ok = true, .parts = parts});
  return wire::encode(wire::answer{.number = number, .ok = false, .parts = {as_bytes(done.error().reason)}});
}

void keystore_server::take_signals() {
  signalfd_siginfo signal{};
  while (::read(signals_, &signal, sizeof signal) == sizeof signal) {
    if (signal.ssi_signo == SIGHUP)
      reload();
    else
      ending_ = true;
  }
}

void keystore_server::reload() {
  if (auto done = keys_.reload(); !done) return report_("keystore.reload_incomplete", done.error().reason);
  report_("keystore.reloaded", std::to_string(keys_.private_key_count()) + " private and " +
                                   std::to_string(keys_.shared_key_count()) + " pre-shared keys were read again");
}

result<int> listen_keystore(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure("socket path too long: " + path);
  path.copy(address.sun_path, path.size());
  const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) return system_failure("socket");
  ::unlink(path.c_str());
  const mode_t old = ::umask(0177);
  const int bound = ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(old);
  if (bound == 0 && ::listen(listener, 16) == 0) return listener;
  auto why = system_failure("listen at " + path);
  ::close(listener);
  return why;
}

}  // namespace trunkgate
