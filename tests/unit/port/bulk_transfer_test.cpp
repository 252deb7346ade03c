// TCP between two kernels whose frames pass through two ports, offloads on: both kernels judge every byte and checksum.
#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <thread>

#include "tests/unit/port/frames.hpp"
#include "tests/unit/port/network_fixture.hpp"

namespace trunkgate::testing {
namespace {

constexpr std::size_t transfer = 24 << 20;

std::uint8_t byte_at(std::size_t position) { return static_cast<std::uint8_t>(position * 2654435761u >> 13); }

// Carries frames from one port to the other and back, and looks at each.
struct wire {
  wire(port_driver& left, port_driver& right) : ports{&left, &right} {}
  void carry(const std::atomic<bool>& stop) {
    while (!stop.load())
      for (int from = 0; from < 2; ++from) {
        rte_mbuf* frames[32];
        const auto count = ports[from]->receive(0, frames, 32);
        for (int index = 0; index < count; ++index) {
          if (rte_pktmbuf_pkt_len(frames[index]) > 1514 || frames[index]->nb_segs != 1) ++too_long;
          if (!checksums_right(frames[index])) ++wrong;
        }
        for (std::uint16_t sent = 0; sent < count && !stop.load();)
          sent = static_cast<std::uint16_t>(
              sent + ports[1 - from]->transmit(0, frames + sent, static_cast<std::uint16_t>(count - sent)));
      }
  }
  port_driver* ports[2];
  std::uint64_t too_long = 0, wrong = 0;
};

std::uint64_t csum_errors() {  // as `nstat` shows them, of the calling thread's namespace
  std::ifstream file("/proc/thread-self/net/snmp");
  std::string names, values;
  while (std::getline(file, names) && std::getline(file, values)) {
    if (!names.starts_with("Tcp:")) continue;
    std::istringstream name(names), value(values);
    for (std::string a, b; name >> a && value >> b;)
      if (a == "InCsumErrors") return std::stoull(b);
  }
  return ~std::uint64_t{0};
}

sockaddr_in6 far_address(bool v6) {
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(5001);
  inet_pton(AF_INET6, v6 ? "2001:db8::2" : "::ffff:192.0.2.2", &address.sin6_addr);
  return address;
}

struct bulk_transfer : port_test, ::testing::WithParamInterface<bool> {
  void attach(const std::string& name, const network_namespace& end, int host) {
    const auto number = std::to_string(host);
    run("ip link add " + name + " type veth peer name eth0 netns " + end.path());
    run("sysctl -qw net.ipv6.conf." + name + ".disable_ipv6=1; ip link set " + name + " up");
    end.inside([&] {
      run("ip link set eth0 up; ip address add 192.0.2." + number + "/24 dev eth0");
      run("ip address add 2001:db8::" + number + "/64 dev eth0 nodad");
      run("sysctl -qw net.ipv4.tcp_ecn=1");
    });
  }
};

TEST_P(bulk_transfer, arrives_whole_in_frames_that_fit) {
  const network_namespace client, server;
  attach("left", client, 1);
  attach("right", server, 2);
  const auto left = open_or_fail({.device = "left", .pool = pool_.get()});
  const auto right = open_or_fail({.device = "right", .pool = pool_.get()});
  ASSERT_TRUE(left && right);

  int listener = -1;
  server.inside([&] {
    listener = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in6 any = far_address(true);
    any.sin6_addr = in6addr_any;
    ASSERT_EQ(bind(listener, reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    ASSERT_EQ(listen(listener, 1), 0);
  });
  std::atomic<bool> stop = false;
  wire cable(*left, *right);
  std::thread carrier([&] { cable.carry(stop); });
  std::thread sender([&] {
    client.inside([] {
      std::vector<std::uint8_t> bytes(transfer);
      for (std::size_t index = 0; index < bytes.size(); ++index) bytes[index] = byte_at(index);
      const int stream = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
      const auto address = far_address(GetParam());
      EXPECT_EQ(connect(stream, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
      for (std::size_t done = 0; done < bytes.size();) {
        const auto sent = send(stream, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
        if (sent <= 0) break;
        done += static_cast<std::size_t>(sent);
      }
      close(stream);
    });
  });
  const timeval patience{20, 0};
  setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  const int stream = accept(listener, nullptr, nullptr);
  std::size_t received = 0, differing = 0;
  if (stream >= 0) setsockopt(stream, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  std::vector<std::uint8_t> bytes(1 << 20);
  for (ssize_t part = 0; stream >= 0 && (part = recv(stream, bytes.data(), bytes.size(), 0)) > 0;)
    for (ssize_t index = 0; index < part; ++index)
      differing += bytes[static_cast<std::size_t>(index)] != byte_at(received++);
  if (stream >= 0) close(stream);
  close(listener);
  sender.join();
  stop = true;
  carrier.join();

  EXPECT_EQ(received, transfer);
  EXPECT_EQ(differing, 0u);
  EXPECT_EQ(cable.too_long, 0u);
  EXPECT_EQ(cable.wrong, 0u);
  server.inside([] { EXPECT_EQ(csum_errors(), 0u); });
  client.inside([] { EXPECT_EQ(csum_errors(), 0u); });
  // Otherwise nothing was cut and the test proves nothing: the kernel counts a long frame once.
  std::uint64_t kernel_frames = 0;
  client.inside([&] {
    run("true");
    std::ifstream file("/proc/thread-self/net/dev");
    for (std::string line; std::getline(file, line);)
      if (const auto at = line.find("eth0:"); at != std::string::npos) {
        std::istringstream fields(line.substr(at + 5));
        for (int column = 0; column < 10; ++column) fields >> kernel_frames;
      }
  });
  EXPECT_GT(kernel_frames, 0u);
  EXPECT_GT(left->counters().rx_packets, 2 * kernel_frames);
  EXPECT_GE(left->counters().rx_packets, transfer / 1460);
  run("ip link del left; ip link del right");
}

INSTANTIATE_TEST_SUITE_P(families, bulk_transfer, ::testing::Bool());

}  // namespace
}  // namespace trunkgate::testing
