// The kernel's links, addresses, neighbours and routes, told as they are and as they change (netlink, libnl-3).
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "dataplane/core/ip.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

struct kernel_link {
  int index = 0;
  std::string name;
  std::array<std::uint8_t, 6> mac{};
  std::uint32_t mtu = 0;
  bool up = false;  // administratively up and with carrier
};

struct kernel_neighbour {
  int link = 0;
  ip_address address;
  std::array<std::uint8_t, 6> mac{};
  bool usable =
      false;  // has a MAC that may be used (reachable, stale, delay, probe, permanent); false: failed or incomplete
  bool stale = false;   // usable, but the kernel would like it confirmed
  bool failed = false;  // asked in vain; neither usable nor failed: being asked for
};

enum class kernel_route_kind : std::uint8_t { forward, local, broadcast, multicast, unreachable };
struct kernel_next_hop {
  int link = 0;
  ip_address gateway;  // family none: directly connected
};
struct kernel_route {
  ip_prefix destination;
  kernel_route_kind kind = kernel_route_kind::forward;
  std::uint32_t metric = 0;  // the lower wins among equal destinations
  std::vector<kernel_next_hop> next_hops;
};

// Called from dispatch(), on the thread that calls it. `present` false: it is gone.
struct mirror_events {
  std::function<void(const kernel_link&, bool present)> link;
  std::function<void(int link, const ip_prefix& address, bool present)> address;
  std::function<void(const kernel_neighbour&, bool present)> neighbour;
  // Tables main and local only. A route is known by destination and metric: of several with the same, the one that the
  // kernel takes is told (table local before main); `present` replaces what was told before.
  std::function<void(const kernel_route&, bool present)> route;
};

class kernel_mirror {
 public:
  // Subscribes and reads the present state; the first dispatch() tells it.
  [[nodiscard]] static result<std::unique_ptr<kernel_mirror>> open(mirror_events events);
  virtual ~kernel_mirror() = default;
  [[nodiscard]] virtual int descriptor() const = 0;   // poll for reading, then dispatch()
  [[nodiscard]] virtual result<void> dispatch() = 0;  // resynchronises by itself after an overrun (ENOBUFS)

  // Asks the kernel to resolve or confirm a next hop (NTF_USE); the answer comes as a neighbour event.
  virtual void resolve(int link, const ip_address& address) = 0;

  // Idempotent: adding what is there and removing what is not are no errors.
  [[nodiscard]] virtual result<void> add_address(int link, const ip_prefix& address) = 0;
  [[nodiscard]] virtual result<void> remove_address(int link, const ip_prefix& address) = 0;
  [[nodiscard]] virtual result<void> add_route(const ip_prefix& destination, const ip_address& via,
                                               int link) = 0;  // link 0: by `via`
  [[nodiscard]] virtual result<void> remove_route(const ip_prefix& destination, const ip_address& via, int link) = 0;
};

}  // namespace trunkgate
