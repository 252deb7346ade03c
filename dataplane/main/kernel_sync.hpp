// Keeps the FIB and the ports' addresses as the kernel has them on the TAPs.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>

#include "dataplane/stages/context.hpp"
#include "dataplane/state/tables.hpp"
#include "drivers/host/mirror.hpp"

namespace trunkgate {

// Control thread.
class kernel_sync {
 public:
  // `on_link` hears of every link of the namespace: the devices' among them.
  [[nodiscard]] static result<std::unique_ptr<kernel_sync>> open(
      forwarding_tables& tables, std::function<void(const kernel_link&, bool present)> on_link);

  [[nodiscard]] int descriptor() const { return mirror_->descriptor(); }
  [[nodiscard]] result<void> dispatch();
  // The port's TAP has this link index: what the kernel says of it concerns the port from now on.
  void bind_port(std::uint16_t port, int tap);
  void unbind_port(std::uint16_t port);
  void resolve(const resolve_request& request);
  // Asks the kernel about next hops in use that it would like confirmed; call every few seconds.
  void confirm_neighbours();
  [[nodiscard]] kernel_mirror& kernel() { return *mirror_; }
  [[nodiscard]] std::set<ip_prefix> addresses_of(std::uint16_t port) const;

 private:
  explicit kernel_sync(forwarding_tables& tables) : tables_(tables) {}
  [[nodiscard]] std::uint16_t port_of(int link) const;
  void route_changed(const kernel_route& route, bool present);
  void apply_route(const kernel_route& route);
  void neighbour_changed(const kernel_neighbour& neighbour, bool present);
  void address_changed(int link, const ip_prefix& address, bool present);
  void publish_addresses(int link);

  using route_key = std::pair<ip_prefix, std::uint32_t>;
  forwarding_tables& tables_;
  std::unique_ptr<kernel_mirror> mirror_;
  std::map<int, std::uint16_t> ports_;  // by TAP link index
  std::map<route_key, kernel_route> routes_;
  std::map<std::pair<int, ip_address>, kernel_neighbour> neighbours_;
  std::map<int, std::set<ip_prefix>> addresses_;
  bool changed_ = false;  // since the last commit
};

}  // namespace trunkgate
