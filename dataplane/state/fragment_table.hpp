// Datagrams in pieces that pass through: what their first fragments said of the transport, for the later ones.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>

#include "dataplane/core/drop_reason.hpp"
#include "dataplane/core/ip.hpp"

struct rte_mbuf;

namespace trunkgate {

// Whose piece it is (RFC 791 3.2, RFC 8200 4.5), and where it came from: what one wire or one SA brings never completes
// what another brought.
struct fragment_key {
  std::array<std::uint8_t, 16> source{}, destination{};
  std::uint32_t id = 0;
  std::uint32_t spi = 0;  // of the SA that it came out of; 0: in clear
  std::uint16_t ingress = 0;
  std::uint8_t protocol = 0;  // IPv4's; later fragments of IPv6 may say what they like (RFC 8200 4.5)
  ip_family family = ip_family::none;
  friend bool operator==(const fragment_key&, const fragment_key&) = default;
};
static_assert(sizeof(fragment_key) == 44);

// Which part of its datagram's data a fragment is, in bytes: [first, end).
struct fragment_part {
  std::uint32_t first = 0, end = 0;
  bool more = false;
};

// What selectors look at behind the IP header.
struct transport_selectors {
  std::uint16_t source_port = 0, destination_port = 0;
  std::uint8_t protocol = 0;
  bool has_ports = false;
};

// One worker's. All memory is taken by make(); every bound is fixed, every datagram is forgotten after two seconds or
// as soon as all of it has passed.
class fragment_table {
 public:
  static constexpr std::size_t sets = 128, ways = 8;       // datagrams at a time
  static constexpr std::size_t pieces_per_datagram = 64;   // 64 KiB over a path of 1,280 bytes takes 54
  static constexpr std::size_t waiting_limit = 256;        // packets that wait for a first fragment, in all ...
  static constexpr std::size_t waiting_per_datagram = 16;  // ... and of one datagram
  static constexpr std::uint64_t lifetime_ms = 2000;

  [[nodiscard]] static fragment_table make();

  enum class answer : std::uint8_t { pass, wait, drop };
  struct verdict {
    answer what = answer::pass;
    drop_reason why = drop_reason::none;  // with drop
    transport_selectors selectors{};      // with pass
    // Packets that waited until now, the same answer for them. Valid until the next call.
    std::span<rte_mbuf* const> waited{};
  };
  // A first fragment brings what its transport header says. With answer::wait the table keeps the packet.
  [[nodiscard]] verdict first(const fragment_key& key, const fragment_part& part, const transport_selectors& selectors,
                              std::uint64_t now_ms) noexcept;
  [[nodiscard]] verdict later(const fragment_key& key, const fragment_part& part, rte_mbuf* packet,
                              std::uint64_t now_ms) noexcept;
  // RFC 1858: nothing of this datagram passes any more.
  [[nodiscard]] verdict refuse(const fragment_key& key, drop_reason why, std::uint64_t now_ms) noexcept;

  // One packet whose first fragment did not come in time, or nullptr. Datagrams whose time is over are forgotten.
  [[nodiscard]] rte_mbuf* expire(std::uint64_t now_ms) noexcept;
  [[nodiscard]] bool empty() const noexcept { return datagrams_ == 0; }

 private:
  struct piece {
    std::uint16_t first, end;  // in units of eight bytes
  };
  struct datagram {
    fragment_key key;
    std::uint64_t deadline_ms = 0;
    bool used = false;
    bool known = false;                      // the first fragment was there
    drop_reason poison = drop_reason::none;  // nothing passes any more
    transport_selectors selectors{};
    std::uint16_t total = 0;     // units, once the last fragment was there
    std::uint16_t received = 0;  // units
    std::uint16_t piece_count = 0;
    std::uint16_t waiting_count = 0;
    std::uint16_t waiting_head = 0;  // a slot plus one
    std::array<piece, pieces_per_datagram> pieces;
  };
  struct slot {
    rte_mbuf* packet;
    std::uint16_t next;  // a slot plus one
  };
  struct storage {
    std::array<datagram, sets * ways> datagrams;
    std::array<slot, waiting_limit> slots;
    std::array<rte_mbuf*, waiting_per_datagram> handed_back;
  };

  fragment_table() = default;
  [[nodiscard]] datagram* find_or_make(const fragment_key& key, std::uint64_t now_ms) noexcept;
  [[nodiscard]] static drop_reason add_piece(datagram& at, const fragment_part& part) noexcept;
  [[nodiscard]] bool keep(datagram& at, rte_mbuf* packet) noexcept;
  [[nodiscard]] rte_mbuf* take_waiting(datagram& at) noexcept;
  [[nodiscard]] std::span<rte_mbuf* const> take_all_waiting(datagram& at) noexcept;
  [[nodiscard]] verdict poison(datagram& at, drop_reason why) noexcept;
  void forget_if_whole(datagram& at) noexcept;
  void forget(datagram& at) noexcept;

  std::unique_ptr<storage> storage_;
  std::uint32_t seed_ = 0;
  std::uint16_t free_slot_ = 0;  // a slot plus one
  std::size_t datagrams_ = 0, swept_ = 0;
};

}  // namespace trunkgate
