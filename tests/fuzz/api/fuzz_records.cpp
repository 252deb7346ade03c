// Any bytes as an API record: what the check lets through can be taken apart as the tables take it apart.
#include <cstdlib>
#include <cstring>
#include <span>

#include "dataplane/main/record_check.hpp"

namespace {

using namespace trunkgate;

void take_apart(std::span<const ip_range> ranges) {
  for (const auto& range : ranges) {
    if (range.any()) continue;
    const auto prefixes = range.prefixes();
    if (prefixes.empty() || prefixes.size() > (range.first.family == ip_family::v4 ? 62 : 254)) std::abort();
    if (!range.cover().contains(range.first) || !range.cover().contains(range.last)) std::abort();
    for (const auto& prefix : prefixes)
      if (!range.contains(ip_range(prefix))) std::abort();
  }
}

template <class Record>
bool taken(const std::uint8_t* data, std::size_t size, Record& record) {
  std::memcpy(static_cast<void*>(&record), data, std::min(size, sizeof record));
  const auto done = check(record);
  if (!done && done.error().reason.empty()) std::abort();
  return done.has_value();
}

}  // namespace

// The first byte chooses the record; what is missing of it is as it is by default.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto kind = data[0] % 6;
  ++data;
  --size;
  api::policy_record policy;
  api::sa_record sa;
  api::port_record port;
  api::route_record route;
  api::trap_record trap;
  api::move_record move;
  if (kind == 0 && taken(data, size, policy)) {
    take_apart(std::array{policy.source, policy.destination});
  } else if (kind == 1 && taken(data, size, sa)) {
    take_apart(std::span(sa.local_ranges).first(sa.local_count));
    take_apart(std::span(sa.remote_ranges).first(sa.remote_count));
    if (info(sa.suite).key_material() > sa.key.size()) std::abort();
  } else if (kind == 2) {
    (void)taken(data, size, port);
  } else if (kind == 3) {
    (void)taken(data, size, route);
  } else if (kind == 4 && taken(data, size, trap)) {
    take_apart(std::span(trap.local_ranges).first(trap.local_count));
    take_apart(std::span(trap.remote_ranges).first(trap.remote_count));
  } else if (kind == 5) {
    (void)taken(data, size, move);
  }
  return 0;
}
