// Keeps the kernel's network stack off a netdev whose frames the data plane takes: nothing may come in past the SPD.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "dataplane/core/ip.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

class netdev_guard {
 public:
  // Drops everything that the kernel would receive on the netdev (nftables netdev ingress: packet sockets still see
  // it), turns IPv6 autoconfiguration and ARP off, and moves its addresses and the routes over it to the TAP. The drop
  // rule is in force before the first address moves. Re-applying after the netdev came back, or after a kill -9, is
  // allowed. A netdev that is not there yet is guarded from reengage() on.
  [[nodiscard]] static result<std::unique_ptr<netdev_guard>> engage(const std::string& netdev, const std::string& tap);
  virtual ~netdev_guard() = default;                  // leaves everything in force: a crash must not open the netdev
  [[nodiscard]] virtual result<void> reengage() = 0;  // the netdev came back under the same name
  // Orderly exit: the TAP's addresses and routes go to the netdev, its ARP and IPv6 settings are as before, the drop
  // rule goes last. What the configuration put on the TAP stays there: routes added by kernel_mirror, and the addresses
  // in `configured` unless this guard found them on the netdev. All steps are tried; the first failure is told.
  [[nodiscard]] virtual result<void> release(const std::vector<ip_prefix>& configured = {}) = 0;
};

// The kernel must not forward between the TAPs past the SPD: turns forwarding off in this network namespace, for both
// families. Fails with what to set by hand where /proc/sys is read-only and forwarding is on.
[[nodiscard]] result<void> forbid_kernel_forwarding();

}  // namespace trunkgate
