#include "drivers/port/ethdev_port.hpp"

#include <algorithm>

#include <rte_ethdev.h>

#include "drivers/port/netdev.hpp"

namespace trunkgate {
namespace {

port_counters read_counters(std::uint16_t id) {
  rte_eth_stats statistics{};
  if (rte_eth_stats_get(id, &statistics) != 0) return {};
  return {statistics.ipackets,
          statistics.ibytes,
          statistics.opackets,
          statistics.obytes,
          statistics.imissed + statistics.ierrors + statistics.rx_nombuf,
          statistics.oerrors};
}

port_counters operator+(const port_counters& a, const port_counters& b) {
  return {a.rx_packets + b.rx_packets, a.rx_bytes + b.rx_bytes,     a.tx_packets + b.tx_packets,
          a.tx_bytes + b.tx_bytes,     a.rx_dropped + b.rx_dropped, a.tx_dropped + b.tx_dropped};
}

}  // namespace

ethdev_port::ethdev_port(const port_options& options)
    : options_(options),
      gate_(static_cast<std::uint16_t>(2 * options.queues)),
      unsendable_(std::make_unique<counter[]>(options.queues)) {}

result<std::unique_ptr<port_driver>> ethdev_port::open(const port_options& wanted, std::string note) {
  auto options = wanted;
  options.queues = std::clamp<std::uint16_t>(options.queues, 1, RTE_MAX_QUEUES_PER_PORT);
  std::unique_ptr<ethdev_port> port(new ethdev_port(options));
  if (auto connected = port->connect(); !connected) return std::unexpected(connected.error());
  port->description_.note = std::move(note);
  return port;
}

result<void> ethdev_port::connect() {
  if (options_.kind == port_kind::af_xdp) {
    auto facts = read_netdev(options_.device);
    if (!facts) return std::unexpected(facts.error());
    ifindex_ = facts->index;
  }
  if (auto opened = device_.open(options_, description_); !opened) return opened;
  gate_.open();
  refresh();
  return {};
}

void ethdev_port::disconnect() {
  up_.store(false, std::memory_order_relaxed);
  gate_.close();
  if (device_.is_open()) before_ = before_ + read_counters(device_.id());
  device_.close();
}

// Whether the device is on the netdev that has this name now; opens it there if the netdev was made anew.
bool ethdev_port::follow_netdev() {
  const auto facts = read_netdev(options_.device);
  if (!facts) {
    if (device_.is_open()) disconnect();
    return false;
  }
  if (device_.is_open() && facts->index == ifindex_) return facts->up && facts->running;
  if (device_.is_open()) disconnect();
  // The workers keep the queues they have: the description's counts may not change under them.
  auto description = description_;
  if (!device_.open(options_, description)) return false;
  if (description.rx_queues != description_.rx_queues || description.tx_queues != description_.tx_queues) {
    device_.close();
    return false;
  }
  description_.mac = description.mac;
  description_.mtu = description.mtu;
  ifindex_ = facts->index;
  gate_.open();
  return facts->up && facts->running;
}

void ethdev_port::refresh() {
  if (options_.kind == port_kind::af_xdp) {
    up_.store(follow_netdev(), std::memory_order_relaxed);
    return;
  }
  rte_eth_link link{};
  const bool linked = device_.is_open() && rte_eth_dev_is_removed(device_.id()) == 0 &&
                      rte_eth_link_get_nowait(device_.id(), &link) == 0 && link.link_status == RTE_ETH_LINK_UP;
  up_.store(linked, std::memory_order_relaxed);
}

std::uint16_t ethdev_port::receive(std::uint16_t queue, rte_mbuf** frames, std::uint16_t room) noexcept {
  if (queue >= description_.rx_queues) return 0;
  const burst_gate::pass pass(gate_, static_cast<std::uint16_t>(2 * queue));
  return pass ? rte_eth_rx_burst(device_.id(), queue, frames, room) : 0;
}

std::uint16_t ethdev_port::transmit(std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept {
  if (queue >= description_.tx_queues) {  // a capture file that is only read
    rte_pktmbuf_free_bulk(frames, count);
    if (queue < options_.queues) unsendable_[queue].add(count);
    return count;
  }
  const burst_gate::pass pass(gate_, static_cast<std::uint16_t>(2 * queue + 1));
  if (!pass) return 0;
  if (device_.takes_chains()) return rte_eth_tx_burst(device_.id(), queue, frames, count);

  std::uint16_t taken = 0;
  while (taken < count) {
    std::uint16_t sendable = 0;
    while (taken + sendable < count && rte_pktmbuf_linearize(frames[taken + sendable]) == 0) ++sendable;
    const auto sent =
        sendable == 0 ? std::uint16_t{0} : rte_eth_tx_burst(device_.id(), queue, frames + taken, sendable);
    taken = static_cast<std::uint16_t>(taken + sent);
    if (sent < sendable || taken == count) break;
    rte_pktmbuf_free(frames[taken++]);  // a chain longer than one buffer
    unsendable_[queue].add(1);
  }
  return taken;
}

port_counters ethdev_port::counters() const noexcept {
  auto sum = device_.is_open() ? before_ + read_counters(device_.id()) : before_;
  for (std::uint16_t queue = 0; queue < options_.queues; ++queue) sum.tx_dropped += unsendable_[queue].get();
  return sum;
}

}  // namespace trunkgate
