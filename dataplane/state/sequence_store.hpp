// Sequence numbers and IV counters that outlive the process: reserved ahead in a memory file that the supervisor holds.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "dataplane/core/result.hpp"

namespace trunkgate {

// Identifies an SA direction and its key without giving the key away: a truncated SHA-256 over both.
using sequence_identity = std::array<std::uint8_t, 16>;

// One SA's record in the shared memory; written by the worker that owns the SA, with plain stores.
struct alignas(64) sequence_slot {
  sequence_identity identity{};
  std::atomic<std::uint32_t> used{0};      // a slot_life, last written
  std::atomic<std::uint32_t> epoch{0};     // of the IVs: raised each time a process takes the slot over
  std::atomic<std::uint64_t> reserved{0};  // outbound: no number above this was ever sent
  std::atomic<std::uint64_t> highest_accepted{
      0};  // inbound: at and below this everything counts as seen after a restart
};
static_assert(sizeof(sequence_slot) == 64);

enum class slot_life : std::uint32_t {
  none,        // the slot is free
  for_ever,    // of a key by hand, which may come back
  negotiated,  // of a key that does not come back once its SA is gone
};

class sequence_store {
 public:
  // Maps the memory file that the supervisor passed (core/sequence_file.hpp) and sets it up if it is still empty, or
  // makes a private one that dies with the process if there is none or it is not valid (other magic, boot id, size).
  [[nodiscard]] static result<std::unique_ptr<sequence_store>> open();
  virtual ~sequence_store() = default;

  struct taken {
    sequence_slot* slot;
    bool resumed;  // the slot was there: its numbers are those of an earlier process
  };
  // Finds or makes the SA's slot. A key put in by hand may come back, and its numbers with it: such a slot is never
  // given up. Control thread. Fails when all slots are taken.
  [[nodiscard]] virtual result<taken> take(const sequence_identity& identity, slot_life life = slot_life::for_ever) = 0;
  // For each take() of a key that never comes back, when the SA is gone from every worker: the last one frees the slot.
  virtual void give_back(const sequence_identity& identity) = 0;
  // Frees the slots of negotiated keys that an earlier process left and nobody has taken since. From then on such a key
  // must not be installed again. How many those were.
  virtual std::size_t give_back_orphans() = 0;
  [[nodiscard]] virtual bool survives() const = 0;  // held by a supervisor
};

}  // namespace trunkgate
