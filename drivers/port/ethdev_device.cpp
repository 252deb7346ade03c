#include "drivers/port/ethdev_device.hpp"

#include <net/if.h>

#include <algorithm>
#include <array>
#include <atomic>

#include <rte_dev.h>
#include <rte_errno.h>
#include <rte_ethdev.h>

#include "drivers/port/netdev.hpp"

namespace trunkgate {
namespace {

// Deep enough for 100 us at 10 Gb/s in short frames.
constexpr std::uint16_t descriptors = 1024;

std::unexpected<error> dpdk_failure(const std::string& what, int code) {
  return failure(what + ": " + rte_strerror(code < 0 ? -code : code));
}

std::string driver_name(port_kind kind) { return std::string("net_") + to_string(kind); }

// Spread by addresses and ports, and by SPI where the device reads ESP.
std::uint64_t hash_fields(const rte_eth_dev_info& info) {
  return (RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP | RTE_ETH_RSS_ESP) & info.flow_type_rss_offloads;
}

}  // namespace

const char* to_string(port_kind kind) {
  switch (kind) {
    case port_kind::automatic: return "automatic";
    case port_kind::af_packet: return "af_packet";
    case port_kind::af_xdp: return "af_xdp";
    case port_kind::vfio: return "vfio";
    case port_kind::pcap: return "pcap";
    case port_kind::ring: return "ring";
    case port_kind::null: return "null";
    case port_kind::memif: return "memif";
    case port_kind::tap: return "tap";
  }
  return "unknown";
}

result<void> ethdev_device::open(const port_options& options, port_description& description) {
  auto queues = std::max<std::uint16_t>(options.queues, 1);
  if (options.kind == port_kind::vfio) {
    if (auto attached = attach_pci(options.device); !attached) return attached;
  } else {
    if (options.kind == port_kind::af_xdp) {
      auto offered = limit_netdev_queues(options.device, queues);
      if (!offered) return std::unexpected(offered.error());
      queues = *offered;
    }
    if (auto created = create_virtual(options, queues); !created) return created;
  }
  open_ = true;
  description.rx_queues = description.tx_queues = queues;
  auto ready = set_up(options, description);
  if (!ready) close();
  return ready;
}

void ethdev_device::close() noexcept {
  if (!open_) return;
  open_ = false;
  (void)rte_eth_dev_stop(id_);
  if (virtual_name_.empty()) {
    (void)rte_eth_dev_close(id_);
  } else {
    (void)rte_eal_hotplug_remove("vdev", virtual_name_.c_str());  // closes the ethdev on the way
  }
}

result<void> ethdev_device::attach_pci(const std::string& address) {
  const std::string full = address.size() == 7 ? "0000:" + address : address;
  virtual_name_.clear();
  if (rte_eth_dev_get_port_by_name(full.c_str(), &id_) == 0) return {};
  if (const int failed = rte_eal_hotplug_add("pci", full.c_str(), ""); failed != 0)
    return dpdk_failure("no driver takes PCI device " + full + " (is it bound to vfio-pci?)", failed);
  if (rte_eth_dev_get_port_by_name(full.c_str(), &id_) != 0)
    return failure("PCI device " + full + " has no network port that a driver takes (is it bound to vfio-pci?)");
  return {};
}

result<void> ethdev_device::create_virtual(const port_options& options, std::uint16_t queues) {
  static std::atomic<unsigned> next_number{0};
  virtual_name_ = driver_name(options.kind) + std::to_string(next_number.fetch_add(1));
  auto arguments = options.device;
  if (options.kind == port_kind::af_xdp)
    arguments = "iface=" + options.device + ",start_queue=0,queue_count=" + std::to_string(queues);
  if (const int failed = rte_eal_hotplug_add("vdev", virtual_name_.c_str(), arguments.c_str()); failed != 0)
    return dpdk_failure(driver_name(options.kind) + " does not take \"" + arguments + "\"", failed);
  if (rte_eth_dev_get_port_by_name(virtual_name_.c_str(), &id_) == 0) return {};
  (void)rte_eal_hotplug_remove("vdev", virtual_name_.c_str());
  return failure(driver_name(options.kind) + " made no port of \"" + arguments + "\"");
}

result<void> ethdev_device::set_up(const port_options& options, port_description& description) {
  rte_eth_dev_info info{};
  if (const int failed = rte_eth_dev_info_get(id_, &info); failed != 0) return dpdk_failure(options.device, failed);
  description.rx_queues = std::min(description.rx_queues, info.max_rx_queues);
  description.tx_queues = std::min(description.tx_queues, info.max_tx_queues);

  rte_eth_conf configuration{};
  const auto hash = hash_fields(info);
  description.rss = description.rx_queues > 1 && hash != 0;
  if (description.rss) {
    configuration.rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
    configuration.rx_adv_conf.rss_conf.rss_hf = hash;
  }
  // What the device verified is not verified again. Its transmit checksum would save nothing: the outer header's comes
  // from a sum that the SA keeps.
  configuration.rxmode.offloads = info.rx_offload_capa & RTE_ETH_RX_OFFLOAD_IPV4_CKSUM;
  configuration.txmode.offloads = info.tx_offload_capa & RTE_ETH_TX_OFFLOAD_MULTI_SEGS;
  takes_chains_ = (configuration.txmode.offloads & RTE_ETH_TX_OFFLOAD_MULTI_SEGS) != 0;
  if (const int failed = rte_eth_dev_configure(id_, description.rx_queues, description.tx_queues, &configuration);
      failed != 0)
    return dpdk_failure(options.device + ": configuration", failed);

  if (options.mtu != 0) {
    const int failed = rte_eth_dev_set_mtu(id_, options.mtu);
    if (failed != 0 && failed != -ENOTSUP)
      return dpdk_failure(options.device + ": setting the MTU to " + std::to_string(options.mtu), failed);
  }
  if (auto queues = set_up_queues(options, description); !queues) return queues;
  if (const int failed = rte_eth_dev_start(id_); failed != 0) return dpdk_failure(options.device + ": start", failed);
  // Neighbour discovery and routing protocols come by multicast. Devices without a filter refuse, and need nothing.
  (void)rte_eth_allmulticast_enable(id_);

  rte_ether_addr mac{};
  if (rte_eth_macaddr_get(id_, &mac) == 0) std::copy_n(mac.addr_bytes, description.mac.size(), description.mac.begin());
  if (rte_eth_dev_get_mtu(id_, &description.mtu) != 0) description.mtu = RTE_ETHER_MTU;
  std::array<char, IF_NAMESIZE> name{};
  if (info.if_index != 0 && if_indextoname(info.if_index, name.data()) != nullptr) description.netdev = name.data();
  if (options.kind == port_kind::af_xdp) description.netdev = options.device;
  description.path = to_string(options.kind);
  if (options.kind == port_kind::vfio) description.path += std::string(" (") + info.driver_name + ")";
  return {};
}

result<void> ethdev_device::set_up_queues(const port_options& options, const port_description& description) {
  auto receive = descriptors, transmit = descriptors;
  if (const int failed = rte_eth_dev_adjust_nb_rx_tx_desc(id_, &receive, &transmit); failed != 0)
    return dpdk_failure(options.device + ": ring sizes", failed);
  const int socket = rte_eth_dev_socket_id(id_);
  const auto node = static_cast<unsigned>(socket);  // SOCKET_ID_ANY stays what it is
  for (std::uint16_t queue = 0; queue < description.rx_queues; ++queue)
    if (const int failed = rte_eth_rx_queue_setup(id_, queue, receive, node, nullptr, options.pool); failed != 0)
      return dpdk_failure(options.device + ": receive queue " + std::to_string(queue), failed);
  for (std::uint16_t queue = 0; queue < description.tx_queues; ++queue)
    if (const int failed = rte_eth_tx_queue_setup(id_, queue, transmit, node, nullptr); failed != 0)
      return dpdk_failure(options.device + ": transmit queue " + std::to_string(queue), failed);
  return {};
}

}  // namespace trunkgate
