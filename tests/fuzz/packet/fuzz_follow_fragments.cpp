// Fragments from a hostile neighbour where ports decide: whatever comes in whatever order, no byte of a datagram passes
// twice, none passes before or without its first fragment, and none without the port that is allowed.
//
// An input is a list of fragments of eight bytes each: which datagram and family, offset, length, what follows.
#include <cstdlib>
#include <map>
#include <vector>

#include "dataplane/packet/fragment_header.hpp"
#include "dataplane/packet/parse.hpp"
#include "tests/fuzz/packet/settle.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::test;

constexpr std::uint16_t allowed = 6000, refused = 6001;

void check(bool held) {
  if (!held) std::abort();
}

little_gateway& gateway() {
  static auto* made = [] {
    auto* g = new little_gateway;
    api::policy_record record;
    record.protocol = 17;
    record.destination_ports = {allowed, allowed};
    record.action = api::policy_action::bypass;
    g->add_rule(record);
    return g;
  }();
  return *made;
}

// One fragment: UDP's header stands at the start of every first one, with the allowed port or another.
bytes fragment_of(const std::uint8_t* from) {
  const bool v6 = (from[0] & 1) != 0, more = (from[0] & 2) != 0, good = (from[0] & 4) != 0;
  const std::size_t offset = (static_cast<std::size_t>(from[2]) << 8 | from[3]) % 0x2000 * 8;
  const std::size_t length = (static_cast<std::size_t>(from[4]) << 8 | from[5]) % 1200;
  auto ip = v6 ? between("fd01::2", "fd05::3", from[6] % 3 == 0 ? 6 : 17) : between("10.1.0.2", "10.5.0.3");
  ip.id = from[1] % 4;
  auto data = filled(length, from[7]);
  const auto head = join({be(5000, 2), be(good ? allowed : refused, 2), be(1000, 2), {0, 0}});
  if (offset == 0) std::copy_n(head.begin(), std::min(head.size(), data.size()), data.begin());
  if (!v6) {
    ip.fragment = static_cast<std::uint16_t>(offset / 8 | (more ? 0x2000 : 0));
    return ip_packet(ip, data);
  }
  ip.first_extension = 44;
  ip.options = join({{ip.protocol, 0}, be(offset | (more ? 1 : 0), 2), be(ip.id, 4)});
  return ip_packet(ip, data);
}

struct followed {
  std::vector<bool> bytes_seen = std::vector<bool>(65536 + 2048);
  std::size_t open = 0;
  bool first = false;
};

// By family and id. A datagram that is complete is forgotten by the gateway, and another may take its id.
using datagrams = std::map<std::pair<int, std::uint32_t>, followed>;

void judge(datagrams& seen, const bytes& ip) {
  packet_meta m;
  check(parse_ip(ip, m, false) == drop_reason::none && m.ip_length == ip.size());
  if (!m.fragment) {
    check(m.destination_port == allowed);
    return;
  }
  const auto at = find_fragment_header(ip, m);
  check(at.has_value() && at->first < at->end && at->end <= 65535);
  auto& datagram = seen[{m.ip_version, at->id}];
  if (!m.later_fragment) {
    check(m.destination_port == allowed);
    datagram = {};  // what was there was complete, or this one would be a copy
    datagram.first = true;
  }
  check(datagram.first);
  for (std::uint32_t i = at->first; i < at->end; ++i) {
    check(!datagram.bytes_seen[i]);
    datagram.bytes_seen[i] = true;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto& g = gateway();
  if (size > 8 * 200) return 0;
  datagrams seen;
  for (std::size_t at = 0; at + 8 <= size; at += 8) {
    g.receive(inside, fragment_of(data + at));
    g.run();
    for (const auto& ip : g.sent(outside)) judge(seen, ip);
  }
  settle(g);
  check(g.context().fragments.empty());
  return 0;
}
