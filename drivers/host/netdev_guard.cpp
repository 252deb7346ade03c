#include "drivers/host/netdev_guard.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <optional>
#include <sstream>

#include <linux/if.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>

#include "drivers/host/mover.hpp"
#include "drivers/host/nft.hpp"

namespace trunkgate {

namespace {

// How the netdev was before, kept as the drop rule's comment so that a successor after a crash knows it too.
struct netdev_settings {
  bool arp = true;
  int address_generation = IN6_ADDR_GEN_MODE_EUI64;

  std::string note() const {
    return "before: arp " + std::to_string(arp ? 1 : 0) + " addr_gen_mode " + std::to_string(address_generation);
  }
  static std::optional<netdev_settings> from_note(const std::string& note) {
    int arp_on = 1;
    netdev_settings settings;
    std::istringstream words(note);
    std::string before, arp_label, mode_label;
    words >> before >> arp_label >> arp_on >> mode_label >> settings.address_generation;
    if (!words || before != "before:" || arp_label != "arp" || mode_label != "addr_gen_mode") return std::nullopt;
    settings.arp = arp_on != 0;
    return settings;
  }
};

struct found_device {
  host_device device;
  netdev_settings settings;
};

int address_generation_of(nlattr* families) {
  if (families == nullptr) return IN6_ADDR_GEN_MODE_EUI64;
  nlattr* v6 = nla_find(static_cast<nlattr*>(nla_data(families)), nla_len(families), AF_INET6);
  if (v6 == nullptr) return IN6_ADDR_GEN_MODE_EUI64;
  nlattr* mode = nla_find(static_cast<nlattr*>(nla_data(v6)), nla_len(v6), IFLA_INET6_ADDR_GEN_MODE);
  if (mode == nullptr) return IN6_ADDR_GEN_MODE_EUI64;
  return nla_get_u8(mode);
}

std::optional<found_device> find_device(netlink_socket& socket, const std::string& name) {
  std::optional<found_device> found;
  (void)socket.dump(RTM_GETLINK, AF_UNSPEC, [&](nlmsghdr* message) {
    nlattr* parts[IFLA_MAX + 1];
    if (nlmsg_parse(message, sizeof(ifinfomsg), parts, IFLA_MAX, nullptr) != 0) return;
    if (parts[IFLA_IFNAME] == nullptr || name != nla_get_string(parts[IFLA_IFNAME])) return;
    const auto* header = static_cast<const ifinfomsg*>(nlmsg_data(message));
    found = found_device{{header->ifi_index, name},
                         {(header->ifi_flags & IFF_NOARP) == 0, address_generation_of(parts[IFLA_AF_SPEC])}};
  });
  return found;
}

result<void> set_arp(netlink_socket& socket, const host_device& device, bool on) {
  ifinfomsg header{};
  header.ifi_index = device.index;
  header.ifi_change = IFF_NOARP;
  header.ifi_flags = on ? 0 : IFF_NOARP;
  const int reason = socket.request(make_netlink_message(RTM_NEWLINK, 0, header));
  if (reason != 0) return netlink_failure("set ARP on " + device.name, reason);
  return {};
}

// By netlink, as /proc/sys may be read-only. With mode "none" the kernel makes no link-local address when the link
// comes up.
result<void> set_address_generation(netlink_socket& socket, const host_device& device, int mode) {
  ifinfomsg header{};
  header.ifi_index = device.index;
  auto message = make_netlink_message(RTM_NEWLINK, 0, header);
  if (message == nullptr) return failure("netlink message: out of memory");
  nlattr* families = nla_nest_start(message.get(), IFLA_AF_SPEC);
  nlattr* v6 = nla_nest_start(message.get(), AF_INET6);
  (void)nla_put_u8(message.get(), IFLA_INET6_ADDR_GEN_MODE, static_cast<std::uint8_t>(mode));
  nla_nest_end(message.get(), v6);
  nla_nest_end(message.get(), families);
  const int reason = socket.request(message);
  if (reason == 0 || reason == EAFNOSUPPORT) return {};  // a kernel without IPv6
  return netlink_failure("set IPv6 address generation on " + device.name, reason);
}

class kernel_guard final : public netdev_guard {
 public:
  kernel_guard(std::string netdev, std::string tap, netlink_socket socket)
      : netdev_(std::move(netdev)), tap_(std::move(tap)), socket_(std::move(socket)) {}

  bool netdev_is_there() { return find_device(socket_, netdev_).has_value(); }
  result<void> reengage() override;
  result<void> release(const std::vector<ip_prefix>& configured) override;

 private:
  [[nodiscard]] result<void> give_back(const host_device& netdev, const host_device& tap,
                                       const std::vector<ip_prefix>& configured);
  [[nodiscard]] result<void> give_back_link_local(const host_device& netdev, const host_device& tap);

  const std::string netdev_;
  const std::string tap_;
  netlink_socket socket_;
  int index_ = 0;  // the netdev that is guarded; a re-created one has another
  netdev_settings before_;
  std::vector<raw_message> link_local_;  // as found on the netdev
  address_flags moved_;
};

result<void> kernel_guard::reengage() {
  const auto netdev = find_device(socket_, netdev_);
  if (!netdev) return failure("netdev " + netdev_ + ": not there");
  const auto tap = find_device(socket_, tap_);
  if (!tap) return failure("tap " + tap_ + ": not there");
  if (netdev->device.index != index_) {
    // A rule that is there already tells how the netdev was before a predecessor changed it.
    std::optional<netdev_settings> noted;
    if (index_ == 0)
      if (const auto note = nft_note(netdev_)) noted = netdev_settings::from_note(*note);
    before_ = noted.value_or(netdev->settings);
    link_local_.clear();
  }
  if (auto done = nft_block(netdev_, before_.note()); !done) return done;
  index_ = netdev->device.index;
  if (auto done = set_arp(socket_, netdev->device, false); !done) return done;
  if (auto done = set_address_generation(socket_, netdev->device, IN6_ADDR_GEN_MODE_NONE); !done) return done;
  const move_options options{.keep = {}, .skip_duplicate_detection = true, .flags = {}};
  address_flags moved;
  auto outcome = move_addresses_and_routes(socket_, netdev->device, tap->device, options, moved);
  moved_.insert(moved.begin(), moved.end());
  const auto link_local = read_link_local(socket_, index_);
  if (!link_local) return std::unexpected(link_local.error());
  for (const auto& address : *link_local) {
    link_local_.push_back(address);
    if (auto done = remove_address(socket_, address); !done) return done;
  }
  return outcome;
}

result<void> kernel_guard::give_back_link_local(const host_device& netdev, const host_device& tap) {
  // Netlink changes the mode but makes no address. After a crash the TAP's stands in: it has the same MAC.
  std::vector<raw_message> addresses = link_local_;
  if (addresses.empty() && before_.address_generation != IN6_ADDR_GEN_MODE_NONE) {
    auto from_tap = read_link_local(socket_, tap.index);
    if (!from_tap) return std::unexpected(from_tap.error());
    addresses = std::move(*from_tap);
  }
  for (const auto& address : addresses)
    if (auto done = set_address(socket_, address, tap, netdev, 0); !done) return done;
  return {};
}

result<void> kernel_guard::give_back(const host_device& netdev, const host_device& tap,
                                     const std::vector<ip_prefix>& configured) {
  move_options options{
      .keep = {configured.begin(), configured.end()}, .skip_duplicate_detection = false, .flags = moved_};
  for (const auto& [address, flags] : moved_) options.keep.erase(address);
  address_flags ignored;
  auto outcome = move_addresses_and_routes(socket_, tap, netdev, options, ignored);
  for (const auto& done : {set_address_generation(socket_, netdev, before_.address_generation),
                           give_back_link_local(netdev, tap), set_arp(socket_, netdev, before_.arp)})
    if (!done && outcome) outcome = done;
  return outcome;
}

result<void> kernel_guard::release(const std::vector<ip_prefix>& configured) {
  const auto netdev = find_device(socket_, netdev_);
  const auto tap = find_device(socket_, tap_);
  result<void> outcome;
  if (netdev && tap) outcome = give_back(netdev->device, tap->device, configured);
  // Last, and also after a failure: the operator gets the netdev back, and reads what is missing on it.
  auto unblocked = nft_unblock(netdev_);
  return outcome ? unblocked : outcome;
}

}  // namespace

result<std::unique_ptr<netdev_guard>> netdev_guard::engage(const std::string& netdev, const std::string& tap) {
  auto socket = netlink_socket::open();
  if (!socket) return std::unexpected(socket.error());
  auto guard = std::make_unique<kernel_guard>(netdev, tap, std::move(*socket));
  if (!guard->netdev_is_there()) return guard;
  if (auto done = guard->reengage(); !done) return std::unexpected(done.error());
  return guard;
}

}  // namespace trunkgate
