#include <algorithm>
#include <array>
#include <atomic>
#include <cstring>
#include <map>

#include "dataplane/state/crc_hash.hpp"
#include "dataplane/state/rcu.hpp"
#include "dataplane/state/rcu_hash.hpp"
#include "dataplane/state/spd.hpp"

namespace trunkgate {

namespace {

enum class port_match : std::uint8_t { any, exact, range };

// Which bits of a flow a selector looks at. Selectors of one tuple differ in values only, so one hash finds them all.
struct tuple {
  ip_family family = ip_family::none;
  std::uint8_t local_length = 0, remote_length = 0;
  bool protocol = false;
  port_match local_port = port_match::any, remote_port = port_match::any;
  friend auto operator<=>(const tuple&, const tuple&) = default;
  [[nodiscard]] bool wants_ports() const { return local_port != port_match::any || remote_port != port_match::any; }
};

// A flow's bits under a tuple. No padding: it is hashed as bytes.
struct masked_key {
  std::array<std::uint8_t, 16> local{}, remote{};
  std::uint16_t local_port = 0, remote_port = 0;
  std::uint16_t tuple_number = 0;
  std::uint8_t protocol = 0;
  std::uint8_t reserved = 0;
  friend bool operator==(const masked_key&, const masked_key&) = default;
};
static_assert(sizeof(masked_key) == 40);

struct masked_key_hash {
  std::uint32_t operator()(const masked_key& key) const noexcept { return crc_hash(key); }
};

struct candidate {
  std::uint32_t order;
  std::uint64_t age;  // the younger, with the higher number, wins among equals
  std::uint16_t worker;
  protection leads_to;
  api::port_range local_ports, remote_ports;
  ip_range local, remote;
  std::uint64_t dscp;
  bool prefixes;  // both ranges are: then the hash has compared them

  [[nodiscard]] bool before(const candidate& other) const {
    return order != other.order ? order < other.order : age > other.age;
  }
  // Among those of one order, for a packet of `asking`: the lower is the better.
  [[nodiscard]] unsigned distance(std::uint16_t asking) const {
    if (leads_to.sa == nullptr) return 3;
    if (worker == asking) return 0;
    return worker == api::any_worker ? 1 : 2;
  }
  // What the hash has not compared. Where there are no ports both are 0, and only a range of any is asked.
  [[nodiscard]] bool covers(const flow_key& key) const {
    if (key.source_port < local_ports.first || key.source_port > local_ports.last) return false;
    if (key.destination_port < remote_ports.first || key.destination_port > remote_ports.last) return false;
    if (dscp != 0 && key.dscp != any_dscp && (dscp >> key.dscp & 1) == 0) return false;
    return prefixes || (local.first.bytes <= key.source && key.source <= local.last.bytes &&
                        remote.first.bytes <= key.destination && key.destination <= remote.last.bytes);
  }
};

// The selectors of one key, best first. A change publishes a new list.
struct candidates {
  std::atomic<const std::vector<candidate>*> list{nullptr};
  candidates() = default;
  candidates(const candidates&) = delete;
  candidates& operator=(const candidates&) = delete;
  ~candidates() { delete list.load(std::memory_order_relaxed); }
};

void copy_masked(std::array<std::uint8_t, 16>& out, const std::array<std::uint8_t, 16>& address, unsigned length) {
  const unsigned whole = length / 8, rest = length % 8;
  std::memcpy(out.data(), address.data(), whole);
  if (rest != 0) out[whole] = static_cast<std::uint8_t>(address[whole] & (0xff00u >> rest));
}

port_match kind(const api::port_range& ports) {
  if (ports.any()) return port_match::any;
  return ports.first == ports.last ? port_match::exact : port_match::range;
}

// A range that is no prefix stands in the hash under the longest prefix around it, once, and is compared as a range
// behind the hash: taken apart into prefixes, two such ranges would take thousands of entries and as many tuples.
class tuple_space final : public selector_table {
 public:
  explicit tuple_space(rcu_domain& rcu) : rcu_(rcu), hash_(rcu) { published_.store(new tuple_list); }
  ~tuple_space() override { delete published_.load(); }
  tuple_space(const tuple_space&) = delete;
  tuple_space& operator=(const tuple_space&) = delete;

  void add(const api::selector_record& record, outbound_sa* sa, const sa_rank& rank) override {
    if (rank.age == 0) ++youngest_;
    youngest_ = std::max(youngest_, rank.age);
    add(record, {.sa = sa}, {.age = rank.age == 0 ? youngest_ : rank.age, .worker = rank.worker});
  }
  void add(const api::selector_record& record, trap* demanded) override { add(record, {.demanded = demanded}, {}); }
  void remove(const api::selector_record& record, const outbound_sa* sa) override {
    remove_if(record, [sa](const protection& at) { return at.sa == sa; });
  }
  void remove(const api::selector_record& record, const trap* demanded) override {
    remove_if(record, [demanded](const protection& at) { return at.demanded == demanded; });
  }

  [[nodiscard]] protection find(const flow_key& key, std::uint16_t worker) const noexcept override {
    const candidate* best = nullptr;
    for (const numbered_tuple& at : *published_.load(std::memory_order_acquire)) {
      if (at.shape.family != key.family || (at.shape.wants_ports() && key.has_ports == 0)) continue;
      masked_key masked;
      copy_masked(masked.local, key.source, at.shape.local_length);
      copy_masked(masked.remote, key.destination, at.shape.remote_length);
      if (at.shape.local_port == port_match::exact) masked.local_port = key.source_port;
      if (at.shape.remote_port == port_match::exact) masked.remote_port = key.destination_port;
      if (at.shape.protocol) masked.protocol = key.protocol;
      masked.tuple_number = at.number;
      const candidates* place = hash_.find(masked);
      if (place == nullptr) continue;
      const auto* list = place->list.load(std::memory_order_acquire);
      if (list != nullptr) best = best_of(*list, key, worker, best);  // else it is just being made
    }
    return best == nullptr ? protection{} : best->leads_to;
  }
  [[nodiscard]] std::size_t size() const override { return size_; }

 private:
  struct numbered_tuple {
    tuple shape;
    std::uint16_t number;
  };
  using tuple_list = std::vector<numbered_tuple>;
  struct tuple_use {
    std::uint16_t number;
    std::size_t selectors;
  };
  using shape_map = std::map<tuple, tuple_use>;

  // The best of `best` (or nullptr) and the list, which is sorted by order.
  static const candidate* best_of(const std::vector<candidate>& list, const flow_key& key, std::uint16_t worker,
                                  const candidate* best) {
    for (const candidate& c : list) {
      if (best != nullptr && c.order > best->order) break;
      if (!c.covers(key)) continue;
      const bool nearer = best == nullptr || c.order < best->order || c.distance(worker) < best->distance(worker) ||
                          (c.distance(worker) == best->distance(worker) && c.age > best->age);
      if (nearer) best = &c;
    }
    return best;
  }

  void add(const api::selector_record& record, const protection& leads_to, const sa_rank& rank) {
    each_pair(record, [&](const ip_range& local, const ip_range& remote) {
      const ip_prefix local_cover = local.cover(), remote_cover = remote.cover();
      const tuple shape = shape_of(record, local_cover, remote_cover);
      const std::uint16_t number = enter(shape);
      candidates& place = *hash_.insert(key_of(record, local_cover, remote_cover, shape, number)).first;
      const auto* old = place.list.load(std::memory_order_relaxed);
      auto fresh = std::make_unique<std::vector<candidate>>();
      if (old != nullptr) *fresh = *old;
      const candidate added{
          record.order,        rank.age, rank.worker, leads_to,    record.local_ports,
          record.remote_ports, local,    remote,      record.dscp, local.is_prefix() && remote.is_prefix()};
      fresh->insert(std::ranges::find_if(*fresh, [&](const candidate& other) { return added.before(other); }), added);
      publish(place, std::move(fresh), old);
      ++size_;
    });
  }

  template <class Which>
  void remove_if(const api::selector_record& record, Which&& which) {
    each_pair(record, [&](const ip_range& local, const ip_range& remote) {
      const ip_prefix local_cover = local.cover(), remote_cover = remote.cover();
      const tuple shape = shape_of(record, local_cover, remote_cover);
      const auto known = shapes_.find(shape);
      if (known == shapes_.end()) return;
      const masked_key key = key_of(record, local_cover, remote_cover, shape, known->second.number);
      candidates* place = hash_.find(key);
      if (place == nullptr) return;
      const auto* old = place->list.load(std::memory_order_relaxed);
      const auto mine = std::ranges::find_if(*old, [&](const candidate& c) {
        return which(c.leads_to) && c.order == record.order && c.local_ports == record.local_ports &&
               c.remote_ports == record.remote_ports && c.local == local && c.remote == remote;
      });
      if (mine == old->end()) return;
      if (old->size() == 1) {
        hash_.erase(key);
      } else {
        auto fresh = std::make_unique<std::vector<candidate>>(*old);
        fresh->erase(fresh->begin() + (mine - old->begin()));
        publish(*place, std::move(fresh), old);
      }
      leave(known);
      --size_;
    });
  }

  template <class Visit>
  static void each_pair(const api::selector_record& record, Visit&& visit) {
    for (unsigned l = 0; l < std::min<std::size_t>(record.local_count, record.local_ranges.size()); ++l)
      for (unsigned r = 0; r < std::min<std::size_t>(record.remote_count, record.remote_ranges.size()); ++r) {
        const ip_range& local = record.local_ranges[l];
        const ip_range& remote = record.remote_ranges[r];
        // A pair of two families holds no packet.
        if (local.valid() && remote.valid() && local.first.family == remote.first.family) visit(local, remote);
      }
  }
  static tuple shape_of(const api::selector_record& record, const ip_prefix& local, const ip_prefix& remote) {
    return {local.address.family,     local.length, remote.length, record.protocol >= 0, kind(record.local_ports),
            kind(record.remote_ports)};
  }
  static masked_key key_of(const api::selector_record& record, const ip_prefix& local, const ip_prefix& remote,
                           const tuple& shape, std::uint16_t number) {
    masked_key key;
    copy_masked(key.local, local.address.bytes, local.length);
    copy_masked(key.remote, remote.address.bytes, remote.length);
    if (shape.local_port == port_match::exact) key.local_port = record.local_ports.first;
    if (shape.remote_port == port_match::exact) key.remote_port = record.remote_ports.first;
    if (shape.protocol) key.protocol = static_cast<std::uint8_t>(record.protocol);
    key.tuple_number = number;
    return key;
  }

  void publish(candidates& place, std::unique_ptr<std::vector<candidate>> fresh, const std::vector<candidate>* old) {
    place.list.store(fresh.release(), std::memory_order_release);
    if (old != nullptr) rcu_.retire(std::unique_ptr<const std::vector<candidate>>(old));
  }
  std::uint16_t enter(const tuple& shape) {
    auto [at, made] = shapes_.try_emplace(shape, tuple_use{0, 0});
    if (made) {
      at->second.number = free_number();
      publish_tuples();
    }
    ++at->second.selectors;
    return at->second.number;
  }
  void leave(shape_map::const_iterator at) {
    tuple_use& use = shapes_.find(at->first)->second;
    if (--use.selectors != 0) return;
    shapes_.erase(at);
    publish_tuples();
  }
  [[nodiscard]] std::uint16_t free_number() {
    // Two families, prefix lengths and flags make fewer shapes than 65536 in any configuration that fits into memory,
    // but numbers come back, so that a long-lived process never runs out of them.
    std::vector<bool> taken(shapes_.size() + 1);
    for (const auto& [shape, use] : shapes_)
      if (use.selectors != 0 && use.number < taken.size()) taken[use.number] = true;
    return static_cast<std::uint16_t>(std::ranges::find(taken, false) - taken.begin());
  }
  void publish_tuples() {
    auto fresh = std::make_unique<tuple_list>();
    for (const auto& [shape, use] : shapes_) fresh->push_back({shape, use.number});
    const tuple_list* old = published_.exchange(fresh.release(), std::memory_order_acq_rel);
    rcu_.retire(std::unique_ptr<const tuple_list>(old));
  }

  rcu_domain& rcu_;
  rcu_hash<masked_key, candidates, masked_key_hash> hash_;
  std::atomic<const tuple_list*> published_;
  shape_map shapes_;  // writer's
  std::uint64_t youngest_ = 0;
  std::size_t size_ = 0;
};

}  // namespace

std::unique_ptr<selector_table> selector_table::make(rcu_domain& rcu) { return std::make_unique<tuple_space>(rcu); }

}  // namespace trunkgate
