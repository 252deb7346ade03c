// ESP from a peer who has the key and means harm, so that what is behind the ICV is reached: the input is the plaintext
// with its trailer. In the raw mode it is what stands on the wire behind the SPI.
#include <cstdlib>

#include "dataplane/packet/parse.hpp"
#include "tests/fuzz/packet/settle.hpp"
#include "tests/unit/stages/peer.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::test;

constexpr unsigned tunnel_flavours = 4, flavours = 2 * tunnel_flavours;

api::sa_record record_of(unsigned flavour) {
  auto record = sa_between(api::sa_direction::inbound,
                           flavour % 4 < 2 ? esp_suite::aes128gcm16 : esp_suite::aes256cbc_sha256, 0x5000 + flavour);
  record.udp_encapsulation = flavour % 2;
  record.esn = flavour % 2;
  if (flavour >= tunnel_flavours) record.mode = api::sa_mode::transport;
  // Wide enough for what is inside to be the site's packets, or ESP again.
  set_prefixes(record, {"10.1.0.0/16", "fd01::/64", "192.0.2.1/32"}, {"10.2.0.0/16", "fd02::/64", "192.0.2.2/32"});
  return record;
}

struct harness {
  little_gateway gateway;
  inbound_sa* sas[flavours] = {};
  harness() {
    for (unsigned i = 0; i < flavours; ++i) sas[i] = &gateway.add_inbound(record_of(i));
    auto onward = sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 0x6000);
    set_prefixes(onward, {"10.1.0.0/16"}, {"10.2.0.0/16"});
    gateway.add_outbound(onward);
  }
};

}  // namespace

// The first byte: flavour in the lowest bits, raw mode, transport mode, and the outer traffic class.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto* h = new harness;
  if (size < 1 || size > 1400) return 0;
  const unsigned flavour = data[0] % tunnel_flavours + ((data[0] & 8) != 0 ? tunnel_flavours : 0);
  const bool raw = (data[0] & 4) != 0;
  const auto record = record_of(flavour);
  const bytes content(data + 1, data + size);
  for (auto* sa : h->sas) sa->window = replay_window(4096);
  bytes packet;
  if (raw) {
    const ip_fields ip{.source = record.remote, .destination = record.local, .protocol = 50, .options = {}};
    const auto esp = join({be(record.spi, 4), content});
    packet = record.udp_encapsulation != 0 ? udp_packet(ip, 4500, 4500, esp) : ip_packet(ip, esp);
  } else {
    packet =
        esp_from_peer(record, content, {.trailer = bytes{}, .traffic_class = static_cast<std::uint8_t>(data[0] >> 6)});
  }
  h->gateway.receive(outside, packet);
  h->gateway.run();
  for (const std::uint16_t port : {inside, outside})
    for (const auto& ip : h->gateway.sent(port)) {
      packet_meta m;
      if (parse_ip(ip, m, false) != drop_reason::none || m.ip_length != ip.size()) std::abort();
      // RFC 4303 3.4.3: only what the judge protected may come out.
      if (raw) std::abort();
    }
  for (const auto& frame : h->gateway.punted())
    if (raw || frame.size() < 14) std::abort();
  settle(h->gateway);
  return 0;
}
