#include "dataplane/main/sa_set.hpp"

#include <algorithm>
#include <set>

#include <rte_cycles.h>

#include "dataplane/core/secret.hpp"

namespace trunkgate {
namespace {

bool same_but_for_key(api::sa_record a, const api::sa_record& b) {
  wipe(a.key.data(), a.key.size());
  return a == b;
}

}  // namespace

sa_set::~sa_set() = default;

sa_set::change::~change() {
  for (auto& record : reshaped) wipe(record.key.data(), record.key.size());
  // Numbers that an earlier process may have used stay: the same SA may be asked for again.
  for (const auto& sa : made)
    if (sa.present() && sa.record().keys_return == 0 && sa.origin().fresh_slot) store_.give_back(sa.origin().identity);
}

result<sa_set::entry> sa_set::build(api::sa_record& record) {
  const auto owner = static_cast<std::uint16_t>(next_owner_++ % workers_);
  entry made;
  if (record.direction == api::sa_direction::outbound) {
    auto sa = make_outbound_sa(record, engines_, store_, owner);
    if (!sa) return std::unexpected(sa.error());
    made.out = std::move(*sa);
  } else {
    auto sa = make_inbound_sa(record, engines_, store_, owner);
    if (!sa) return std::unexpected(sa.error());
    made.in = std::move(*sa);
  }
  return made;
}

result<std::unique_ptr<sa_set::change>> sa_set::prepare(std::deque<api::sa_record>& wanted,
                                                        const std::vector<api::sa_record>& removed, bool replace) {
  auto prepared = std::make_unique<change>(store_);
  std::set<key> named;
  for (auto& record : wanted) {
    if (!record.interface.view().empty() && port_of_(record.interface.view()) == no_port)
      return failure("tunnel " + std::string(record.tunnel.view()) + ": there is no interface " +
                     std::string(record.interface.view()));
    const key which = key_of(record);
    if (!named.insert(which).second)
      return failure("tunnel " + std::string(record.tunnel.view()) + ": SPI " + std::to_string(record.spi) +
                     " is used twice");
    if (const auto old = installed_.find(which); old != installed_.end()) {
      if (old->second.origin().identity == identify(record)) {
        if (same_but_for_key(record, old->second.record())) {
          wipe(record.key.data(), record.key.size());  // nothing to do: its traffic sees nothing
          continue;
        }
        prepared->reshaped.push_back(record);
        wipe(record.key.data(), record.key.size());
        continue;
      }
      prepared->gone.push_back(which);
    }
    auto made = build(record);
    if (!made) return std::unexpected(made.error());
    prepared->made.push_back(std::move(*made));
  }
  for (const auto& record : removed)
    if (const key which = key_of(record); installed_.contains(which) && !named.contains(which))
      prepared->gone.push_back(which);
  if (replace)
    for (const auto& [which, sa] : installed_)
      if (!named.contains(which)) prepared->gone.push_back(which);
  return prepared;
}

result<void> sa_set::commit(change& prepared) {
  result<void> done;
  std::set<key> fresh;
  std::vector<entry> left;
  for (auto& made : prepared.made) {
    // The same SPI with another key has to leave first; every other elder stays until its heir is in.
    const key which = key_of(made.record());
    take_out(which, left);
    fresh.insert(which);
    insert(std::move(made));
  }
  for (const auto& which : prepared.gone)
    if (!fresh.contains(which)) take_out(which, left);
  retire(left);
  for (auto& record : prepared.reshaped)
    if (auto changed = reshape(record); !changed) done = failure("this SA is lost: " + changed.error().reason);
  return done;
}

// The new record continues the old one's numbers: so the old one must have used its last before that.
result<void> sa_set::reshape(api::sa_record& record) {
  std::vector<entry> left;
  take_out(key_of(record), left);
  tables_.generation.fetch_add(1, std::memory_order_release);
  tables_.rcu.retire([] {});
  tables_.rcu.wait();  // from here on no worker knows it
  auto made = build(record);
  if (!made) return std::unexpected(made.error());
  const auto& old = left.front();
  continue_life(*made, old);
  if (const auto found = interfaces_.find(record.interface.view()); found != interfaces_.end()) {
    // It is not gone: its traffic goes on in the new one.
    auto& sas = found->second;
    (old.out != nullptr ? sas.tx_packets : sas.rx_packets) -= old.counters().packets.get();
    (old.out != nullptr ? sas.tx_bytes : sas.rx_bytes) -= old.counters().bytes.get();
  }
  insert(std::move(*made));
  // Both had taken the numbers; a slot that two SAs use is not freed.
  if (old.record().keys_return == 0) store_.give_back(old.origin().identity);
  return {};
}

void sa_set::continue_life(const entry& made, const entry& old) {
  made.origin().installed_ms = old.origin().installed_ms;
  made.origin().installed_unix_ns = old.origin().installed_unix_ns;
  made.counters().packets.set(old.counters().packets.get());
  made.counters().bytes.set(old.counters().bytes.get());
  (void)made.lifetime().judge(made.record(), old.counters().packets.get(), old.counters().bytes.get());
}

void sa_set::schedule(const key& which, const entry& sa, bool add) {
  for (const std::uint64_t seconds : {sa.record().soft.seconds, sa.record().hard.seconds}) {
    if (seconds == 0) continue;
    const std::pair due{sa.origin().installed_ms + seconds * 1000, which};
    if (add)
      deadlines_.insert(due);
    else
      deadlines_.erase(due);
  }
}

void sa_set::expire(std::uint64_t now_ms) {
  while (!deadlines_.empty() && deadlines_.begin()->first <= now_ms) {
    const auto& sa = installed_.at(deadlines_.begin()->second);
    deadlines_.erase(deadlines_.begin());
    const auto& record = sa.record();
    const std::uint64_t age_ms = now_ms - sa.origin().installed_ms;
    const auto over = [age_ms](std::uint64_t seconds) { return seconds != 0 && age_ms >= seconds * 1000; };
    if (over(record.soft.seconds) && sa.lifetime().soften(api::sa_limit::seconds))
      tell_(limit_event(api::event_kind::soft_expire, record, api::sa_limit::seconds));
    if (over(record.hard.seconds) && sa.lifetime().expire(api::sa_limit::seconds))
      tell_(limit_event(api::event_kind::hard_expire, record, api::sa_limit::seconds));
  }
}

// A worker believes a pointer to an SA while the generation is the one in which it found it. So the generation rises
// first, and the grace period begins after that.
void sa_set::retire(std::vector<entry>& left) {
  tables_.generation.fetch_add(1, std::memory_order_release);
  for (auto& sa : left)
    tables_.rcu.retire([&store = store_, gone = std::make_shared<entry>(std::move(sa))] {
      if (gone->record().keys_return == 0) store.give_back(gone->origin().identity);
      *gone = {};
    });
  left.clear();
}

void sa_set::insert(entry made) {
  if (names_ports(made.record())) ++tables_.sas_naming_ports;
  const key which = key_of(made.record());
  // Where routes lead into the SA its selectors, any-any, must not: they would take everything.
  if (const auto interface = made.record().interface.view(); !interface.empty()) {
    auto& sas = interfaces_[std::string(interface)];
    if (made.out != nullptr)
      sas.out.push_back(made.out.get());
    else
      sas.in.push_back(made.in.get());
    bind(interface, sas);
  } else if (made.out != nullptr) {
    tables_.selectors->add(made.out->record, made.out.get());
  }
  if (made.in != nullptr) tables_.inbound.insert(made.in->record.spi, made.in.get());
  if (made.out != nullptr) tables_.outbound.insert({made.out->record.remote, made.out->record.spi}, made.out.get());
  schedule(which, made, true);
  installed_[which] = std::move(made);
}

void sa_set::take_out(const key& which, std::vector<entry>& left) {
  const auto found = installed_.find(which);
  if (found == installed_.end()) return;
  auto old = std::move(found->second);
  installed_.erase(found);
  if (names_ports(old.record())) --tables_.sas_naming_ports;
  schedule(which, old, false);
  if (const auto interface = old.record().interface.view(); !interface.empty()) {
    auto& sas = interfaces_.find(interface)->second;
    const auto& counters = old.counters();
    (old.out != nullptr ? sas.tx_packets : sas.rx_packets) += counters.packets.get();
    (old.out != nullptr ? sas.tx_bytes : sas.rx_bytes) += counters.bytes.get();
    std::erase(sas.out, old.out.get());
    std::erase(sas.in, old.in.get());
    bind(interface, sas);
  } else if (old.out != nullptr) {
    tables_.selectors->remove(old.out->record, old.out.get());
  }
  if (old.in != nullptr) tables_.inbound.erase(old.in->record.spi);
  if (old.out != nullptr) tables_.outbound.erase({old.out->record.remote, old.out->record.spi});
  left.push_back(std::move(old));
}

void sa_set::each(const std::function<void(const api::sa_record&)>& visit) const {
  for (const auto& [which, sa] : installed_) visit(sa.record());
}

const api::sa_record* sa_set::find(api::sa_direction direction, std::uint32_t spi) const {
  const auto found = installed_.lower_bound({direction, spi, ip_address{}});  // any peer's
  if (found == installed_.end() || std::get<0>(found->first) != direction || std::get<1>(found->first) != spi)
    return nullptr;
  return &found->second.record();
}

void sa_set::bind(std::string_view interface, const interface_sas& sas) {
  const auto port = port_of_(interface);
  if (port == no_port) return;
  tables_.ports[port].sa.store(sas.out.empty() ? nullptr : sas.out.back(), std::memory_order_release);
  for (auto* sa : sas.in) sa->port.store(port, std::memory_order_relaxed);
}

void sa_set::rebind_interfaces() {
  for (const auto& [name, sas] : interfaces_) bind(name, sas);
  tables_.generation.fetch_add(1, std::memory_order_release);
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
    status.sequence = counters.last_sequence.get();
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
      status.path_mtu_learned = path.learned();
      status.path_mtu_refused = path.refused();
    }
    visit(status);
  }
}

}  // namespace trunkgate
