#include "perf/bench/traffic.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>

#include "dataplane/packet/headers.hpp"

namespace trunkgate::bench {
namespace {

constexpr std::size_t number_at = sizeof(ipv4_header) + sizeof(udp_header);
constexpr std::uint8_t first_hop_limit = 64;

std::uint64_t number_in(std::span<const std::uint8_t> packet) {
  std::uint64_t number = 0;
  std::memcpy(&number, packet.data() + number_at, sizeof number);
  return number;
}

}  // namespace

double packet_sizes::mean() const noexcept {
  if (always_ != 0) return always_;
  return std::accumulate(mix.begin(), mix.end(), 0.0) / static_cast<double>(mix.size());
}

void numbered_packet::write(std::uint8_t* at, std::uint8_t hops_spent) const noexcept {
  ipv4_header ip{};
  ip.version_length = 0x45;
  ip.total_length = be16(size);
  ip.id = be16(static_cast<std::uint16_t>(number));
  ip.hop_limit = static_cast<std::uint8_t>(first_hop_limit - hops_spent);
  ip.protocol = protocol_udp;
  ip.source = {192, 168, 0, 1};
  const be32 destination(flow_network(flow) + 1);
  std::memcpy(ip.destination.data(), &destination, sizeof destination);
  ip.checksum = be16(checksum_fold(checksum_add(0, &ip, sizeof ip)));
  std::memcpy(at, &ip, sizeof ip);
  udp_header udp{};  // its checksum stays 0: none (RFC 768)
  udp.source = be16(20000);
  udp.destination = be16(30000);
  udp.length = be16(static_cast<std::uint16_t>(size - sizeof ip));
  std::memcpy(at + sizeof ip, &udp, sizeof udp);
  std::memcpy(at + number_at, &number, sizeof number);
  std::uint64_t word = number;
  for (std::size_t offset = number_at + sizeof number; offset < size; offset += sizeof word) {
    word = std::rotl(word + 0x9e3779b97f4a7c15u, 29) * 0xbf58476d1ce4e5b9u;
    std::memcpy(at + offset, &word, std::min<std::size_t>(sizeof word, size - offset));
  }
}

std::uint32_t flow_of(std::uint64_t number, std::uint32_t flows) noexcept {
  // A step that has no factor in common with any number below it visits every flow before it comes back.
  constexpr std::uint64_t prime = 1'000'003;
  return static_cast<std::uint32_t>(number % flows * prime % flows);
}

void checker::begin_round(std::uint64_t first, std::uint32_t count) {
  first_ = first;
  seen_.assign(count, false);
}

bool checker::matches(std::span<const std::uint8_t> packet, std::uint8_t hops_spent) {
  if (packet.size() < smallest_packet) return false;
  const std::uint64_t number = number_in(packet);
  if (number < first_ || number - first_ >= seen_.size()) return false;
  const std::uint16_t size = sizes_.of(number);
  numbered_packet{number, flow_of(number, flows_), size}.write(expected_.data(), hops_spent);
  return std::ranges::equal(packet, std::span(expected_).first(size));
}

void checker::arrived(std::span<const std::uint8_t> packet, std::uint8_t hops_spent) {
  if (!matches(packet, hops_spent)) return;  // the packet that it was is missing, and counted so
  const auto place = static_cast<std::size_t>(number_in(packet) - first_);
  if (seen_[place]) {
    ++wrong_;
    return;
  }
  seen_[place] = true;
  ++verified_;
}

void checker::end_round() {
  wrong_ += static_cast<std::uint64_t>(std::ranges::count(seen_, false));
  seen_.clear();
}

}  // namespace trunkgate::bench
