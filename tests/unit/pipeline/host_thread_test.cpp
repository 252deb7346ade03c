// The host thread between the kernel's TAP and the workers.
#include "dataplane/main/host_thread.hpp"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#include <chrono>

#include <gtest/gtest.h>
#include <linux/if_packet.h>

#include "tests/unit/stages/little_gateway.hpp"

namespace trunkgate {
namespace {

using namespace test;

bool comes_true(const std::function<bool()>& condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

// A frame that the kernel sends through the device.
void send_through(const tap_device& tap, const bytes& frame) {
  const int socket = ::socket(AF_PACKET, SOCK_RAW, 0);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = tap.index();
  ASSERT_EQ(::sendto(socket, frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
            static_cast<ssize_t>(frame.size()));
  ::close(socket);
}

TEST(host_thread, counts_mempool_empty_and_goes_on_when_there_are_buffers_again) {
  little_gateway gateway;
  auto tap = tap_device::open("tgunit0", outside_mac, 1500);
  ASSERT_TRUE(tap) << tap.error().reason;
  const auto shared = std::make_shared<tap_device>(std::move(*tap));
  std::vector<rte_mbuf*> taken;
  while (auto* packet = rte_pktmbuf_alloc(gateway.pool())) taken.push_back(packet);
  {
    host_thread host(gateway.workers());
    host.set_tap(outside, shared);
    const auto frame =
        frame_of(peer_mac, outside_mac, udp_packet(between("192.0.2.1", "192.0.2.2"), 500, 500, filled(28)));
    send_through(*shared, frame);
    EXPECT_TRUE(
        comes_true([&] { return host.drops[static_cast<std::size_t>(drop_reason::mempool_empty)].get() != 0; }));
    for (auto* packet : taken) rte_pktmbuf_free(packet);
    // Again until one comes through: the kernel may have sent more of its own before.
    EXPECT_TRUE(comes_true([&] {
      send_through(*shared, frame);
      gateway.run();
      for (const auto& out : gateway.sent_frames(outside))
        if (out == frame) return true;
      return false;
    }));
  }
  (void)shared->remove().has_value();
}

}  // namespace
}  // namespace trunkgate
