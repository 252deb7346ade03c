// UDP 500 and 4500 on all of the gateway's addresses, both families: which address a datagram came to and leaves from
// is told to the kernel with each. Each of the four is two sockets: what begins an IKE SA waits in a queue of its own,
// so that a flood of it can't fill the one in which the IKE SAs that are there wait.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>

#include "controlplane/ike/sa/environment.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

// One thread: the loop's.
class ike_sockets {
 public:
  using receiver = std::function<void(const ike::ike_path& path, ike::byte_view datagram)>;

  ike_sockets(boost::asio::io_context& loop, receiver gets) : loop_(loop), gets_(std::move(gets)) {}

  // Fails if a port is taken or the right to bind it is missing.
  [[nodiscard]] result<void> open();
  // Without marker; from port 4500 it gets one (RFC 7296 2.23). What the kernel does not take is lost, as on any
  // network.
  void send(const ike::ike_path& path, ike::byte_view datagram);
  void send_keepalive(const ike::ike_path& path);

 private:
  struct one {
    std::unique_ptr<boost::asio::posix::stream_descriptor> descriptor;
    ip_family family{};
    std::uint16_t port = 0;
    bool opening = false;        // gets what names no IKE SA of ours yet
    const one* first = nullptr;  // of an opening one: its sister, which is read before it
  };
  [[nodiscard]] result<void> open_pair(ip_family family, std::uint16_t port);
  [[nodiscard]] result<std::unique_ptr<one>> open_one(ip_family family, std::uint16_t port, bool opening);
  [[nodiscard]] boost::asio::awaitable<void> serve(const one& socket);
  void take_some(const one& socket, unsigned most);
  void send_parts(const ike::ike_path& path, ike::byte_view front, ike::byte_view rest);

  boost::asio::io_context& loop_;
  receiver gets_;
  std::vector<std::unique_ptr<one>> sockets_;
};

// The address from which the kernel would send to `remote`; nothing: there is no way.
[[nodiscard]] std::optional<ip_address> source_address_for(const ip_address& remote);

}  // namespace trunkgate
