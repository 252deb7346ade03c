#include "perf/bench/frames.hpp"

#include <cstring>

#include "dataplane/packet/headers.hpp"
#include "dataplane/packet/meta.hpp"

namespace trunkgate::bench {
namespace {

constexpr unsigned pool_packets = 12287;  // a round in flight, one more being written, and the cache
constexpr std::uint16_t wrapping = 256;   // Ethernet, outer header, ESP, padding

}  // namespace

buffer_pools::~buffer_pools() {
  rte_mempool_free(ordinary_);
  rte_mempool_free(large_);
}

result<rte_mempool*> buffer_pools::for_packets(packet_sizes sizes) {
  const bool large = sizes.largest() > largest_ordinary_packet;
  auto& pool = large ? large_ : ordinary_;
  const std::uint16_t content = large ? link_mtu : largest_ordinary_packet;
  if (pool == nullptr)
    pool = rte_pktmbuf_pool_create(large ? "bench_large" : "bench", pool_packets, 256, sizeof(packet_meta),
                                   static_cast<std::uint16_t>(packet_headroom + content + wrapping), SOCKET_ID_ANY);
  if (pool == nullptr) return failure("no memory for packet buffers");
  return pool;
}

void free_all(std::span<rte_mbuf* const> buffers) {
  for (auto* buffer : buffers) rte_pktmbuf_free(buffer);
}

void write_frame(rte_mbuf* buffer, const mac_address& to, const numbered_packet& packet) {
  auto* at = rte_pktmbuf_mtod(buffer, std::uint8_t*);
  const ethernet_header header{to, {2, 0, 0, 0, 3, 0}, be16(ethertype_ipv4)};
  std::memcpy(at, &header, sizeof header);
  packet.write(at + sizeof header);
  buffer->data_len = static_cast<std::uint16_t>(sizeof header + packet.size);
  buffer->pkt_len = buffer->data_len;
}

void compare(checker& checked, rte_mbuf* frame, std::uint8_t hops_spent) {
  if (rte_pktmbuf_data_len(frame) <= sizeof(ethernet_header)) return;
  checked.arrived({rte_pktmbuf_mtod_offset(frame, const std::uint8_t*, sizeof(ethernet_header)),
                   rte_pktmbuf_data_len(frame) - sizeof(ethernet_header)},
                  hops_spent);
}

stage_totals::stage_totals(worker& from, stage_id of) {
  const auto& stages = from.context().stages;
  for (std::size_t s = 0; s < stage_count; ++s) cycles[s] = stages[s].cycles.get();
  packets = stages[static_cast<std::size_t>(of)].packets.get();
  bursts = stages[static_cast<std::size_t>(of)].bursts.get();
}

void fill_stages(pass_figures& into, const stage_totals& before, const stage_totals& after, double packets) {
  for (std::size_t s = 0; s < stage_count; ++s)
    into.stages[s] = static_cast<double>(after.cycles[s] - before.cycles[s]) / packets;
}

}  // namespace trunkgate::bench
