// What IKE gets from outside: time, chance, the network, other threads. The daemon gives the real ones, tests their
// own.
#pragma once

#include <chrono>
#include <concepts>
#include <cstdint>
#include <exception>
#include <optional>
#include <span>
#include <type_traits>
#include <vector>

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "controlplane/ike/auth/revocation_fetcher.hpp"
#include "controlplane/ike/sa/timers.hpp"
#include "controlplane/ike/wire/payload.hpp"
#include "controlplane/installer/sa_sink.hpp"
#include "controlplane/keystore/client.hpp"

namespace trunkgate::ike {

namespace asio = boost::asio;

// Both ends of the UDP packets that carry an IKE SA.
struct ike_path {
  sa_endpoint local, remote;
  friend bool operator==(const ike_path&, const ike_path&) = default;
};

// RFC 7296 2.23: on this port a message has the non-ESP marker in front, which send() adds and the receiver takes off.
inline constexpr std::uint16_t ike_port = 500, nat_port = 4500;

class environment {
 public:
  virtual ~environment() = default;

  [[nodiscard]] virtual timer_clock::time_point now() const = 0;
  [[nodiscard]] virtual std::chrono::system_clock::time_point wall_time() const = 0;
  virtual void random(std::span<std::uint8_t> into) = 0;
  // A datagram without its marker. Loss is no error.
  virtual void send(const ike_path& path, byte_view datagram) = 0;
  // RFC 7296 2.23: the one octet 0xff that keeps a NAT's mapping.
  virtual void send_keepalive(const ike_path& path) = 0;
  // The local address that reaches `remote` by the kernel's routes; nothing: there is no way.
  [[nodiscard]] virtual std::optional<ip_address> source_for(const ip_address& remote) = 0;

  [[nodiscard]] virtual asio::any_io_executor loop() = 0;
  // Where what takes more than some 200 us is computed; nothing: on the loop.
  [[nodiscard]] virtual std::optional<asio::any_io_executor> pool() { return std::nullopt; }

  // Of the data plane: each may have children of its own (RFC 9611).
  [[nodiscard]] virtual unsigned workers() { return 1; }

  [[nodiscard]] virtual timers& clock() = 0;
  [[nodiscard]] virtual sa_sink& sink() = 0;
  [[nodiscard]] virtual keystore& keys() = 0;
  // Who asks OCSP responders; nobody: what the peer sends and what is configured must do.
  [[nodiscard]] virtual revocation_fetcher* revocation() { return nullptr; }

  [[nodiscard]] std::uint64_t random_number() {
    std::uint64_t number = 0;
    random({reinterpret_cast<std::uint8_t*>(&number), sizeof number});
    return number;
  }
};

// Starts `work` on the loop. An exception in it is a bug of ours and ends the daemon, which its supervisor starts anew.
inline void spawn(environment& outside, asio::awaitable<void> work) {
  asio::co_spawn(outside.loop(), std::move(work), [](const std::exception_ptr& thrown) {
    if (thrown) std::rethrow_exception(thrown);
  });
}

// Runs `work` on the pool while the loop goes on; what it refers to must live until then.
template <std::invocable Work>
asio::awaitable<std::invoke_result_t<Work>> compute(environment& outside, Work work) {
  using answer = std::invoke_result_t<Work>;
  const auto pool = outside.pool();
  if (!pool) co_return work();
  co_return co_await asio::co_spawn(
      *pool, [&work]() -> asio::awaitable<answer> { co_return work(); }, asio::use_awaitable);
}

}  // namespace trunkgate::ike
