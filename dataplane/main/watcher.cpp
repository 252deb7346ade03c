#include "dataplane/main/watcher.hpp"

#include <algorithm>

#include <rte_cycles.h>

namespace trunkgate {
namespace {

result<void> check(const api::watch_request& request) {
  if (request.mode > api::watch_mode::capture) return failure("unknown kind of watch");
  if (request.mode == api::watch_mode::trace && (request.count == 0 || request.count > api::trace_limit))
    return failure("a trace is of 1 to " + std::to_string(api::trace_limit) + " packets");
  for (const auto* prefix : {&request.from, &request.to}) {
    const auto family = prefix->address.family;
    if (family != ip_family::none && family != ip_family::v4 && family != ip_family::v6)
      return failure("unknown address family");
    if (family != ip_family::none && prefix->length > prefix->address.bits())
      return failure("a prefix is longer than its address");
  }
  return {};
}

bool equal(const watch_filter::pair& a, const watch_filter::pair& b) { return a.one == b.one && a.other == b.other; }

// False: there is no room for it.
bool add(watch_filter& filter, const ip_range& one, const ip_range& other) {
  const watch_filter::pair wanted{.one = one, .other = other};
  const auto end = filter.pairs.begin() + filter.count;
  if (std::any_of(filter.pairs.begin(), end, [&](const auto& known) { return equal(known, wanted); })) return true;
  if (filter.count == watch_filter::pair_limit) return false;
  filter.pairs[filter.count++] = wanted;
  return true;
}

bool add_all(watch_filter& filter, const api::sa_record& sa) {
  bool room = add(filter, {sa.local, sa.local}, {sa.remote, sa.remote});
  for (std::size_t l = 0; l < sa.local_count; ++l)
    for (std::size_t r = 0; r < sa.remote_count; ++r)
      if (sa.local_ranges[l].first.family == sa.remote_ranges[r].first.family)
        room = room && add(filter, sa.local_ranges[l], sa.remote_ranges[r]);
  return room;
}

}  // namespace

result<watch_filter> watcher::filter_for(const api::watch_request& request) const {
  watch_filter filter;
  if (request.tunnel.view().empty()) {
    const bool any = request.from.address.family == ip_family::none && request.to.address.family == ip_family::none;
    if (!any) (void)add(filter, request.from, request.to);
    return filter;
  }
  const auto tunnel = "tunnel " + std::string(request.tunnel.view());
  bool room = true;
  sas_.each([&](const api::sa_record& sa) {
    if (sa.tunnel == request.tunnel) room = room && add_all(filter, sa);
  });
  if (filter.count == 0) return failure(tunnel + ": no SA of it is installed (trunkgate show sas)");
  if (!room)
    return failure(tunnel + ": its selectors are more than " + std::to_string(watch_filter::pair_limit) +
                   " pairs of networks: name addresses instead (from ADDR, to ADDR)");
  return filter;
}

result<void> watcher::start(const api::watch_request& request) {
  if (auto fine = check(request); !fine) return fine;
  auto filter = filter_for(request);
  if (!filter) return std::unexpected(filter.error());
  const std::uint32_t room = rte_pktmbuf_data_room_size(pipeline_.options().pool) - packet_headroom;
  auto made = watch::make({.filter = *filter,
                           .capture = request.mode == api::watch_mode::capture,
                           .wire = request.wire != 0,
                           .inner = request.inner != 0,
                           .first_id = static_cast<std::uint8_t>(next_id_ % watch_plan::ids + 1),
                           .limit = request.count,
                           .captured = std::min(room, api::capture_bytes)},
                          pipeline_.workers().size());
  if (!made) return std::unexpected(made.error());
  watch_ = std::move(*made);
  quiet_.reset();
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  start_tsc_ = rte_rdtsc();
  start_unix_ns_ = static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  pipeline_.publish(watch_.get());
  return {};
}

void watcher::stop() {
  if (watch_ == nullptr || quiet_ != nullptr) return;
  next_id_ = (next_id_ + std::max(watch_->begun(), 1u)) % watch_plan::ids;
  pipeline_.publish(nullptr);
  quiet_ = std::make_shared<bool>(false);
  pipeline_.tables().rcu.retire([quiet = quiet_] { *quiet = true; });
}

void watcher::abandon() {
  stop();
  if (watch_ != nullptr) pipeline_.tables().rcu.retire(std::move(watch_));
}

bool watcher::drained() const { return quiet_ != nullptr && *quiet_ && oldest() == nullptr; }

worker_watch* watcher::oldest() const {
  worker_watch* found = nullptr;
  for (std::uint16_t w = 0; w < watch_->workers(); ++w) {
    auto& one = watch_->of(w);
    const auto* front = one.ring.front();
    if (front != nullptr && (found == nullptr || front->tsc < found->ring.front()->tsc)) found = &one;
  }
  return found;
}

void watcher::drain(const std::function<bool(const api::watched&, std::span<const std::uint8_t>)>& each) {
  if (watch_ == nullptr) return;
  pipeline_.tables().rcu.reclaim();  // tells whether it is quiet
  // A turn of this thread is for others too: not more than what the rings held when it began.
  for (std::size_t left = std::size_t{watch_->workers()} * 4096; left != 0; --left) {
    auto* from = oldest();
    if (from == nullptr) return;
    const auto* record = from->ring.front();
    if (!each(named(*record), {watch_ring::bytes_of(record), record->captured})) return;
    from->ring.pop();
  }
}

api::watched watcher::last_word() const {
  api::watched last;
  last.event = watch_event::ended;
  last.lost = watch_->lost();
  return last;
}

api::watched watcher::named(const watch_record& record) const {
  static const double ns_per_tick = 1e9 / static_cast<double>(rte_get_tsc_hz());
  api::watched out;
  // A packet may have come in a turn that began before the watch.
  const auto ticks = static_cast<double>(static_cast<std::int64_t>(record.tsc - start_tsc_));
  out.unix_ns = start_unix_ns_ + static_cast<std::uint64_t>(static_cast<std::int64_t>(ticks * ns_per_tick));
  out.lost = watch_->lost();
  out.event = record.event;
  out.packet = record.trace_id;
  out.reason = static_cast<std::uint8_t>(record.drop);
  out.protocol = record.protocol;
  out.ip_version = record.ip_version;
  out.has_ports = record.has_ports ? 1 : 0;
  out.inner = record.inner ? 1 : 0;
  out.framed = record.framed ? 1 : 0;
  out.source_port = record.source_port;
  out.destination_port = record.destination_port;
  out.error_mtu = record.error_mtu;
  out.worker = record.worker;
  out.length = record.length;
  out.captured = record.captured;
  out.source = record.addresses.source;
  out.destination = record.addresses.destination;
  out.stage = api::text<24>(name(record.stage));
  if (record.path < path_count) out.path = api::text<16>(path_names[record.path]);
  if (record.ingress != no_port) out.ingress = api::name(ports_.name_of(record.ingress));
  if (record.egress != no_port) out.egress = api::name(ports_.name_of(record.egress));
  if (record.sa == watch_sa::none) return out;
  out.spi = record.spi;
  const auto direction = record.sa == watch_sa::out ? api::sa_direction::outbound : api::sa_direction::inbound;
  if (const auto* sa = sas_.find(direction, record.spi); sa != nullptr) {
    out.tunnel = sa->tunnel;
    out.child = sa->child;
  }
  return out;
}

}  // namespace trunkgate
