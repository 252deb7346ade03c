// Any bytes as the record of an IKE SA. What is taken is written again octet by octet the same.
#include <algorithm>
#include <cstdlib>

#include "controlplane/ike/sa/snapshot.hpp"

using namespace trunkgate::ike;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const byte_view octets(data, size);
  const auto read = decode_snapshot(octets);
  if (!read) {
    if (read.error().reason.empty()) std::abort();
    return 0;
  }
  std::vector<std::uint8_t> again(size);
  const auto written = encode_snapshot(*read, again);
  if (!written || *written != size || !std::ranges::equal(again, octets)) std::abort();
  if (size != 0 && encode_snapshot(*read, std::span(again).first(size - 1))) std::abort();
  return 0;
}
