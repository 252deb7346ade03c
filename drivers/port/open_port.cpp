#include "drivers/port/af_packet_port.hpp"
#include "drivers/port/ethdev_port.hpp"
#include "drivers/port/netdev.hpp"
#include "drivers/port/port.hpp"

namespace trunkgate {
namespace {

// AF_XDP where hardware receives; a virtual netdev hands over frames that other kernels left unfinished.
result<std::unique_ptr<port_driver>> open_netdev(port_options options, const netdev_facts& facts) {
  options.kind = port_kind::af_packet;
  if (facts.bus.empty()) {
    const auto kind = facts.driver.empty() ? std::string("virtual") : facts.driver;
    return af_packet_port::open(
        options,
        options.device + " is a " + kind + " netdev: its frames carry partial checksums, which AF_XDP can't complete");
  }
  options.kind = port_kind::af_xdp;
  auto fast = ethdev_port::open(options, "");
  if (fast) return fast;
  options.kind = port_kind::af_packet;
  return af_packet_port::open(options, "AF_XDP is not possible: " + fast.error().reason);
}

}  // namespace

result<std::unique_ptr<port_driver>> open_port(const port_options& wanted) {
  auto options = wanted;
  if (options.pool == nullptr) return failure(options.device + ": no buffers to receive into");
  const bool on_netdev =
      options.kind == port_kind::automatic || options.kind == port_kind::af_packet || options.kind == port_kind::af_xdp;
  if (options.kind == port_kind::automatic && is_pci_address(options.device)) options.kind = port_kind::vfio;
  if (options.kind == port_kind::vfio && !is_pci_address(options.device))
    return failure("\"" + options.device + "\" is no PCI address (0000:03:00.0); there are: " + known_devices());
  if (options.kind == port_kind::vfio || !on_netdev) {
    auto port = ethdev_port::open(options, "");
    if (!port && options.kind == port_kind::vfio)
      return failure(port.error().reason + "; there are: " + known_devices());
    return port;
  }
  const auto facts = read_netdev(options.device);
  if (!facts) {
    const auto reason = facts.error().reason + "; there are: " + known_devices();
    if (!options.may_be_absent || options.kind == port_kind::af_xdp) return failure(reason);
    return af_packet_port::open_absent(options, reason);
  }
  if (options.kind == port_kind::automatic) return open_netdev(options, *facts);
  if (options.kind == port_kind::af_packet) return af_packet_port::open(options, "");
  auto port = ethdev_port::open(options, "");
  if (port) return port;
  options.kind = port_kind::af_packet;
  return af_packet_port::open(options, "AF_XDP is not possible: " + port.error().reason);
}

}  // namespace trunkgate
