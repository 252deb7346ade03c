// Where negotiated SAs go: the data plane, or whatever takes its place. IKE knows nothing else of it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include <boost/asio/awaitable.hpp>

#include "config/model.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/core/secret.hpp"

namespace trunkgate {

struct sa_endpoint {
  ip_address address;
  std::uint16_t port = 0;  // UDP, host order; 0 without encapsulation
  friend bool operator==(const sa_endpoint&, const sa_endpoint&) = default;
};

// How the packets of a pair travel; changes in place when a peer moves.
struct sa_path {
  sa_endpoint local, remote;
  bool udp_encapsulation = false;
  // The peer is behind a NAT and we are not: its new address is taken from packets that move the replay window
  // (RFC 7296 2.23), and told as `peer_moved`.
  bool follow_peer = false;
  friend bool operator==(const sa_path&, const sa_path&) = default;
};

// What was negotiated, after narrowing. As in the configuration's child: of ICMP the ports are type << 8 | code.
struct sa_selectors {
  std::vector<ip_range> local, remote;  // 1 to 8 each
  std::int16_t protocol = -1;
  number_range local_ports, remote_ports;
  friend bool operator==(const sa_selectors&, const sa_selectors&) = default;
};

// A pair of ESP SAs, known by the inbound SPI, which is ours and unique.
struct child_sa {
  const tunnel_settings* tunnel = nullptr;  // valid until the call returns
  const child_settings* child = nullptr;
  std::uint32_t inbound_spi = 0, outbound_spi = 0;
  esp_suite suite{};
  bool esn = false;
  child_mode mode = child_mode::tunnel;
  sa_path path;
  sa_selectors selectors;
  lifetime_settings soft, hard;         // with jitter applied; 0: no limit
  std::optional<std::uint16_t> worker;  // the outbound SA is for this worker's packets (RFC 9611)
  secret inbound_key, outbound_key;
};

enum class sa_directions : std::uint8_t { inbound = 1, outbound = 2, both = 3 };

struct sa_use {
  std::uint64_t inbound_packets = 0, inbound_bytes = 0, outbound_packets = 0, outbound_bytes = 0;
  std::uint64_t inbound_idle_ms = 0;  // since the last packet that was authenticated, or since it was installed
};

// What comes back unasked, on the loop's thread.
struct sa_sink_events {
  // A packet wants this child and no SA is there (RFC 4301 4.4.1.2). Once a second per child at most.
  std::function<void(const std::string& tunnel, const std::string& child)> acquire;
  // A limit was reached; hard: the SA carries nothing any more. Also soft when sequence numbers come to their end.
  std::function<void(std::uint32_t inbound_spi, bool hard)> expire;
  std::function<void(std::uint32_t inbound_spi, const sa_endpoint& remote)> peer_moved;
  // The data plane is a new one: of what was installed only that is left which survived() names.
  std::function<void()> restarted;
};

// Every call is answered in order; none blocks the loop. One thread.
class sa_sink {
 public:
  virtual ~sa_sink() = default;

  // A new SPI that no installed or reserved SA has: not 0 to 255. Kept until remove() or release().
  [[nodiscard]] virtual std::uint32_t reserve_spi() = 0;
  virtual void release_spi(std::uint32_t inbound_spi) = 0;

  // Adds the directions that are not there yet, both at once if both are asked for. The outbound SA that came last is
  // the one that a child's packets take: so a rekey moves the traffic over without a gap.
  [[nodiscard]] virtual boost::asio::awaitable<result<void>> add(const child_sa& pair, sa_directions which) = 0;
  [[nodiscard]] virtual boost::asio::awaitable<result<void>> remove(std::uint32_t inbound_spi, sa_directions which) = 0;
  [[nodiscard]] virtual boost::asio::awaitable<result<void>> move(std::uint32_t inbound_spi, const sa_path& path) = 0;
  // Of every pair in `inbound_spis` that is there, in that order; nullopt: not there.
  [[nodiscard]] virtual boost::asio::awaitable<result<std::vector<std::optional<sa_use>>>> use(
      const std::vector<std::uint32_t>& inbound_spis) = 0;
  // The inbound SPIs of negotiated pairs that are installed: what a restarted daemon compares its memory with.
  [[nodiscard]] virtual boost::asio::awaitable<result<std::vector<std::uint32_t>>> survived() = 0;
  // The same, each with its tunnel's name: of a daemon that has no memory left.
  [[nodiscard]] virtual boost::asio::awaitable<result<std::map<std::uint32_t, std::string>>> survivors() = 0;
};

}  // namespace trunkgate
