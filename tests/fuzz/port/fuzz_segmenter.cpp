// A frame and its offload header as a hostile kernel guest could send them: offload header, MTU (2 bytes), frame.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "drivers/port/segmenter.hpp"

namespace {

void check(bool held) {
  if (!held) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace trunkgate;
  offload_header request;
  std::uint16_t mtu = 0;
  if (size < sizeof request + sizeof mtu) return 0;
  std::memcpy(&request, data, sizeof request);
  std::memcpy(&mtu, data + sizeof request, sizeof mtu);
  // On the heap and of the exact size, so that one byte too far is seen.
  const std::vector<std::uint8_t> frame(data + sizeof request + sizeof mtu, data + size);

  auto completed = frame;
  if (complete_checksum(completed, request.checksum_start, request.checksum_offset))
    check(request.checksum_start + request.checksum_offset + 2u <= frame.size());

  segmenter cutter;
  if (!cutter.start(frame, request, mtu)) return 0;
  auto left = cutter.segments_left();
  check(left > 0 && left <= frame.size());
  for (; !cutter.done(); --left) {
    std::vector<std::uint8_t> segment(cutter.largest_segment());
    const auto length = cutter.next(segment.data());
    check(length <= segment.size() && length <= frame.size());
    check(find_headers({segment.data(), length}).has_value());
    if ((request.segmentation & ~unsigned{offload_header::ecn}) != offload_header::udp)
      check(length - find_headers(frame)->ip <= mtu);
  }
  check(left == 0);
  return 0;
}
