#include "drivers/host/tap.hpp"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <fstream>
#include <utility>

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <linux/if_tun.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include "drivers/host/netlink.hpp"

namespace trunkgate {

namespace {

ifreq request_for(const std::string& name) {
  ifreq request{};
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  return request;
}

// The ioctls that name a device go through any socket.
int device_ioctl(unsigned long command, ifreq& request) {
  const int descriptor = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return -1;
  const int outcome = ::ioctl(descriptor, command, &request);
  const int reason = errno;
  ::close(descriptor);
  errno = reason;
  return outcome;
}

result<void> attach(int descriptor, const std::string& name, int kind) {
  ifreq request = request_for(name);
  request.ifr_flags = static_cast<short>(kind | IFF_NO_PI);
  if (::ioctl(descriptor, TUNSETIFF, &request) == 0) return {};
  if (errno == EBUSY) return failure("tap " + name + ": another process has it; stop that one first");
  if (errno == EINVAL) return failure("tap " + name + ": a device of another kind has this name; rename or remove it");
  return system_failure("create tap " + name);
}

result<void> set_mac(const std::string& name, const std::array<std::uint8_t, 6>& mac) {
  ifreq request = request_for(name);
  if (device_ioctl(SIOCGIFHWADDR, request) == 0 && std::memcmp(request.ifr_hwaddr.sa_data, mac.data(), mac.size()) == 0)
    return {};
  request = request_for(name);
  request.ifr_hwaddr.sa_family = ARPHRD_ETHER;
  std::memcpy(request.ifr_hwaddr.sa_data, mac.data(), mac.size());
  if (device_ioctl(SIOCSIFHWADDR, request) < 0) return system_failure("set the MAC of tap " + name);
  return {};
}

result<void> set_up(const std::string& name) {
  ifreq request = request_for(name);
  if (device_ioctl(SIOCGIFFLAGS, request) < 0) return system_failure("read the flags of tap " + name);
  request.ifr_flags |= IFF_UP;
  if (device_ioctl(SIOCSIFFLAGS, request) < 0) return system_failure("set tap " + name + " up");
  return {};
}

// A host may have IPv6 off by default for new devices; where /proc/sys is read-only that stays as it is.
void allow_ipv6(const std::string& name) {
  const std::string path = "/proc/sys/net/ipv6/conf/" + name + "/disable_ipv6";
  char value = '0';
  if (std::ifstream(path) >> value && value == '1') std::ofstream(path) << '0';
}

// By default the kernel answers ARP on every device for every address of the box: the WAN would learn the LAN's. By
// netlink, as /proc/sys may be read-only.
result<void> answer_arp_for_own_addresses_only(const std::string& name, int index) {
  auto socket = netlink_socket::open();
  if (!socket) return std::unexpected(socket.error());
  ifinfomsg header{};
  header.ifi_index = index;
  auto message = make_netlink_message(RTM_NEWLINK, 0, header);
  if (message == nullptr) return failure("netlink message: out of memory");
  nlattr* families = nla_nest_start(message.get(), IFLA_AF_SPEC);
  nlattr* v4 = nla_nest_start(message.get(), AF_INET);
  nlattr* settings = nla_nest_start(message.get(), IFLA_INET_CONF);
  (void)nla_put_u32(message.get(), IPV4_DEVCONF_ARP_IGNORE, 1);
  nla_nest_end(message.get(), settings);
  nla_nest_end(message.get(), v4);
  nla_nest_end(message.get(), families);
  if (const int reason = socket->request(message); reason != 0)
    return netlink_failure("restrict ARP answers of tap " + name, reason);
  return {};
}

}  // namespace

result<tap_device> tap_device::make(const std::string& name, int kind, std::uint16_t mtu) {
  if (name.empty() || name.size() >= IFNAMSIZ)
    return failure("tap name \"" + name + "\": must have 1 to 15 characters");
  const int descriptor = ::open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
  if (descriptor < 0) return system_failure("open /dev/net/tun");
  tap_device tap(descriptor, 0, name);
  if (auto done = attach(descriptor, name, kind); !done) return std::unexpected(done.error());
  if (::ioctl(descriptor, TUNSETPERSIST, 1) < 0) return system_failure("keep tap " + name);
  // No offloads: the kernel then hands over frames of at most the MTU with their checksums done.
  if (::ioctl(descriptor, TUNSETOFFLOAD, 0) < 0) return system_failure("turn the offloads of tap " + name + " off");
  if (auto done = tap.set_mtu(mtu); !done) return std::unexpected(done.error());
  allow_ipv6(name);
  ifreq request = request_for(name);
  if (device_ioctl(SIOCGIFINDEX, request) < 0) return system_failure("find tap " + name);
  tap.index_ = request.ifr_ifindex;
  return tap;
}

result<tap_device> tap_device::open(const std::string& name, const std::array<std::uint8_t, 6>& mac,
                                    std::uint16_t mtu) {
  auto tap = make(name, IFF_TAP, mtu);
  if (!tap) return tap;
  if (auto done = tap->set_mac(mac); !done) return std::unexpected(done.error());
  if (auto done = answer_arp_for_own_addresses_only(name, tap->index_); !done) return std::unexpected(done.error());
  if (auto done = set_up(name); !done) return std::unexpected(done.error());
  return tap;
}

result<tap_device> tap_device::open_tun(const std::string& name, std::uint16_t mtu) {
  auto tun = make(name, IFF_TUN, mtu);
  if (!tun) return tun;
  if (auto done = set_up(name); !done) return std::unexpected(done.error());
  return tun;
}

tap_device::tap_device(tap_device&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), index_(other.index_), name_(std::move(other.name_)) {}

tap_device& tap_device::operator=(tap_device&& other) noexcept {
  if (this == &other) return *this;
  if (descriptor_ >= 0) ::close(descriptor_);
  descriptor_ = std::exchange(other.descriptor_, -1);
  index_ = other.index_;
  name_ = std::move(other.name_);
  return *this;
}

tap_device::~tap_device() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

result<void> tap_device::remove() {
  if (descriptor_ < 0) return {};
  if (::ioctl(descriptor_, TUNSETPERSIST, 0) < 0) return system_failure("remove tap " + name_);
  ::close(std::exchange(descriptor_, -1));  // the last descriptor takes the device with it
  return {};
}

result<void> tap_device::set_mac(const std::array<std::uint8_t, 6>& mac) { return trunkgate::set_mac(name_, mac); }

result<void> tap_device::set_mtu(std::uint16_t mtu) {
  ifreq request = request_for(name_);
  request.ifr_mtu = mtu;
  if (device_ioctl(SIOCSIFMTU, request) < 0)
    return system_failure("set the MTU of tap " + name_ + " to " + std::to_string(mtu));
  return {};
}

result<void> tap_device::set_carrier(bool up) {
  int carrier = up ? 1 : 0;
  if (::ioctl(descriptor_, TUNSETCARRIER, &carrier) < 0) return system_failure("set the carrier of tap " + name_);
  return {};
}

std::size_t tap_device::read(std::span<std::uint8_t> into) const noexcept {
  const ssize_t size = ::read(descriptor_, into.data(), into.size());
  return size > 0 ? static_cast<std::size_t>(size) : 0;
}

bool tap_device::write(std::span<const std::uint8_t> frame) const noexcept {
  return ::write(descriptor_, frame.data(), frame.size()) == static_cast<ssize_t>(frame.size());
}

}  // namespace trunkgate
