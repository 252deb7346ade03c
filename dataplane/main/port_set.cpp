#include "dataplane/main/port_set.hpp"

#include <algorithm>

#include <rte_cycles.h>

#include "dataplane/main/log.hpp"

namespace trunkgate {
namespace {

constexpr std::uint16_t ipv6_least_mtu = 1280;  // RFC 8200 5

std::string device_key(const api::port_record& record) {
  return std::to_string(static_cast<int>(record.driver)) + ":" + std::string(record.device.view());
}

std::vector<ip_prefix> addresses_in(const api::port_record& record) {
  return {record.addresses.begin(),
          record.addresses.begin() + std::min<std::size_t>(record.address_count, api::addresses_per_port)};
}

bool is_tunnel(const api::port_record& record) { return record.driver == api::port_driver_kind::tunnel; }
std::string tap_name(const api::port_record& record) { return "tg-" + std::string(record.port.view()); }

}  // namespace

std::uint16_t port_set::find(std::string_view port) const {
  for (const auto& p : ports_)
    if (p.record.port.view() == port) return p.index;
  return no_port;
}

std::string port_set::name_of(std::uint16_t index) const {
  if (index == box_index) return std::string(api::box_port);
  for (const auto& p : ports_)
    if (p.index == index) return std::string(p.record.port.view());
  return {};
}

int port_set::tap_of(std::string_view port) const {
  for (const auto& p : ports_)
    if (p.record.port.view() == port) return p.tap->index();
  return 0;
}

void port_set::each(const std::function<void(const api::port_record&)>& visit) const {
  for (const auto& p : ports_) visit(p.record);
}

std::uint16_t port_set::free_index(bool tunnel) const {
  for (std::uint16_t i = tunnel ? device_port_limit : 0; i < (tunnel ? port_limit : device_port_limit); ++i)
    if (std::none_of(ports_.begin(), ports_.end(), [i](const entry& p) { return p.index == i; })) return i;
  return no_port;
}

result<port_set::open_device*> port_set::use_device(const api::port_record& record) {
  const auto key = device_key(record);
  for (auto& device : devices_)
    if (device.key == key) {
      ++device.users;
      return &device;
    }
  const auto& options = pipeline_.options();
  auto driver = open_port({.device = std::string(record.device.view()),
                           .kind = static_cast<port_kind>(record.driver),
                           .queues = options.workers,
                           .mtu = record.mtu,
                           .pool = options.pool,
                           .may_be_absent = true});
  if (!driver) return failure("port " + std::string(record.port.view()) + ": " + driver.error().reason);
  if ((*driver)->description().mtu > rte_pktmbuf_data_room_size(options.pool) - packet_headroom - 64)
    return failure("port " + std::string(record.port.view()) + ": its MTU of " +
                   std::to_string((*driver)->description().mtu) +
                   " is larger than the packet buffers were made for: set ports." + std::string(record.port.view()) +
                   ".mtu and restart the data plane");
  auto index = pipeline_.add_device(std::move(*driver), false);
  if (!index) return std::unexpected(index.error());
  const bool up = pipeline_.device(*index)->up();
  devices_.push_back({.key = key, .index = *index, .users = 1, .guard = nullptr, .was_up = up});
  return &devices_.back();
}

void port_set::drop_device(open_device* device, const api::port_record* last) {
  if (--device->users != 0) return;
  if (device->guard != nullptr) {
    auto released = device->guard->release(last != nullptr ? addresses_in(*last) : std::vector<ip_prefix>{});
    if (!released) log_event("port-release", released.error().reason);
  }
  pipeline_.remove_device(device->index);
  devices_.remove_if([device](const open_device& d) { return &d == device; });
}

result<void> port_set::bring_up(entry& port) {
  const auto& record = port.record;
  auto& driver = *pipeline_.device(port.device->index);
  const auto& description = driver.description();
  const std::uint16_t mtu = record.mtu != 0 ? record.mtu : description.mtu;
  auto mac = description.mac;
  if (mac == mac_address{}) mac = {2, 0, 0, 0, 0, static_cast<std::uint8_t>(port.index)};  // until the device comes
  auto tap = tap_device::open(tap_name(record), mac, mtu);
  if (!tap) return std::unexpected(tap.error());
  port.tap = std::make_shared<tap_device>(std::move(*tap));
  if (!description.netdev.empty() && port.device->guard == nullptr) {
    auto guard = netdev_guard::engage(description.netdev, port.tap->name());
    if (!guard) return std::unexpected(guard.error());
    port.device->guard = std::move(*guard);
  }
  auto& shown = pipeline_.tables().ports[port.index];
  shown.device = port.device->index;
  shown.vlan = record.vlan;
  shown.mac = mac;
  shown.mtu.store(mtu);
  shown.up.store(driver.up());
  return publish(port);
}

result<void> port_set::bring_up_tunnel(entry& port) {
  auto tun = tap_device::open_tun(tap_name(port.record), ipv6_least_mtu);
  if (!tun) return std::unexpected(tun.error());
  port.tap = std::make_shared<tap_device>(std::move(*tun));
  if (auto down = port.tap->set_carrier(false); !down) return down;
  pipeline_.tables().ports[port.index].mtu.store(ipv6_least_mtu);
  return publish(port);
}

// The kernel's side gets its addresses, the workers and the host thread see the port.
result<void> port_set::publish(entry& port) {
  for (const auto& address : addresses_in(port.record))
    if (auto added = kernel_.kernel().add_address(port.tap->index(), address); !added) return added;
  host_.set_tap(port.index, port.tap);
  kernel_.bind_port(port.index, port.tap->index());
  pipeline_.tables().ports[port.index].present.store(true, std::memory_order_release);
  return {};
}

result<std::uint16_t> port_set::open(const api::port_record& record) {
  const bool tunnel = is_tunnel(record);
  const auto index = free_index(tunnel);
  if (index == no_port)
    return failure(tunnel ? "no more than " + std::to_string(tunnel_port_limit) + " tunnels with an interface"
                          : "no more than " + std::to_string(device_port_limit) + " ports");
  open_device* device = nullptr;
  if (!tunnel) {
    auto used = use_device(record);
    if (!used) return std::unexpected(used.error());
    device = *used;
  }
  ports_.push_back({.record = record, .index = index, .device = device, .tap = nullptr});
  if (auto up = tunnel ? bring_up_tunnel(ports_.back()) : bring_up(ports_.back()); !up) {
    close(record.port.view());
    return failure("port " + std::string(record.port.view()) + ": " + up.error().reason);
  }
  log_event("port-open",
            std::string(record.port.view()) + (tunnel ? ", a tunnel's interface"
                                                      : " on " + std::string(record.device.view()) + " by " +
                                                            pipeline_.device(device->index)->description().path));
  return index;
}

void port_set::start_receiving() {
  for (const auto& device : devices_) pipeline_.start_receiving(device.index);
}

void port_set::close(std::string_view name) {
  const auto port =
      std::find_if(ports_.begin(), ports_.end(), [name](const entry& p) { return p.record.port.view() == name; });
  if (port == ports_.end()) return;
  auto& shown = pipeline_.tables().ports[port->index];
  shown.present.store(false);
  shown.up.store(false);
  shown.sa.store(nullptr);
  shown.demanded.store(nullptr);
  if (const auto* old = shown.by_worker.exchange(nullptr); old != nullptr)
    pipeline_.tables().rcu.retire(std::unique_ptr<const worker_sas>(old));
  kernel_.unbind_port(port->index);
  host_.set_tap(port->index, nullptr);
  if (port->device != nullptr) drop_device(port->device, &port->record);
  if (port->tap != nullptr)
    if (auto removed = port->tap->remove(); !removed) log_event("tap-remove", removed.error().reason);
  pipeline_.tables().generation.fetch_add(1, std::memory_order_release);
  ports_.erase(port);
}

// A device that comes may be another one than went: its MAC is the port's from now on, and its MTU where none is
// configured.
void port_set::follow_device(entry& port) {
  const auto& description = pipeline_.device(port.device->index)->description();
  auto& shown = pipeline_.tables().ports[port.index];
  if (port.record.mtu == 0 && shown.mtu.load() != description.mtu) {
    shown.mtu.store(description.mtu);
    if (auto set = port.tap->set_mtu(description.mtu); !set) log_event("tap-mtu", set.error().reason);
  }
  if (shown.mac == description.mac) return;
  // Workers read the MAC of ports that are present and up: this one is neither while it changes.
  shown.present.store(false);
  pipeline_.tables().rcu.wait();
  shown.mac = description.mac;
  shown.present.store(true, std::memory_order_release);
  if (auto set = port.tap->set_mac(description.mac); !set) log_event("tap-mac", set.error().reason);
}

void port_set::refresh_device(open_device& device) {
  auto& driver = *pipeline_.device(device.index);
  driver.refresh();
  const bool up = driver.up();
  if (up != device.was_up)
    log_event(up ? "port-up" : "port-down",
              device.key.substr(device.key.find(':') + 1) + (up ? "" : ": " + driver.description().note));
  if (up && !device.was_up)
    for (auto& p : ports_)
      if (p.device == &device) follow_device(p);
  if (up && !device.was_up && device.guard != nullptr)
    if (auto again = device.guard->reengage(); !again) log_event("port-guard", again.error().reason);
  device.was_up = up;
  for (auto& p : ports_)
    if (p.device == &device) pipeline_.tables().ports[p.index].up.store(up, std::memory_order_release);
}

void port_set::refresh() {
  for (auto& device : devices_) refresh_device(device);
}

void port_set::link_changed(const kernel_link& link, bool present) {
  (void)present;
  for (auto& device : devices_)
    if (pipeline_.device(device.index)->description().netdev == link.name) refresh_device(device);
}

void port_set::refresh_tunnel(const entry& port) {
  auto& tables = pipeline_.tables();
  auto& shown = tables.ports[port.index];
  const auto* sa = shown.sa.load();
  if (const bool up = sa != nullptr; up != shown.up.load()) {
    shown.up.store(up);
    if (auto set = port.tap->set_carrier(up); !set) log_event("tun-carrier", set.error().reason);
    log_event(up ? "port-up" : "port-down", std::string(port.record.port.view()));
  }
  if (sa == nullptr) return;
  const auto way = tables.routes->lookup(sa->record.remote, sa->record.spi).port;
  if (way >= device_port_limit) return;  // no way to the peer now
  const auto path = sa->learned_mtu.in_use(tables.ports[way].mtu.load(), rte_rdtsc() / (rte_get_tsc_hz() / 1000));
  // The kernel gives up IPv6 on a link below 1,280 bytes; what is too large for IPv4 then is answered one by one.
  const auto mtu = std::max(sa->inner_mtu(path), ipv6_least_mtu);
  if (mtu == shown.mtu.load()) return;
  shown.mtu.store(mtu);
  if (auto set = port.tap->set_mtu(mtu); !set) log_event("tun-mtu", set.error().reason);
}

void port_set::refresh_tunnels() {
  for (const auto& p : ports_)
    if (p.device == nullptr) refresh_tunnel(p);
}

void port_set::report_device(const entry& port, api::port_status& status) const {
  const auto& driver = *pipeline_.device(port.device->index);
  const auto& description = driver.description();
  status.path = api::text<32>(description.path);
  status.note = api::text<160>(description.note);
  status.mac = description.mac;
  status.queues = description.rx_queues;
  status.rss = description.rss ? 1 : 0;
  const auto counters = driver.counters();
  status.rx_packets = counters.rx_packets;
  status.rx_bytes = counters.rx_bytes;
  status.tx_packets = counters.tx_packets;
  status.tx_bytes = counters.tx_bytes;
  status.rx_dropped = counters.rx_dropped;
  status.tx_dropped = counters.tx_dropped;
}

void port_set::report(const std::function<void(const api::port_status&)>& visit) const {
  for (const auto& p : ports_) {
    const auto& shown = pipeline_.tables().ports[p.index];
    api::port_status status;
    status.configured = p.record;
    const auto addresses = kernel_.addresses_of(p.index);
    status.configured.address_count = 0;
    for (const auto& address : addresses)
      if (status.configured.address_count < api::addresses_per_port)
        status.configured.addresses[status.configured.address_count++] = address;
    status.tap = api::text<16>(p.tap->name());
    status.mtu = shown.mtu.load();
    status.up = shown.up.load() ? 1 : 0;
    if (p.device != nullptr) {
      report_device(p, status);
    } else {
      status.path = api::text<32>("tunnel");
      status.note = api::text<160>(status.up != 0 ? "" : "no SA to the peer is installed");
    }
    for (const auto& w : pipeline_.workers()) status.punted += w->context().punted[p.index].get();
    status.from_box = host_.from_box[p.index].get();
    visit(status);
  }
}

}  // namespace trunkgate
