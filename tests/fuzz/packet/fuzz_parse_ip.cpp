// Any bytes as an IP packet: what parse_ip says of them must lie inside them.
#include <cstdlib>
#include <vector>

#include "dataplane/packet/parse.hpp"

namespace {

void check(bool held) {
  if (!held) std::abort();
}

}  // namespace

// The first byte: whether the device knows the checksum to be good.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trunkgate;
  if (size < 1) return 0;
  const bool known_good = (data[0] & 1) != 0;
  // On the heap and of the exact size, so that one byte too far is seen.
  std::vector<std::uint8_t> bytes(data + 1, data + size);
  packet_meta m;
  if (parse_ip(bytes, m, known_good) != drop_reason::none) return 0;
  check(m.ip_version == bytes[0] >> 4);
  check(m.ip_length <= bytes.size() && m.l4_offset <= m.ip_length);
  const bool icmp = m.protocol == 1 || m.protocol == 58;  // its type and code stand for ports
  check(!m.has_ports || (m.l4_offset + (icmp ? 4 : 8) <= m.ip_length && !m.later_fragment));
  check(m.has_ports || (m.source_port == 0 && m.destination_port == 0));
  check(m.fragment || !m.later_fragment);
  (void)source_is_martian(bytes, m.ip_version);
  // What stands behind the packet changes nothing.
  bytes.resize(m.ip_length);
  bytes.shrink_to_fit();
  packet_meta again;
  check(parse_ip(bytes, again, known_good) == drop_reason::none);
  check(again.l4_offset == m.l4_offset && again.protocol == m.protocol && again.source_port == m.source_port);
  return 0;
}
