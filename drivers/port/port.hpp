// A port's packets in and out, whatever carries them. One virtual call per burst.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>

#include <rte_mbuf.h>

#include "dataplane/core/result.hpp"

namespace trunkgate {

using mac_address = std::array<std::uint8_t, 6>;

enum class port_kind : std::uint8_t { automatic, af_packet, af_xdp, vfio, pcap, ring, null, memif, tap };

struct port_options {
  std::string device;  // netdev name, PCI address (0000:03:00.0), or driver arguments for pcap, ring, null, memif, tap
  port_kind kind = port_kind::automatic;
  std::uint16_t queues = 1;     // wanted receive and transmit queues: one per worker
  std::uint16_t mtu = 0;        // 0: leave the device's
  rte_mempool* pool = nullptr;  // receive buffers; frames fit one buffer each
  bool may_be_absent = false;   // of a netdev that is not there yet: the port is down, its MAC all zero, until it comes
};

struct port_description {
  std::string path;  // what was taken: "af_packet", "af_xdp", "vfio (net_ixgbe)", "pcap", ...
  std::string note;  // why not a better path; empty if there is nothing to say
  mac_address mac{};
  std::uint16_t mtu = 1500;
  std::uint16_t rx_queues = 1, tx_queues = 1;
  bool rss = false;    // the device spreads flows over rx_queues
  std::string netdev;  // the kernel's name for it; empty if the kernel does not see it
};

struct port_counters {  // packets and bytes that the driver saw; *_dropped: lost in the device, the kernel or for want
                        // of buffers
  std::uint64_t rx_packets = 0, rx_bytes = 0, tx_packets = 0, tx_bytes = 0, rx_dropped = 0, tx_dropped = 0;
};

class port_driver {
 public:
  virtual ~port_driver() = default;

  // ---- worker threads; each queue is used by one thread ----

  // Up to `room` whole Ethernet frames, each in one contiguous mbuf of the pool, with checksums complete and no segment
  // larger than the MTU (GSO input is segmented). Never blocks.
  virtual std::uint16_t receive(std::uint16_t queue, rte_mbuf** frames, std::uint16_t room) noexcept = 0;
  // Sends frames; returns how many it took from the front (those are freed by the driver). Never blocks.
  virtual std::uint16_t transmit(std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept = 0;
  // A descriptor that polls readable when receive() on this queue would give something; -1: there is none, poll
  // instead. May change after refresh(): ask again before each wait.
  [[nodiscard]] virtual int wait_descriptor(std::uint16_t queue) const noexcept = 0;

  // ---- control thread ----

  // Looks whether the device went or came back, and re-opens it. `up`: frames can flow now. Called about once a second
  // and after each netlink link event.
  virtual void refresh() = 0;
  [[nodiscard]] virtual bool up() const noexcept = 0;  // any thread
  [[nodiscard]] virtual const port_description& description() const noexcept = 0;
  [[nodiscard]] virtual port_counters counters() const noexcept = 0;
};

// Opens the best path for the device, or the one that options.kind names. The error says what was tried and why not.
[[nodiscard]] result<std::unique_ptr<port_driver>> open_port(const port_options& options);

}  // namespace trunkgate
