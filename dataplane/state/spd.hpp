// The security policy database: the operator's ordered rules, then the selectors of the installed SAs and of the
// children that have none, then discard.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "dataplane/api/messages.hpp"
#include "dataplane/core/counter.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/state/flow_key.hpp"

namespace trunkgate {

class rcu_domain;
struct outbound_sa;
struct trap;

// The operator's rules, compiled by rte_acl. Immutable once built: a change builds another and swaps.
class operator_rules {
 public:
  struct rule {
    api::policy_record record;
    std::uint16_t from, to;  // port index, box_index, or no_port for any
    counter* flows;          // one per rule; written by any worker's miss path through note_match()
  };
  // `rules` in order, first match wins. Fails with the rule's name if rte_acl can't take it.
  [[nodiscard]] static result<std::unique_ptr<operator_rules>> build(std::span<const rule> rules);
  virtual ~operator_rules() = default;
  // Whether some rule asks for ports or ICMP types, so that fragments have to be followed (RFC 4301 7.4).
  [[nodiscard]] virtual bool names_ports() const noexcept = 0;
  // The first rule that matches, or nullptr. `egress`: port index the destination's route leads to, box_index, or
  // no_port. Worker threads; no allocation. Rules with ports match only if key.has_ports.
  [[nodiscard]] virtual const rule* match(const flow_key& key, std::uint16_t egress) const noexcept = 0;
};

// What the selectors say of a flow: it is protected by `sa`; or it must be, and nothing does (`demanded`); or neither.
struct protection {
  outbound_sa* sa = nullptr;
  trap* demanded = nullptr;
  [[nodiscard]] bool needed() const noexcept { return sa != nullptr || demanded != nullptr; }
  friend bool operator==(const protection&, const protection&) = default;
};

// Which of several SAs of one order takes a packet.
struct sa_rank {
  std::uint64_t age = 0;                   // of two the one with the higher number; 0: the youngest of all
  std::uint16_t worker = api::any_worker;  // the worker whose packets it takes before others (RFC 9611)
};

// Selectors of outbound SAs and traps: tuple space search, one hash per combination of prefix lengths and wildcards, so
// that adding one among 100,000 touches one bucket per pair of ranges. Lock-free for readers, one writer.
class selector_table {
 public:
  [[nodiscard]] static std::unique_ptr<selector_table> make(rcu_domain& rcu);
  virtual ~selector_table() = default;
  // Every pair of a local and a remote range of the record leads to `sa`. The lower record.order wins; among equals
  // the one for the worker that asks, then one for any, then any other; among those the youngest (a rekeyed SA replaces
  // its elder). A trap comes behind all SAs of its order.
  virtual void add(const api::selector_record& record, outbound_sa* sa, const sa_rank& rank = {}) = 0;
  virtual void add(const api::selector_record& record, trap* demanded) = 0;
  virtual void remove(const api::selector_record& record, const outbound_sa* sa) = 0;
  virtual void remove(const api::selector_record& record, const trap* demanded) = 0;
  // What a packet from local `key.source` to remote `key.destination` needs. Worker threads.
  [[nodiscard]] virtual protection find(const flow_key& key, std::uint16_t worker = api::any_worker) const noexcept = 0;
  // The SA that protects it, or nullptr.
  [[nodiscard]] outbound_sa* match(const flow_key& key) const noexcept { return find(key).sa; }
  [[nodiscard]] virtual std::size_t size() const = 0;
};

// Whether the SA or trap is for some ports or ICMP types only.
[[nodiscard]] inline bool names_ports(const api::selector_record& record) {
  return !record.local_ports.any() || !record.remote_ports.any();
}

// Whether the inner packet `key`, which came out of the SA, is inside its selectors: source remote, destination local
// (RFC 4301 5.2 step 4). The DSCP does not count: a sender may choose among SAs by it (4.1). Worker threads.
[[nodiscard]] bool selectors_allow(const api::selector_record& record, const flow_key& key) noexcept;

}  // namespace trunkgate
