#include "dataplane/main/trap_set.hpp"

namespace trunkgate {

trap_set::~trap_set() = default;

result<trap_set::order_map> trap_set::orders_of(const std::vector<api::trap_record>& wanted) {
  order_map orders;
  for (const auto& record : wanted)
    if (!orders.emplace(key_of(record), record.order).second)
      return failure("tunnel " + std::string(record.tunnel.view()) + ": child " + std::string(record.child.view()) +
                     " is there twice");
  return orders;
}

void trap_set::replace(const std::vector<api::trap_record>& wanted) {
  std::map<child_key, std::unique_ptr<trap>> next;
  for (const auto& record : wanted) {
    auto& place = next[key_of(record)];
    const auto old = installed_.find(key_of(record));
    if (old != installed_.end() && old->second->record == record) {
      place = std::move(old->second);
      installed_.erase(old);
    } else {
      place = std::make_unique<trap>(record);
      insert(*place);
    }
  }
  for (auto& [which, old] : installed_) take_out(*old);
  installed_.swap(next);
  rebind_interfaces();
  // Flow caches hold pointers to traps while the generation is the one in which they were found (decision 5).
  tables_.generation.fetch_add(1, std::memory_order_release);
  for (auto& [which, old] : next) tables_.rcu.retire(std::move(old));
}

void trap_set::insert(trap& made) {
  if (names_ports(made.record)) ++tables_.sas_naming_ports;
  if (made.record.interface.view().empty()) tables_.selectors->add(made.record, &made);
}

void trap_set::take_out(trap& old) {
  if (names_ports(old.record)) --tables_.sas_naming_ports;
  if (old.record.interface.view().empty()) tables_.selectors->remove(old.record, &old);
}

void trap_set::rebind_interfaces() {
  std::map<std::uint16_t, trap*> first;
  for (const auto& [which, child] : installed_) {
    const auto port = port_of_(child->record.interface.view());
    if (port == no_port) continue;
    auto& place = first[port];
    if (place == nullptr || child->record.order < place->record.order) place = child.get();
  }
  for (std::uint16_t port = device_port_limit; port < port_limit; ++port) {
    const auto found = first.find(port);
    tables_.ports[port].demanded.store(found == first.end() ? nullptr : found->second, std::memory_order_release);
  }
  tables_.generation.fetch_add(1, std::memory_order_release);
}

std::optional<std::uint32_t> trap_set::order_of(const api::sa_record& record) const {
  const auto found = installed_.find(key_of(record));
  if (found == installed_.end()) return std::nullopt;
  return found->second->record.order;
}

}  // namespace trunkgate
