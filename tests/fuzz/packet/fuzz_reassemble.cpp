// Fragments of real ESP, cut, shuffled, overlapped and repeated as the input says, through the real stages. Each step
// of an input is five bytes: which datagram, offset, length, flags; bit 7 of the flags lets time pass.
#include <algorithm>
#include <cstdlib>

#include "tests/fuzz/packet/settle.hpp"
#include "tests/unit/stages/peer.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::test;

constexpr unsigned datagrams = 4;

api::sa_record record_of(unsigned which) {
  auto record = sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 0x5000 + which);
  record.udp_encapsulation = which == 1;
  if (which == 2) {
    record.local = address("2001:db8::1");
    record.remote = address("2001:db8::2");
  }
  return record;
}

// Behind the outer IP header. The last one is no ESP: UDP for the box, longer than a buffer when put together.
struct datagram {
  api::sa_record record;
  std::uint8_t protocol = 50;
  bytes content;
};

datagram make(unsigned which) {
  datagram made{.record = record_of(which), .content = {}};
  const auto inner = udp_packet(between("10.2.0.3", "10.1.0.2"), 1, 2, filled(600, static_cast<std::uint8_t>(which)));
  const auto outer = esp_from_peer(made.record, inner, {.sequence = 1});
  made.protocol = which == 1 || which == 3 ? 17 : 50;
  const auto header = made.record.local.family == ip_family::v6 ? 40 : 20;
  made.content.assign(outer.begin() + header, outer.end());
  if (which == 3) made.content = join({be(500, 2), be(500, 2), be(4008, 2), be(0, 2), filled(4000)});
  return made;
}

bytes fragment_of(const datagram& of, std::uint16_t id, std::size_t at, std::size_t length, bool more) {
  const std::size_t from = std::min(at, of.content.size()), to = std::min(at + length, of.content.size());
  const bytes part(of.content.begin() + static_cast<std::ptrdiff_t>(from),
                   of.content.begin() + static_cast<std::ptrdiff_t>(to));
  ip_fields ip{.source = of.record.remote, .destination = of.record.local, .protocol = of.protocol, .options = {}};
  const auto offset = static_cast<std::uint16_t>(at / 8);
  if (of.record.local.family == ip_family::v6) {
    ip.first_extension = 44;
    ip.options = join({{of.protocol, 0}, be(static_cast<unsigned>(offset << 3) | (more ? 1u : 0u), 2), be(id, 4)});
  } else {
    ip.id = id;
    ip.fragment = static_cast<std::uint16_t>(offset | (more ? 0x2000u : 0u));
  }
  return ip_packet(ip, part);
}

struct harness {
  little_gateway gateway;
  std::array<datagram, datagrams> whole;
  std::array<inbound_sa*, datagrams> sas{};
  harness() {
    for (unsigned i = 0; i < datagrams; ++i) {
      whole[i] = make(i);
      if (i != 3) sas[i] = &gateway.add_inbound(whole[i].record);
    }
    gateway.add_rule(nullptr, "192.0.2.1/32", api::policy_action::bypass);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static auto* h = new harness;
  if (size > 5 * 256) return 0;
  for (auto* sa : h->sas)
    if (sa != nullptr) sa->window = replay_window(4096);
  for (std::size_t at = 0; at + 5 <= size; at += 5) {
    const auto& of = h->whole[data[at] % datagrams];
    const std::size_t offset = std::size_t{data[at + 1]} * 8 + (std::size_t{data[at + 2] & 0xe0u} << 8);
    const std::size_t length = std::min<std::size_t>(std::size_t{data[at + 3]} * 8 + (data[at + 2] & 7u), 1440);
    const std::uint8_t flags = data[at + 4];
    h->gateway.receive(outside, fragment_of(of, flags >> 1 & 3, offset, length, (flags & 1) != 0));
    h->gateway.run();
    if ((flags & 0x80) != 0) {
      h->gateway.context().now_tsc += 1ull << 40;
      expire_fragments(h->gateway.context());
    }
  }
  // Only what the peer sealed comes out, each datagram at most once.
  const auto sent = h->gateway.sent(inside);
  if (sent.size() > datagrams - 1) std::abort();
  for (const auto& ip : sent)
    if (ip.size() != 628 || !checksums_hold(ip) || read_be(ip, 16, 4) != 0x0a010002) std::abort();
  if (!h->gateway.sent(outside).empty()) std::abort();
  settle(h->gateway);
  return 0;
}
