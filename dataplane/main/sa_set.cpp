#include "dataplane/main/sa_set.hpp"

#include <algorithm>
#include <set>

#include "dataplane/core/secret.hpp"

namespace trunkgate {
namespace {

bool is_negotiated(const api::sa_record& record) { return record.keying == api::sa_keying::negotiated; }

std::unexpected<error> refuse(const api::sa_record& record, const std::string& why) {
  return failure("tunnel " + std::string(record.tunnel.view()) + ": " + why);
}

}  // namespace

sa_set::~sa_set() {
  for (auto& port : tables_.ports) delete port.by_worker.exchange(nullptr);
}

sa_set::change::~change() {
  // Numbers that an earlier process may have used stay: the same SA may be asked for again.
  for (const auto& sa : made)
    if (sa.present() && is_negotiated(sa.record()) && sa.origin().fresh_slot) store_.give_back(sa.origin().identity);
}

result<sa_set::entry> sa_set::build(api::sa_record& record) {
  const auto owner =
      static_cast<std::uint16_t>((record.worker == api::any_worker ? next_owner_++ : record.worker) % workers_);
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
  made.origin().age = ++youngest_;
  return made;
}

const sa_set::key* sa_set::find_key(const api::sa_record& record) const {
  if (record.pair != 0) {
    const auto pair = pairs_.find(record.pair);
    if (pair == pairs_.end()) return nullptr;
    const auto& side = record.direction == api::sa_direction::outbound ? pair->second.out : pair->second.in;
    return side ? &*side : nullptr;
  }
  const auto found = installed_.find(key_of(record));
  return found == installed_.end() ? nullptr : &found->first;
}

result<std::unique_ptr<sa_set::change>> sa_set::prepare(const wanted& batch) {
  auto prepared = std::make_unique<change>(store_);
  for (auto& record : batch.sas)
    if (auto done = stage(*prepared, record, batch.removed); !done) return std::unexpected(done.error());
  for (const auto& move : batch.moved)
    if (auto done = stage(*prepared, move); !done) return std::unexpected(done.error());
  for (const auto& record : batch.removed)
    if (const auto* which = find_key(record); which != nullptr && !prepared->named.contains(*which))
      prepared->gone.push_back(*which);
  if (batch.replaced_by == nullptr) return prepared;
  for (const auto& [which, sa] : installed_) {
    const auto interface = sa.record().interface;
    const bool stays = is_negotiated(sa.record()) &&
                       (interface.view().empty() || std::ranges::any_of(*batch.replaced_by, [&](const auto& port) {
                          return port.port == interface;
                        }));
    if (!stays && !prepared->named.contains(which)) prepared->gone.push_back(which);
  }
  return prepared;
}

result<void> sa_set::stage(change& prepared, api::sa_record& record, const std::vector<api::sa_record>& removed) {
  if (!record.interface.view().empty() && port_of_(record.interface.view()) == no_port)
    return refuse(record, "there is no interface " + std::string(record.interface.view()));
  if (is_negotiated(record) && traps_ != nullptr) record.order = traps_->order_of(record).value_or(record.order);
  const key which = key_of(record);
  if (!prepared.named.insert(which).second)
    return refuse(record, "SPI " + std::to_string(record.spi) + " is used twice");
  const key* old_key = find_key(record);
  if (old_key == nullptr && installed_.contains(which)) old_key = &installed_.find(which)->first;
  if (old_key != nullptr) {
    const auto& old = installed_.at(*old_key);
    if (old.origin().identity == identify(record)) {
      prepared.named.insert(*old_key);
      // Where nothing differs there is nothing to do: its traffic sees nothing.
      wipe(record.key.data(), record.key.size());
      if (record != old.record()) prepared.reshaped.push_back({*old_key, record});
      return {};
    }
    // An SPI of ours is one pair's; a peer that begins again may have chosen one that it had before.
    const bool leaves = std::ranges::any_of(removed, [&](const auto& r) {
      const auto* gone = find_key(r);
      return gone != nullptr && *gone == *old_key;
    });
    if (is_negotiated(record) && !leaves) return refuse(record, "SPI " + std::to_string(record.spi) + " is in use");
    prepared.gone.push_back(*old_key);
  }
  auto made = build(record);
  if (!made) return std::unexpected(made.error());
  prepared.made.push_back(std::move(*made));
  return {};
}

result<void> sa_set::stage(change& prepared, const api::move_record& move) const {
  const auto pair = pairs_.find(move.pair);
  const bool outbound = move.direction == api::sa_direction::outbound;
  if (pair == pairs_.end() || !(outbound ? pair->second.out : pair->second.in))
    return failure("SPI " + std::to_string(move.pair) + ": no such SA is there to be moved");
  const key old_key = outbound ? *pair->second.out : *pair->second.in;
  if (prepared.named.contains(old_key))
    return failure("SPI " + std::to_string(move.pair) + ": is changed twice in one batch");
  auto record = installed_.at(old_key).record();
  record.local = move.local;
  record.remote = move.remote;
  record.local_port = move.local_port;
  record.remote_port = move.remote_port;
  record.udp_encapsulation = move.udp_encapsulation;
  record.follow_peer = move.follow_peer;
  const key which = key_of(record);
  if (which != old_key && (installed_.contains(which) || prepared.named.contains(which)))
    return refuse(record,
                  "the peer has another SA with SPI " + std::to_string(record.spi) + " where this one moves to");
  prepared.named.insert(old_key);
  prepared.named.insert(which);
  if (record != installed_.at(old_key).record()) prepared.reshaped.push_back({old_key, record});
  return {};
}

void sa_set::commit(change& prepared) {
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
  reshape(prepared.reshaped);
}

void sa_set::reorder(const entry& sa, std::uint32_t order) {
  auto& record = sa.out != nullptr ? sa.out->record : sa.in->record;
  const auto before = record;
  record.order = order;  // no worker reads it
  if (sa.out == nullptr || !record.interface.view().empty()) return;
  tables_.selectors->add(record, sa.out.get(), {.age = sa.origin().age, .worker = record.worker});
  tables_.selectors->remove(before, sa.out.get());
}

void sa_set::follow_orders(const trap_set::order_map& orders, bool down) {
  for (const auto& [which, sa] : installed_) {
    const auto& record = sa.record();
    if (!is_negotiated(record)) continue;
    const auto place = orders.find(trap_set::key_of(record));
    if (place == orders.end() || place->second == record.order) continue;
    if ((place->second < record.order) == down) reorder(sa, place->second);
  }
  tables_.generation.fetch_add(1, std::memory_order_release);
}

// In place, so that key, numbers, replay window and counters are what they were. While it changes no worker may know
// it: what comes then is dropped.
void sa_set::reshape(std::vector<reshaping>& all) {
  if (all.empty()) return;
  std::vector<entry> left;
  for (const auto& one : all) take_out(one.which, left);
  tables_.generation.fetch_add(1, std::memory_order_release);
  tables_.rcu.retire([] {});
  tables_.rcu.wait();  // from here on no worker knows them
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto& sa = left[i];
    if (const auto found = interfaces_.find(sa.record().interface.view()); found != interfaces_.end()) {
      // It is not gone: its traffic goes on.
      auto& sas = found->second;
      (sa.out != nullptr ? sas.tx_packets : sas.rx_packets) -= sa.counters().packets.get();
      (sa.out != nullptr ? sas.tx_bytes : sas.rx_bytes) -= sa.counters().bytes.get();
    }
    if (sa.out != nullptr)
      trunkgate::reshape(*sa.out, all[i].record);
    else
      trunkgate::reshape(*sa.in, all[i].record);
    insert(std::move(sa));
  }
  tables_.generation.fetch_add(1, std::memory_order_release);
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
      if (is_negotiated(gone->record())) store.give_back(gone->origin().identity);
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
    const auto older = [&](const auto* sa) { return sa->origin.age < made.origin().age; };
    if (made.out != nullptr)
      sas.out.insert(std::ranges::partition_point(sas.out, older), made.out.get());
    else
      sas.in.push_back(made.in.get());
    bind(interface, sas);
  } else if (made.out != nullptr) {
    tables_.selectors->add(made.out->record, made.out.get(),
                           {.age = made.origin().age, .worker = made.out->record.worker});
  }
  if (made.in != nullptr) tables_.inbound.insert(made.in->record.spi, made.in.get());
  if (made.out != nullptr) tables_.outbound.insert({made.out->record.remote, made.out->record.spi}, made.out.get());
  schedule(which, made, true);
  note_pair(which, made.record(), true);
  installed_[which] = std::move(made);
}

void sa_set::take_out(const key& which, std::vector<entry>& left) {
  const auto found = installed_.find(which);
  if (found == installed_.end()) return;
  auto old = std::move(found->second);
  installed_.erase(found);
  if (names_ports(old.record())) --tables_.sas_naming_ports;
  schedule(which, old, false);
  note_pair(which, old.record(), false);
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

void sa_set::note_pair(const key& which, const api::sa_record& record, bool there) {
  if (record.pair == 0) return;
  auto& pair = pairs_[record.pair];
  (record.direction == api::sa_direction::outbound ? pair.out : pair.in) = there ? std::optional(which) : std::nullopt;
  if (!pair.in && !pair.out) pairs_.erase(record.pair);
}

void sa_set::bind(std::string_view interface, const interface_sas& sas) {
  const auto port = port_of_(interface);
  if (port == no_port) return;
  auto& shown = tables_.ports[port];
  // The youngest for any worker, or else the youngest.
  outbound_sa* best = sas.out.empty() ? nullptr : sas.out.back();
  std::unique_ptr<worker_sas> by_worker;
  for (auto* sa : sas.out) {
    if (sa->record.worker == api::any_worker) {
      best = sa;
    } else if (sa->record.worker < api::worker_limit) {
      if (by_worker == nullptr) by_worker = std::make_unique<worker_sas>();
      (*by_worker)[sa->record.worker] = sa;
    }
  }
  shown.sa.store(best, std::memory_order_release);
  const auto* before = shown.by_worker.exchange(by_worker.release(), std::memory_order_acq_rel);
  if (before != nullptr) tables_.rcu.retire(std::unique_ptr<const worker_sas>(before));
  for (auto* sa : sas.in) sa->port.store(port, std::memory_order_relaxed);
}

void sa_set::rebind_interfaces() {
  for (const auto& [name, sas] : interfaces_) bind(name, sas);
  tables_.generation.fetch_add(1, std::memory_order_release);
}

}  // namespace trunkgate
