// Frames from hostile neighbours on both sides, through every stage of a real worker. An input is a list of frames,
// each behind one byte for the port and two for its length.
#include <algorithm>
#include <cstdlib>

#include "dataplane/packet/parse.hpp"
#include "tests/fuzz/packet/settle.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::test;

little_gateway& gateway() {
  static auto* made = [] {
    auto* g = new little_gateway;
    g->add_outbound(sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 0x1000));
    g->add_inbound(sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 0x2000));
    auto in_udp = sa_between(api::sa_direction::inbound, esp_suite::aes128cbc_sha256, 0x3000);
    in_udp.udp_encapsulation = 1;
    in_udp.esn = 1;
    g->add_inbound(in_udp);
    g->add_rule("10.1.0.0/16", "10.5.0.0/16", api::policy_action::bypass);
    g->add_rule("fd01::/64", "fd05::/64", api::policy_action::bypass);
    g->add_rule("10.1.0.0/16", "10.1.0.1/32", api::policy_action::bypass);
    g->tables().ports[inside].mtu = 1280;
    return g;
  }();
  return *made;
}

void check(bool held) {
  if (!held) std::abort();
}

// Whatever leaves is a whole packet, and what a tunnel must protect does not leave in clear.
void judge(std::uint16_t port, const bytes& frame) {
  check(frame.size() >= 14);
  const auto ethertype = read_be(frame, 12, 2);
  if (ethertype == 0x0806) return;
  const bytes ip(frame.begin() + 14, frame.end());
  packet_meta m;
  const auto verdict = parse_ip(ip, m, false);
  check(verdict == drop_reason::none && m.ip_length == ip.size());
  check(ip.size() <= 1500);
  if (port != outside || m.ip_version != 4) return;
  const auto site = [&](std::size_t at) { return ip[at] == 10 ? ip[at + 1] : 0; };
  check(!(site(12) == 1 && site(16) == 2));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto& g = gateway();
  for (std::size_t at = 0; at + 3 < size;) {
    const std::uint16_t port = (data[at] & 1) != 0 ? outside : inside;
    const std::size_t wanted = static_cast<std::size_t>(data[at + 1]) << 8 | data[at + 2];
    at += 3;
    const std::size_t length = std::min({wanted, size - at, std::size_t{1518}});
    if (length != 0) g.receive_frame(port, {data + at, data + at + length});
    at += length;
  }
  g.run();
  for (const std::uint16_t port : {inside, outside})
    for (const auto& frame : g.sent_frames(port)) judge(port, frame);
  settle(g);
  return 0;
}
