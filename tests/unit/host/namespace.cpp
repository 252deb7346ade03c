#include "tests/unit/host/namespace.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>

#include <gtest/gtest.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>

namespace trunkgate::testing {

std::string shell(const std::string& command) {
  FILE* pipe = ::popen(("{ " + command + "\n} 2>&1").c_str(), "r");
  std::string output;
  std::array<char, 65536> part{};
  while (const std::size_t size = std::fread(part.data(), 1, part.size(), pipe)) output.append(part.data(), size);
  EXPECT_EQ(::pclose(pipe), 0) << command << "\n" << output;
  return output;
}

nlohmann::json ip_json(const std::string& arguments) {
  const std::string output = shell("ip -j " + arguments);
  return output.find_first_not_of(" \n") == std::string::npos ? nlohmann::json::array() : nlohmann::json::parse(output);
}

fresh_namespace::fresh_namespace() : former_(::open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC)) {
  if (former_ < 0 || ::unshare(CLONE_NEWNET) != 0) ADD_FAILURE() << "these tests need root: no new network namespace";
  shell("ip link set lo up");
}

fresh_namespace::~fresh_namespace() {
  EXPECT_EQ(::setns(former_, CLONE_NEWNET), 0);
  ::close(former_);
}

packet_socket::packet_socket(const std::string& device)
    : descriptor_(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, htons(ETH_P_ALL))) {
  sockaddr_ll at{};
  at.sll_family = AF_PACKET;
  at.sll_protocol = htons(ETH_P_ALL);
  at.sll_ifindex = static_cast<int>(::if_nametoindex(device.c_str()));
  EXPECT_EQ(::bind(descriptor_, reinterpret_cast<const sockaddr*>(&at), sizeof(at)), 0) << device;
}

packet_socket::~packet_socket() { ::close(descriptor_); }

void packet_socket::send(const std::string& frame) const {
  EXPECT_EQ(::send(descriptor_, frame.data(), frame.size(), 0), static_cast<ssize_t>(frame.size()));
}

bool packet_socket::sees(const std::string& text, int milliseconds) const {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(milliseconds);
  for (;;) {
    const auto left =
        std::chrono::duration_cast<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd waiting{descriptor_, POLLIN, 0};
    if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left)) <= 0) return false;
    std::array<char, 2048> frame{};
    const ssize_t size = ::recv(descriptor_, frame.data(), frame.size(), MSG_DONTWAIT);
    if (size > 0 && std::string(frame.data(), static_cast<std::size_t>(size)).find(text) != std::string::npos)
      return true;
  }
}

}  // namespace trunkgate::testing
