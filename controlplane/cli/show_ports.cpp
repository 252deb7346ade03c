#include "controlplane/cli/show.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

std::span<const ip_prefix> addresses_of(const api::port_record& port) {
  return std::span(port.addresses).first(std::min<std::size_t>(port.address_count, port.addresses.size()));
}

std::string device_text(const api::port_record& port) {
  std::string device(port.device.view());
  return port.vlan == 0 ? device : device + " vlan " + std::to_string(port.vlan);
}

json_object object(const api::port_status& port) {
  auto addresses = json_object::array();
  for (const auto& prefix : addresses_of(port.configured)) addresses.push_back(to_string(prefix));
  return {{"port", port.configured.port.view()},
          {"state", port.up != 0 ? "up" : "down"},
          {"note", port.note.view()},
          {"device", port.configured.device.view()},
          {"vlan", port.configured.vlan},
          {"path", port.path.view()},
          {"addresses", addresses},
          {"mac", mac_text(port.mac)},
          {"mtu", port.mtu},
          {"queues", port.queues},
          {"rss", port.rss != 0},
          {"tap", port.tap.view()},
          {"rx_packets", port.rx_packets},
          {"rx_bytes", port.rx_bytes},
          {"rx_dropped", port.rx_dropped},
          {"tx_packets", port.tx_packets},
          {"tx_bytes", port.tx_bytes},
          {"tx_dropped", port.tx_dropped},
          {"punted", port.punted},
          {"from_box", port.from_box}};
}

}  // namespace

listing list_ports(std::span<const api::port_status> ports) {
  using enum table::alignment;
  listing out{.short_view = table({{"PORT"},
                                   {"STATE"},
                                   {"DEVICE"},
                                   {"PATH"},
                                   {"ADDRESSES"},
                                   {"MAC"},
                                   {"MTU", right},
                                   {"RX", right},
                                   {"TX", right},
                                   {"NOTE"}})};
  std::size_t up = 0;
  for (const auto& port : ports) {
    const bool is_up = port.up != 0;
    const bool loses = port.rx_dropped + port.tx_dropped > 0;
    up += is_up ? 1 : 0;
    std::string note(port.note.view());
    if (is_up && loses && note.empty()) {
      const auto lost = std::to_string(port.rx_dropped + port.tx_dropped);
      note = lost + " frames lost (trunkgate show ports " + std::string(port.configured.port.view()) + " detail)";
    }
    out.short_view.add(
        !is_up  ? severity::problem
        : loses ? severity::notable
                : severity::fine,
        {std::string(port.configured.port.view()), is_up ? "up" : "down", device_text(port.configured),
         std::string(port.path.view()), prefixes_text(addresses_of(port.configured)), mac_text(port.mac),
         port.mtu == 0 ? "" : std::to_string(port.mtu), bytes_text(port.rx_bytes), bytes_text(port.tx_bytes), note});
    out.objects.push_back(object(port));
  }
  out.something_down = up < ports.size();
  out.summary = std::to_string(up) + " up, " + std::to_string(ports.size() - up) + " down";
  return out;
}

}  // namespace trunkgate
