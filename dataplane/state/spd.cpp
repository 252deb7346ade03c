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

bool contains(const ip_prefix& prefix, ip_family family, const std::array<std::uint8_t, 16>& address) noexcept {
  if (prefix.address.family != family || prefix.length > prefix.address.bits()) return false;
  // The addresses' difference must lie behind the prefix: IPv4 in the first word alone, IPv6 in both.
  const std::uint64_t high = word_at(prefix.address.bytes, 0) ^ word_at(address, 0);
  if (prefix.length <= 64) return prefix.length == 0 || high >> (64 - prefix.length) == 0;
  const std::uint64_t low = word_at(prefix.address.bytes, 8) ^ word_at(address, 8);
  return high == 0 && low >> (128 - prefix.length) == 0;
}

bool any_contains(std::span<const ip_prefix> prefixes, ip_family family,
                  const std::array<std::uint8_t, 16>& address) noexcept {
  for (const ip_prefix& prefix : prefixes)
    if (contains(prefix, family, address)) return true;
  return false;
}

bool port_allowed(const api::port_range& ports, const flow_key& key, std::uint16_t port) noexcept {
  if (ports.any()) return true;
  // RFC 4301 4.4.1.1: a later fragment has no ports to compare (OPAQUE), and this SA was not negotiated for those.
  return key.has_ports != 0 && port >= ports.first && port <= ports.last;
}

}  // namespace

bool selectors_allow(const api::sa_record& record, const flow_key& key) noexcept {
  if (record.protocol >= 0 && record.protocol != key.protocol) return false;
  if (!port_allowed(record.remote_ports, key, key.source_port)) return false;
  if (!port_allowed(record.local_ports, key, key.destination_port)) return false;
  const std::span locals(record.local_prefixes), remotes(record.remote_prefixes);
  return any_contains(remotes.first(std::min<std::size_t>(record.remote_count, remotes.size())), key.family,
                      key.source) &&
         any_contains(locals.first(std::min<std::size_t>(record.local_count, locals.size())), key.family,
                      key.destination);
}

}  // namespace trunkgate
