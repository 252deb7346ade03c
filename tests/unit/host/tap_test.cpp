#include "drivers/host/tap.hpp"

#include <poll.h>

#include <gtest/gtest.h>

#include "tests/unit/host/namespace.hpp"

namespace trunkgate {
namespace {

using testing::fresh_namespace;
using testing::ip_json;
using testing::packet_socket;
using testing::shell;

constexpr std::array<std::uint8_t, 6> mac{0x02, 0, 0, 0, 0, 0x17};

std::string broadcast_frame(const std::string& payload) {
  std::string frame(12, '\xff');
  frame += "\x88\xb5";  // IEEE 802 local experimental ethertype
  frame += payload;
  frame.resize(100, '.');
  return frame;
}

bool reads(const tap_device& tap, const std::string& text) {
  std::array<std::uint8_t, 2048> frame{};
  for (;;) {
    pollfd waiting{tap.descriptor(), POLLIN, 0};
    if (::poll(&waiting, 1, 2000) <= 0) return false;
    const std::size_t size = tap.read(frame);
    if (std::string(frame.begin(), frame.begin() + static_cast<long>(size)).find(text) != std::string::npos)
      return true;
  }
}

TEST(tap, carries_frames_both_ways) {
  const fresh_namespace here;
  auto tap = tap_device::open("tg0", mac, 1400);
  ASSERT_TRUE(tap) << tap.error().reason;
  const auto shown = ip_json("addr show tg0")[0];
  EXPECT_EQ(shown["address"], "02:00:00:00:00:17");
  EXPECT_EQ(shown["mtu"], 1400);
  EXPECT_EQ(shown["ifindex"], tap->index());
  EXPECT_EQ(shown["operstate"] == "DOWN", false);

  const packet_socket kernel_side("tg0");
  kernel_side.send(broadcast_frame("out of the kernel"));
  EXPECT_TRUE(reads(*tap, "out of the kernel"));
  const std::string frame = broadcast_frame("into the kernel");
  EXPECT_TRUE(tap->write({reinterpret_cast<const std::uint8_t*>(frame.data()), frame.size()}));
  EXPECT_TRUE(kernel_side.sees("into the kernel", 2000));
}

TEST(tap, reading_never_waits) {
  const fresh_namespace here;
  auto tap = tap_device::open("tg0", mac, 1500);
  ASSERT_TRUE(tap) << tap.error().reason;
  std::array<std::uint8_t, 2048> frame{};
  while (tap->read(frame) != 0) continue;  // what the kernel says by itself on a new device
  EXPECT_EQ(tap->read(frame), 0U);
}

TEST(tap, outlives_its_owner_and_is_taken_over) {
  const fresh_namespace here;
  int index = 0;
  {
    auto tap = tap_device::open("tg0", mac, 1500);
    ASSERT_TRUE(tap) << tap.error().reason;
    index = tap->index();
    shell("ip addr add 192.0.2.1/24 dev tg0");
    EXPECT_FALSE(tap_device::open("tg0", mac, 1500));  // not while somebody has it
  }
  auto tap = tap_device::open("tg0", mac, 1300);
  ASSERT_TRUE(tap) << tap.error().reason;
  EXPECT_EQ(tap->index(), index);
  EXPECT_NE(shell("ip addr show tg0").find("192.0.2.1/24"), std::string::npos);
  EXPECT_EQ(ip_json("link show tg0")[0]["mtu"], 1300);
  ASSERT_TRUE(tap->remove());
  EXPECT_EQ(shell("ip link").find("tg0"), std::string::npos);
}

TEST(tap, mtu_and_carrier_follow) {
  const fresh_namespace here;
  auto tap = tap_device::open("tg0", mac, 1500);
  ASSERT_TRUE(tap) << tap.error().reason;
  ASSERT_TRUE(tap->set_mtu(9000));
  EXPECT_EQ(ip_json("link show tg0")[0]["mtu"], 9000);
  ASSERT_TRUE(tap->set_carrier(false));
  EXPECT_NE(shell("ip link show tg0").find("NO-CARRIER"), std::string::npos);
  ASSERT_TRUE(tap->set_carrier(true));
  EXPECT_EQ(shell("ip link show tg0").find("NO-CARRIER"), std::string::npos);
}

TEST(tap, refuses_what_cannot_be) {
  const fresh_namespace here;
  shell("ip link add veth0 type veth peer name veth1");
  EXPECT_FALSE(tap_device::open("veth0", mac, 1500));
  EXPECT_FALSE(tap_device::open("a-name-of-17-char", mac, 1500));
  EXPECT_FALSE(tap_device::open("", mac, 1500));
}

}  // namespace
}  // namespace trunkgate
