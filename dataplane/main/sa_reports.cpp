// What is told of the installed SAs.
#include <algorithm>

#include <rte_cycles.h>

#include "dataplane/main/sa_set.hpp"

namespace trunkgate {

void sa_set::each(const std::function<void(const api::sa_record&)>& visit) const {
  for (const auto& [which, sa] : installed_) visit(sa.record());
}

const api::sa_record* sa_set::find(api::sa_direction direction, std::uint32_t spi) const {
  const auto found = installed_.lower_bound({direction, spi, ip_address{}});  // any peer's
  if (found == installed_.end() || std::get<0>(found->first) != direction || std::get<1>(found->first) != spi)
    return nullptr;
  return &found->second.record();
}

void sa_set::use(std::span<const std::uint32_t> pairs, const std::function<void(const api::sa_use&)>& visit) const {
  const std::uint64_t now_tsc_ms = rte_rdtsc() / (rte_get_tsc_hz() / 1000), now_ms = monotonic_ms();
  const auto tell = [&](std::uint32_t pair, const std::optional<key>& which) {
    if (!which) return;
    const auto& sa = installed_.at(*which);
    const auto last = sa.counters().last_used_ms.get();
    visit({.pair = pair,
           .direction = sa.record().direction,
           .packets = sa.counters().packets.get(),
           .bytes = sa.counters().bytes.get(),
           .idle_ms = last == 0 ? now_ms - sa.origin().installed_ms : now_tsc_ms - std::min(last, now_tsc_ms)});
  };
  const auto tell_both = [&](std::uint32_t pair, const pair_keys& keys) {
    tell(pair, keys.out);
    tell(pair, keys.in);
  };
  for (const auto pair : pairs)
    if (const auto found = pairs_.find(pair); found != pairs_.end()) tell_both(pair, found->second);
  if (pairs.empty())
    for (const auto& [pair, keys] : pairs_) tell_both(pair, keys);
}

void sa_set::add_traffic(std::string_view interface, api::port_status& status) const {
  const auto found = interfaces_.find(interface);
  if (found == interfaces_.end()) return;
  const auto& sas = found->second;
  status.tx_packets += sas.tx_packets;
  status.tx_bytes += sas.tx_bytes;
  status.rx_packets += sas.rx_packets;
  status.rx_bytes += sas.rx_bytes;
  for (const auto* sa : sas.out) {
    status.tx_packets += sa->counters.packets.get();
    status.tx_bytes += sa->counters.bytes.get();
  }
  for (const auto* sa : sas.in) {
    status.rx_packets += sa->counters.packets.get();
    status.rx_bytes += sa->counters.bytes.get();
  }
}

void sa_set::report(const std::function<void(const api::sa_status&)>& visit) const {
  const std::uint64_t now_ms = rte_rdtsc() / (rte_get_tsc_hz() / 1000);
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const std::uint64_t now_ns =
      static_cast<std::uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<std::uint64_t>(now.tv_nsec);
  for (const auto& [which, sa] : installed_) {
    const auto& record = sa.record();
    const auto& counters = sa.counters();
    api::sa_status status;
    status.tunnel = record.tunnel;
    status.child = record.child;
    status.interface = record.interface;
    status.direction = record.direction;
    status.suite = record.suite;
    status.esn = record.esn;
    status.udp_encapsulation = record.udp_encapsulation;
    status.mode = record.mode;
    status.tfc_padding = record.tfc_padding;
    status.outer = record.outer;
    status.soft = record.soft;
    status.hard = record.hard;
    status.softened = sa.lifetime().softened();
    status.expired = sa.lifetime().expired();
    status.local_port = record.local_port;
    status.remote_port = record.remote_port;
    status.worker = sa.out != nullptr ? sa.out->owner : sa.in->owner;
    status.spi = record.spi;
    status.replay_window = record.replay_window;
    status.order = record.order;
    status.local = record.local;
    status.remote = record.remote;
    status.protocol = record.protocol;
    status.local_ports = record.local_ports;
    status.remote_ports = record.remote_ports;
    status.local_count = record.local_count;
    status.remote_count = record.remote_count;
    status.local_ranges = record.local_ranges;
    status.remote_ranges = record.remote_ranges;
    status.dscp = record.dscp;
    const auto& engine = (sa.out != nullptr ? sa.out->key : sa.in->key)->engine;
    status.engine = api::text<16>(engine.name());
    status.installed_unix_ns = sa.origin().installed_unix_ns;
    status.installed_seconds = (monotonic_ms() - sa.origin().installed_ms) / 1000;
    if (const auto used = counters.last_used_ms.get(); used != 0)
      status.last_used_unix_ns = now_ns - (now_ms > used ? now_ms - used : 0) * 1'000'000;
    status.packets = counters.packets.get();
    status.bytes = counters.bytes.get();
    status.sequence = sa.out != nullptr ? sa.out->sequence.get() : sa.in->highest_accepted();
    status.replayed = counters.replayed.get();
    status.integrity_failed = counters.integrity_failed.get();
    status.selector_mismatch = counters.selector_mismatch.get();
    status.misdirected = counters.misdirected.get();
    status.malformed = counters.malformed.get();
    status.dummies = counters.dummies.get();
    status.after_expiry = counters.after_expiry.get();
    status.other_drops = counters.other_drops.get();
    if (sa.out != nullptr) {
      const auto& path = sa.out->learned_mtu;
      status.path_mtu = path.reported(now_ms);
      if (status.path_mtu != 0) status.path_mtu_age_ms = path.age_ms(now_ms);
      status.path_mtu_learned = sa.out->mtu_learned.load(std::memory_order_relaxed);
      status.path_mtu_refused = sa.out->mtu_refused.load(std::memory_order_relaxed);
    }
    visit(status);
  }
}

}  // namespace trunkgate
