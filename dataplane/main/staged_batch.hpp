// The wanted state as a client's batch spells it out, before any of it is applied.
#pragma once

#include <deque>
#include <optional>
#include <vector>

#include "dataplane/api/messages.hpp"
#include "dataplane/core/secret.hpp"

namespace trunkgate {

struct staged_batch {
  bool replace = false;
  std::optional<api::gateway_record> gateway;
  std::vector<api::port_record> ports;
  std::vector<api::route_record> routes;
  std::vector<api::policy_record> policies;
  std::deque<api::sa_record> sas;  // with keys; a deque never moves what it holds, so no copy of a key stays behind
  std::vector<api::sa_record> removed;  // which: as for message_type::remove_sa
  std::vector<api::move_record> moved;
  std::vector<api::trap_record> traps;

  staged_batch() = default;
  staged_batch(const staged_batch&) = delete;
  staged_batch& operator=(const staged_batch&) = delete;
  ~staged_batch() { wipe_keys(); }

  void wipe_keys() {
    for (auto& sa : sas) wipe(sa.key.data(), sa.key.size());
  }
};

}  // namespace trunkgate
