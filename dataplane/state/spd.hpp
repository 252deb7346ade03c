// The security policy database: the operator's ordered rules, then the selectors of the installed SAs, then discard.
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

// Selectors of outbound SAs: tuple space search, one hash per combination of prefix lengths and wildcards, so that
// adding one among 100,000 touches one bucket per pair of ranges. Lock-free for readers, one writer.
class selector_table {
 public:
  [[nodiscard]] static std::unique_ptr<selector_table> make(rcu_domain& rcu);
  virtual ~selector_table() = default;
  // Every pair of a local and a remote range of the record leads to `sa`. The lower record.order wins; among equals
  // the one added last (a rekeyed SA replaces its elder).
  virtual void add(const api::sa_record& record, outbound_sa* sa) = 0;
  virtual void remove(const api::sa_record& record, const outbound_sa* sa) = 0;
  // The SA that protects a packet from local `key.source` to remote `key.destination`, or nullptr. Worker threads.
  [[nodiscard]] virtual outbound_sa* match(const flow_key& key) const noexcept = 0;
  [[nodiscard]] virtual std::size_t size() const = 0;
};

// Whether the SA is for some ports or ICMP types only.
[[nodiscard]] inline bool names_ports(const api::sa_record& record) {
  return !record.local_ports.any() || !record.remote_ports.any();
}

// Whether the inner packet `key`, which came out of the SA, is inside its selectors: source remote, destination local
// (RFC 4301 5.2 step 4). The DSCP does not count: a sender may choose among SAs by it (4.1). Worker threads.
[[nodiscard]] bool selectors_allow(const api::sa_record& record, const flow_key& key) noexcept;

}  // namespace trunkgate
