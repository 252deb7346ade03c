// What the kernel says about a network device, by its name, in the calling thread's network namespace.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/core/result.hpp"

namespace trunkgate {

struct netdev_facts {
  int index = 0;
  std::uint16_t mtu = 0;
  std::array<std::uint8_t, 6> mac{};
  bool ethernet = false;
  bool up = false;       // administratively
  bool running = false;  // it has a carrier
  std::string driver;    // "veth", "ixgbe"; empty if it does not say
  std::string bus;       // where the hardware sits ("0000:03:00.0", "virtio1"); empty: there is none
};

[[nodiscard]] result<netdev_facts> read_netdev(const std::string& name);
[[nodiscard]] result<void> set_netdev_mtu(const std::string& name, std::uint16_t mtu);
// Sets how many queues the hardware spreads frames over, to at most `wanted`; gives what it then has.
[[nodiscard]] result<std::uint16_t> limit_netdev_queues(const std::string& name, std::uint16_t wanted);

[[nodiscard]] bool is_pci_address(std::string_view text);  // 0000:03:00.0 or 03:00.0
// Every netdev of this namespace and every network controller on the PCI bus, for "these are there" in an error.
[[nodiscard]] std::string known_devices();

}  // namespace trunkgate
