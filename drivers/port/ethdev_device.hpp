// A DPDK device from its creation to its removal: found or made, set up for so many queues, started.
#pragma once

#include <cstdint>
#include <string>

#include "dataplane/core/result.hpp"
#include "drivers/port/port.hpp"

namespace trunkgate {

class ethdev_device {
 public:
  ethdev_device() = default;
  ethdev_device(const ethdev_device&) = delete;
  ethdev_device& operator=(const ethdev_device&) = delete;
  ~ethdev_device() { close(); }

  // Kinds vfio, af_xdp, pcap, ring, null, memif and tap; fills the description. After a failure the device is closed.
  result<void> open(const port_options& options, port_description& description);
  void close() noexcept;

  [[nodiscard]] bool is_open() const noexcept { return open_; }
  [[nodiscard]] std::uint16_t id() const noexcept { return id_; }
  [[nodiscard]] bool takes_chains() const noexcept { return takes_chains_; }

 private:
  result<void> attach_pci(const std::string& address);
  result<void> create_virtual(const port_options& options, std::uint16_t queues);
  result<void> set_up(const port_options& options, port_description& description);
  result<void> set_up_queues(const port_options& options, const port_description& description);

  std::uint16_t id_ = 0;
  bool open_ = false;
  bool takes_chains_ = false;
  std::string virtual_name_;  // empty: it sits on the PCI bus
};

[[nodiscard]] const char* to_string(port_kind kind);

}  // namespace trunkgate
