#include "drivers/port/netdev.hpp"

#include <net/if.h>
#include <net/if_arp.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>

#include <linux/ethtool.h>
#include <linux/sockios.h>

namespace trunkgate {
namespace {

// ioctl rather than sysfs: a sysfs mount shows the namespace it was mounted in, not the thread's own.
class device_query {
 public:
  explicit device_query(const std::string& name) : descriptor_(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    name.copy(request_.ifr_name, IFNAMSIZ - 1);
  }
  device_query(const device_query&) = delete;
  device_query& operator=(const device_query&) = delete;
  ~device_query() {
    if (descriptor_ >= 0) close(descriptor_);
  }

  bool ask(unsigned long code) { return descriptor_ >= 0 && ioctl(descriptor_, code, &request_) == 0; }
  bool ethtool(void* command) {
    request_.ifr_data = static_cast<char*>(command);
    return ask(SIOCETHTOOL);
  }
  ifreq& request() { return request_; }

 private:
  int descriptor_;
  ifreq request_{};
};

bool is_hex(std::string_view text) {
  return std::ranges::all_of(text, [](unsigned char letter) { return std::isxdigit(letter) != 0; });
}

}  // namespace

result<netdev_facts> read_netdev(const std::string& name) {
  if (name.empty() || name.size() >= IFNAMSIZ) return failure("\"" + name + "\" is no name of a network device");
  device_query query(name);
  netdev_facts facts;
  if (!query.ask(SIOCGIFINDEX)) return system_failure("network device " + name);
  facts.index = query.request().ifr_ifindex;
  if (!query.ask(SIOCGIFMTU)) return system_failure("MTU of " + name);
  facts.mtu = static_cast<std::uint16_t>(std::clamp(query.request().ifr_mtu, 0, 65535));
  if (!query.ask(SIOCGIFHWADDR)) return system_failure("hardware address of " + name);
  facts.ethernet =
      query.request().ifr_hwaddr.sa_family == ARPHRD_ETHER || query.request().ifr_hwaddr.sa_family == ARPHRD_LOOPBACK;
  std::memcpy(facts.mac.data(), query.request().ifr_hwaddr.sa_data, facts.mac.size());
  if (!query.ask(SIOCGIFFLAGS)) return system_failure("flags of " + name);
  facts.up = (query.request().ifr_flags & IFF_UP) != 0;
  facts.running = (query.request().ifr_flags & IFF_RUNNING) != 0;
  ethtool_drvinfo driver{};
  driver.cmd = ETHTOOL_GDRVINFO;
  if (query.ethtool(&driver)) {
    facts.driver.assign(driver.driver, strnlen(driver.driver, sizeof driver.driver));
    facts.bus.assign(driver.bus_info, strnlen(driver.bus_info, sizeof driver.bus_info));
    if (facts.bus == "tap" || facts.bus == "N/A") facts.bus.clear();
  }
  return facts;
}

result<void> set_netdev_mtu(const std::string& name, std::uint16_t mtu) {
  device_query query(name);
  query.request().ifr_mtu = mtu;
  if (!query.ask(SIOCSIFMTU)) return system_failure("setting the MTU of " + name + " to " + std::to_string(mtu));
  return {};
}

result<std::uint16_t> limit_netdev_queues(const std::string& name, std::uint16_t wanted) {
  device_query query(name);
  ethtool_channels channels{};
  channels.cmd = ETHTOOL_GCHANNELS;
  if (!query.ethtool(&channels)) {
    if (errno == EOPNOTSUPP) return std::uint16_t{1};
    return system_failure("queues of " + name);
  }
  const auto receive_queues = std::max(1u, std::max(channels.combined_count, channels.rx_count));
  if (receive_queues <= wanted) return static_cast<std::uint16_t>(receive_queues);
  // More queues than are read would leave frames to the kernel, which drops them.
  channels.cmd = ETHTOOL_SCHANNELS;
  if (channels.combined_count != 0) {
    channels.combined_count = wanted;
  } else {
    channels.rx_count = wanted;
  }
  if (!query.ethtool(&channels)) {
    return system_failure("setting " + name + " from " + std::to_string(receive_queues) + " to " +
                          std::to_string(wanted) + " queues");
  }
  return wanted;
}

bool is_pci_address(std::string_view text) {
  if (text.size() == 12) {
    if (!is_hex(text.substr(0, 4)) || text[4] != ':') return false;
    text.remove_prefix(5);
  }
  return text.size() == 7 && is_hex(text.substr(0, 2)) && text[2] == ':' && is_hex(text.substr(3, 2)) &&
         text[5] == '.' && text[6] >= '0' && text[6] <= '7';
}

std::string known_devices() {
  std::vector<std::string> names;
  if (auto* list = if_nameindex()) {
    for (auto* entry = list; entry->if_index != 0; ++entry) names.emplace_back(entry->if_name);
    if_freenameindex(list);
  }
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/sys/bus/pci/devices", none)) {
    std::string device_class;
    std::ifstream(entry.path() / "class") >> device_class;
    if (device_class.starts_with("0x02")) names.push_back(entry.path().filename());
  }
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text.empty() ? "none" : text;
}

}  // namespace trunkgate
