// A port's kernel side: a persistent TAP device of the same MAC, through which the kernel's own packets come and go;
// for a tunnel's interface a TUN device, whose packets are IP without a frame.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "dataplane/core/result.hpp"

namespace trunkgate {

class tap_device {
 public:
  // Creates the TAP `name` (at most 15 characters), or takes over one that a killed data plane left behind; sets MAC,
  // MTU, no offloads, up. Persistent: it keeps its addresses and routes while no data plane runs; what the kernel sends
  // into it then is lost, not leaked.
  [[nodiscard]] static result<tap_device> open(const std::string& name, const std::array<std::uint8_t, 6>& mac,
                                               std::uint16_t mtu);
  // The same for a TUN device: no MAC, no ARP.
  [[nodiscard]] static result<tap_device> open_tun(const std::string& name, std::uint16_t mtu);
  tap_device(tap_device&& other) noexcept;
  tap_device& operator=(tap_device&& other) noexcept;
  ~tap_device();                        // closes; the device stays
  [[nodiscard]] result<void> remove();  // takes the device away (orderly exit)
  [[nodiscard]] result<void> set_mac(const std::array<std::uint8_t, 6>& mac);
  [[nodiscard]] result<void> set_mtu(std::uint16_t mtu);
  [[nodiscard]] result<void> set_carrier(bool up);

  [[nodiscard]] int descriptor() const { return descriptor_; }  // non-blocking
  [[nodiscard]] int index() const { return index_; }            // ifindex
  [[nodiscard]] const std::string& name() const { return name_; }
  // One frame without FCS, or of a TUN one IP packet; 0: nothing there.
  [[nodiscard]] std::size_t read(std::span<std::uint8_t> into) const noexcept;
  [[nodiscard]] bool write(std::span<const std::uint8_t> frame) const noexcept;  // false: the kernel did not take it

 private:
  [[nodiscard]] static result<tap_device> make(const std::string& name, int kind, std::uint16_t mtu);
  tap_device(int descriptor, int index, std::string name)
      : descriptor_(descriptor), index_(index), name_(std::move(name)) {}
  int descriptor_ = -1;
  int index_ = 0;
  std::string name_;
};

}  // namespace trunkgate
