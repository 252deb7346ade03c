// The installed SAs: who they are, and how they get into and out of the workers' tables.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <tuple>
#include <unordered_map>
#include <vector>

#include "dataplane/core/secret.hpp"
#include "dataplane/main/trap_set.hpp"
#include "dataplane/state/tables.hpp"

namespace trunkgate {

// Control thread.
class sa_set {
 public:
  // `port_of`: the index of a tunnel's interface by its name, or no_port.
  using port_finder = std::function<std::uint16_t(std::string_view)>;
  using tell_function = std::function<void(const api::event&)>;
  sa_set(forwarding_tables& tables, const crypto_engines& engines, sequence_store& store, std::uint16_t workers,
         port_finder port_of, tell_function tell, const trap_set* traps = nullptr)
      : tables_(tables),
        engines_(engines),
        store_(store),
        workers_(workers),
        port_of_(std::move(port_of)),
        tell_(std::move(tell)),
        traps_(traps) {}
  ~sa_set();  // workers are gone by now

  struct change;  // prepared, not yet visible
  // What a batch asks for.
  struct wanted {
    std::deque<api::sa_record>& sas;
    const std::vector<api::sa_record>& removed;
    const std::vector<api::move_record>& moved;
    // The whole wanted state of what is put in by hand. Negotiated SAs stay, but for those whose interface is none of
    // these ports any more: what came out of them would come from nowhere.
    const std::vector<api::port_record>* replaced_by = nullptr;
  };
  // Builds what is added or changed (the keys are wiped). Nothing is visible before commit(). Fails with the SA's
  // tunnel and what is wrong.
  [[nodiscard]] result<std::unique_ptr<change>> prepare(const wanted& batch);
  void commit(change& prepared);
  // Negotiated SAs stand where their child stands. First `down`, before the traps change, then not: so none ever stands
  // behind its child's trap.
  void follow_orders(const trap_set::order_map& orders, bool down);
  // Tunnels' interfaces were opened anew: their SAs belong to them again.
  void rebind_interfaces();
  void report(const std::function<void(const api::sa_status&)>& visit) const;
  // What was asked for, without the keys.
  void each(const std::function<void(const api::sa_record&)>& visit) const;
  [[nodiscard]] const api::sa_record* find(api::sa_direction direction, std::uint32_t spi) const;
  // What the SAs of a tunnel's interface, by its name, carry and have carried.
  void add_traffic(std::string_view interface, api::port_status& status) const;
  // Of the pairs, or of all of them if none is named, outbound and inbound; those that are not there are left out.
  void use(std::span<const std::uint32_t> pairs, const std::function<void(const api::sa_use&)>& visit) const;
  // SAs whose lifetime in seconds has passed: told of, and stopped. `now_ms`: as monotonic_ms().
  void expire(std::uint64_t now_ms);

 private:
  // SPI, and the peer of an outbound SA: it was the peer who chose the SPI, and another peer may choose the same.
  using key = std::tuple<api::sa_direction, std::uint32_t, ip_address>;
  [[nodiscard]] static key key_of(const api::sa_record& record) {
    return {record.direction, record.spi,
            record.direction == api::sa_direction::outbound ? record.remote : ip_address{}};
  }
  struct entry {
    std::unique_ptr<outbound_sa> out;
    std::unique_ptr<inbound_sa> in;
    [[nodiscard]] bool present() const { return out != nullptr || in != nullptr; }
    [[nodiscard]] const api::sa_record& record() const { return out != nullptr ? out->record : in->record; }
    [[nodiscard]] sa_origin& origin() const { return out != nullptr ? out->origin : in->origin; }
    [[nodiscard]] sa_lifetime& lifetime() const { return out != nullptr ? out->lifetime : in->lifetime; }
    [[nodiscard]] sa_counters& counters() const { return out != nullptr ? out->counters : in->counters; }
  };
  // An installed SA that becomes what the record says.
  struct reshaping {
    key which;
    api::sa_record record;  // without its key
  };
  [[nodiscard]] result<entry> build(api::sa_record& record);
  [[nodiscard]] result<void> stage(change& prepared, api::sa_record& record,
                                   const std::vector<api::sa_record>& removed);
  [[nodiscard]] result<void> stage(change& prepared, const api::move_record& move) const;
  // The installed SA that the record is about, by pair or else by SPI.
  [[nodiscard]] const key* find_key(const api::sa_record& record) const;
  void insert(entry made);
  void note_pair(const key& which, const api::sa_record& record, bool there);
  // Out of the tables; it goes on living in `left`.
  void take_out(const key& which, std::vector<entry>& left);
  // Frees them after the grace period, and the numbers of those whose keys never come back.
  void retire(std::vector<entry>& left);
  // The SAs of one tunnel's interface, in the order in which they came; the last outbound one has the traffic.
  struct interface_sas {
    std::vector<outbound_sa*> out;
    std::vector<inbound_sa*> in;
    std::uint64_t tx_packets = 0, tx_bytes = 0, rx_packets = 0, rx_bytes = 0;  // of SAs that are gone
  };
  void bind(std::string_view interface, const interface_sas& sas);
  // Changes what may be changed of SAs: anything but who they are.
  void reshape(std::vector<reshaping>& all);
  void reorder(const entry& sa, std::uint32_t order);
  // Notes (or forgets) when the SA's seconds will be over.
  void schedule(const key& which, const entry& sa, bool add);

  forwarding_tables& tables_;
  const crypto_engines& engines_;
  sequence_store& store_;
  std::uint16_t workers_;
  port_finder port_of_;
  std::uint16_t next_owner_ = 0;
  std::map<key, entry> installed_;
  std::map<std::string, interface_sas, std::less<>> interfaces_;
  tell_function tell_;
  std::set<std::pair<std::uint64_t, key>> deadlines_;  // monotonic ms
  const trap_set* traps_;                              // nullptr: none
  struct pair_keys {
    std::optional<key> in, out;
  };
  std::unordered_map<std::uint32_t, pair_keys> pairs_;
  std::uint64_t youngest_ = 0;

 public:
  struct change {
    std::vector<entry> made;
    std::vector<key> gone;
    std::set<key> named;
    std::vector<reshaping> reshaped;

    explicit change(sequence_store& store) : store_(store) {}
    change(const change&) = delete;
    change& operator=(const change&) = delete;
    ~change();  // one that was not committed leaves nothing behind

   private:
    sequence_store& store_;
  };
};

}  // namespace trunkgate
