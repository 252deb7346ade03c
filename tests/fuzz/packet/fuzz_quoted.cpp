// Any bytes as what an ICMP error quotes: nothing is read behind them.
#include <cstdlib>
#include <vector>

#include "dataplane/packet/quoted.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trunkgate;
  // On the heap and of the exact size, so that one byte too far is seen.
  const std::vector<std::uint8_t> bytes(data, data + size);
  for (const std::uint8_t version : {4, 6}) {
    const auto got = parse_quoted(bytes, version);
    if (!got) continue;
    if (bytes[0] >> 4 != version || size < (version == 4 ? 20 : 40)) std::abort();
    if ((got->has_spi || got->has_ports) && got->later_fragment) std::abort();
  }
  return 0;
}
