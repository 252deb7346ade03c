// The installed SAs: who they are, and how they get into and out of the workers' tables.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <tuple>
#include <vector>

#include "dataplane/core/secret.hpp"
#include "dataplane/state/tables.hpp"

namespace trunkgate {

// Control thread.
class sa_set {
 public:
  // `port_of`: the index of a tunnel's interface by its name, or no_port.
  using port_finder = std::function<std::uint16_t(std::string_view)>;
  using tell_function = std::function<void(const api::event&)>;
  sa_set(forwarding_tables& tables, const crypto_engines& engines, sequence_store& store, std::uint16_t workers,
         port_finder port_of, tell_function tell)
      : tables_(tables),
        engines_(engines),
        store_(store),
        workers_(workers),
        port_of_(std::move(port_of)),
        tell_(std::move(tell)) {}
  ~sa_set();  // workers are gone by now

  struct change;  // prepared, not yet visible
  // Builds what `wanted` adds or changes (their keys are wiped). With `replace`, what it does not name goes. Nothing is
  // visible before commit(). Fails with the SA's tunnel and child.
  [[nodiscard]] result<std::unique_ptr<change>> prepare(std::deque<api::sa_record>& wanted,
                                                        const std::vector<api::sa_record>& removed, bool replace);
  // Fails only where memory ran out while an SA changed its selectors: that SA is gone, everything else is in force.
  [[nodiscard]] result<void> commit(change& prepared);
  // Tunnels' interfaces were opened anew: their SAs belong to them again.
  void rebind_interfaces();
  void report(const std::function<void(const api::sa_status&)>& visit) const;
  // What was asked for, without the keys.
  void each(const std::function<void(const api::sa_record&)>& visit) const;
  [[nodiscard]] const api::sa_record* find(api::sa_direction direction, std::uint32_t spi) const;
  // What the SAs of a tunnel's interface, by its name, carry and have carried.
  void add_traffic(std::string_view interface, api::port_status& status) const;
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
  [[nodiscard]] result<entry> build(api::sa_record& record);
  void insert(entry made);
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
  // Changes what may be changed of an SA: anything but who it is.
  [[nodiscard]] result<void> reshape(api::sa_record& record);
  // The new one has the age and the traffic of the old one, whose SA it is.
  static void continue_life(const entry& made, const entry& old);
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

 public:
  struct change {
    std::vector<entry> made;
    std::vector<key> gone;
    std::deque<api::sa_record> reshaped;  // same SA and key, other selectors: changed in place of the old one

    explicit change(sequence_store& store) : store_(store) {}
    change(const change&) = delete;
    change& operator=(const change&) = delete;
    ~change();  // one that was not committed leaves nothing behind

   private:
    sequence_store& store_;
  };
};

}  // namespace trunkgate
