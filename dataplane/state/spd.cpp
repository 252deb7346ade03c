#include "dataplane/state/spd.hpp"

#include <cstring>

#include "dataplane/core/bytes.hpp"

namespace trunkgate {

namespace {

std::uint64_t word_at(const std::array<std::uint8_t, 16>& address, std::size_t offset) noexcept {
  be64 word;
  std::memcpy(&word, address.data() + offset, sizeof word);
  return word.host();
}

// The words behind the first ones, which are at an end of the range: IPv6, or an address that is itself an end.
bool contains_at_end(const ip_range& range, std::uint64_t high, std::uint64_t low) noexcept {
  const std::uint64_t first = word_at(range.first.bytes, 0), last = word_at(range.last.bytes, 0);
  return high >= first && high <= last && (high != first || low >= word_at(range.first.bytes, 8)) &&
         (high != last || low <= word_at(range.last.bytes, 8));
}

bool contains(const ip_range& range, ip_family family, const std::array<std::uint8_t, 16>& address) noexcept {
  if (range.first.family != family) return false;
  const std::uint64_t high = word_at(address, 0);
  if (high > word_at(range.first.bytes, 0) && high < word_at(range.last.bytes, 0)) return true;
  return contains_at_end(range, high, word_at(address, 8));
}

bool any_contains(std::span<const ip_range> ranges, ip_family family,
                  const std::array<std::uint8_t, 16>& address) noexcept {
  for (const ip_range& range : ranges)
    if (contains(range, family, address)) return true;
  return false;
}

bool port_allowed(const api::port_range& ports, const flow_key& key, std::uint16_t port) noexcept {
  if (ports.any()) return true;
  // RFC 4301 4.4.1.1: what has no ports to compare (OPAQUE) is not what this SA was negotiated for.
  return key.has_ports != 0 && port >= ports.first && port <= ports.last;
}

}  // namespace

bool selectors_allow(const api::selector_record& record, const flow_key& key) noexcept {
  if (record.protocol >= 0 && record.protocol != key.protocol) return false;
  if (!port_allowed(record.remote_ports, key, key.source_port)) return false;
  if (!port_allowed(record.local_ports, key, key.destination_port)) return false;
  const std::span locals(record.local_ranges), remotes(record.remote_ranges);
  return any_contains(remotes.first(std::min<std::size_t>(record.remote_count, remotes.size())), key.family,
                      key.source) &&
         any_contains(locals.first(std::min<std::size_t>(record.local_count, locals.size())), key.family,
                      key.destination);
}

}  // namespace trunkgate
