#include "drivers/port/af_packet_port.hpp"

#include <algorithm>

namespace trunkgate {

af_packet_port::af_packet_port(const port_options& options, std::string note)
    : options_(options), note_(std::move(note)), gate_(static_cast<std::uint16_t>(2 * options.queues)) {
  for (std::uint16_t queue = 0; queue < options.queues; ++queue)
    queues_.push_back(std::make_unique<queue_state>(options.pool));
  description_.path = "af_packet";
  description_.note = note_;
  description_.netdev = options.device;
  description_.rx_queues = description_.tx_queues = options.queues;
  description_.rss = options.queues > 1;
}

result<std::unique_ptr<port_driver>> af_packet_port::open(const port_options& wanted, std::string note) {
  auto options = wanted;
  options.queues = std::clamp<std::uint16_t>(options.queues, 1, 256);  // what one fanout group holds
  auto facts = read_netdev(options.device);
  if (!facts) return std::unexpected(facts.error());
  if (!facts->ethernet) return failure(options.device + " carries no Ethernet frames");
  std::unique_ptr<af_packet_port> port(new af_packet_port(options, std::move(note)));
  if (auto connected = port->connect(*facts); !connected)
    return failure(options.device + ": " + connected.error().reason);
  return port;
}

result<std::unique_ptr<port_driver>> af_packet_port::open_absent(const port_options& wanted, std::string why) {
  auto options = wanted;
  options.queues = std::clamp<std::uint16_t>(options.queues, 1, 256);
  std::unique_ptr<af_packet_port> port(new af_packet_port(options, ""));
  if (options.mtu != 0) port->description_.mtu = options.mtu;
  port->description_.note = std::move(why);
  port->disconnect();
  return port;
}

// What changes while the netdev is there.
void af_packet_port::follow(const netdev_facts& facts) {
  description_.mac = facts.mac;
  description_.mtu = facts.mtu;
  mtu_.store(facts.mtu, std::memory_order_relaxed);
  const bool flows = facts.up && facts.running;
  description_.note = flows ? note_ : options_.device + (facts.up ? " has no carrier" : " is set down");
  up_.store(flows && !lost_.load(std::memory_order_relaxed), std::memory_order_relaxed);
}

result<void> af_packet_port::connect(const netdev_facts& found) {
  auto facts = found;
  if (options_.mtu != 0 && facts.mtu != options_.mtu) {
    if (auto done = set_netdev_mtu(options_.device, options_.mtu); !done) return done;
    facts.mtu = options_.mtu;
  }
  auto sockets = open_af_packet_sockets(facts.index, options_.queues);
  if (!sockets) return std::unexpected(sockets.error());
  sockets_ = std::move(*sockets);
  for (std::size_t queue = 0; queue < queues_.size(); ++queue) {
    queues_[queue]->receiver.forget_pending();
    queues_[queue]->descriptor.store(sockets_[queue].descriptor(), std::memory_order_relaxed);
  }
  ifindex_ = facts.index;
  lost_.store(false, std::memory_order_relaxed);
  follow(facts);
  gate_.open();
  return {};
}

void af_packet_port::disconnect() {
  up_.store(false, std::memory_order_relaxed);
  gate_.close();
  for (auto& queue : queues_) queue->descriptor.store(-1, std::memory_order_relaxed);
  collect_kernel_drops();
  sockets_.clear();
  ifindex_ = 0;
}

void af_packet_port::refresh() {
  const auto facts = read_netdev(options_.device);
  if (!facts) {
    if (!sockets_.empty()) disconnect();
    description_.note = facts.error().reason;
    return;
  }
  if (facts->index != ifindex_) {
    // Another netdev under the same name. The sockets of the old one get nothing any more.
    if (!sockets_.empty()) disconnect();
    (void)connect(*facts);  // a netdev that is just going again: the next call looks anew
    return;
  }
  // The kernel keeps the sockets of a netdev that is only set down, and serves them again when it is up.
  if (facts->up) lost_.store(false, std::memory_order_relaxed);
  follow(*facts);
}

void af_packet_port::look(netdev_state state) noexcept {
  if (state == netdev_state::present) return;
  lost_.store(true, std::memory_order_relaxed);
  up_.store(false, std::memory_order_relaxed);
}

std::uint16_t af_packet_port::receive(std::uint16_t queue, rte_mbuf** frames, std::uint16_t room) noexcept {
  const burst_gate::pass pass(gate_, static_cast<std::uint16_t>(2 * queue));
  if (!pass) return 0;
  auto state = netdev_state::present;
  auto& own = *queues_[queue];
  const auto given = own.receiver.receive(own.descriptor.load(std::memory_order_relaxed),
                                          mtu_.load(std::memory_order_relaxed), frames, room, state);
  look(state);
  return given;
}

std::uint16_t af_packet_port::transmit(std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept {
  const burst_gate::pass pass(gate_, static_cast<std::uint16_t>(2 * queue + 1));
  if (!pass) return 0;
  auto state = netdev_state::present;
  auto& own = *queues_[queue];
  const auto taken = own.transmitter.transmit(own.descriptor.load(std::memory_order_relaxed), frames, count, state);
  look(state);
  return taken;
}

int af_packet_port::wait_descriptor(std::uint16_t queue) const noexcept {
  return queues_[queue]->descriptor.load(std::memory_order_relaxed);
}

void af_packet_port::collect_kernel_drops() const {
  for (const auto& each : sockets_) kernel_drops_.add(each.take_kernel_drops());
}

port_counters af_packet_port::counters() const noexcept {
  collect_kernel_drops();
  port_counters sum;
  sum.rx_dropped = kernel_drops_.get();
  for (const auto& queue : queues_) {
    sum.rx_packets += queue->receiver.packets.get();
    sum.rx_bytes += queue->receiver.bytes.get();
    sum.rx_dropped += queue->receiver.dropped.get();
    sum.tx_packets += queue->transmitter.packets.get();
    sum.tx_bytes += queue->transmitter.bytes.get();
    sum.tx_dropped += queue->transmitter.dropped.get();
  }
  return sum;
}

}  // namespace trunkgate
