#include "controlplane/installer/installed_sas.hpp"

#include <sys/random.h>

#include <algorithm>
#include <chrono>

#include "controlplane/policy/compile.hpp"

namespace trunkgate {

namespace asio = boost::asio;

namespace {

using api::message_type, api::sa_direction;

constexpr sa_direction both_directions[] = {sa_direction::inbound, sa_direction::outbound};

std::uint8_t bit_of(sa_direction direction) {
  return static_cast<std::uint8_t>(direction == sa_direction::inbound ? sa_directions::inbound
                                                                      : sa_directions::outbound);
}
bool asked(sa_directions which, sa_direction direction) {
  return (static_cast<std::uint8_t>(which) & bit_of(direction)) != 0;
}

result<void> outcome_of(const door::answer& answer) {
  if (answer.what == door::outcome::done) return {};
  return failure(answer.reason);
}

// A record whose key is wiped when it goes.
struct sa_record_with_key : api::sa_record {
  sa_record_with_key() = default;
  sa_record_with_key(const sa_record_with_key&) = delete;
  sa_record_with_key& operator=(const sa_record_with_key&) = delete;
  ~sa_record_with_key() { wipe(key.data(), key.size()); }
};

result<void> fill_selectors(api::sa_record& record, const sa_selectors& selectors) {
  if (selectors.local.empty() || selectors.remote.empty() || selectors.local.size() > api::ranges_per_side ||
      selectors.remote.size() > api::ranges_per_side)
    return failure("an SA has 1 to " + std::to_string(api::ranges_per_side) + " ranges of addresses a side");
  record.protocol = selectors.protocol;
  record.local_ports = {selectors.local_ports.first, selectors.local_ports.last};
  record.remote_ports = {selectors.remote_ports.first, selectors.remote_ports.last};
  record.local_count = static_cast<std::uint16_t>(selectors.local.size());
  record.remote_count = static_cast<std::uint16_t>(selectors.remote.size());
  std::ranges::copy(selectors.local, record.local_ranges.begin());
  std::ranges::copy(selectors.remote, record.remote_ranges.begin());
  return {};
}

// The order is the data plane's to fill in: that of the child in the configuration that is in force.
result<void> put_sa(door_request& batch, const child_sa& pair, sa_direction direction) {
  const bool outbound = direction == sa_direction::outbound;
  const secret& key = outbound ? pair.outbound_key : pair.inbound_key;
  sa_record_with_key record;
  if (key.size() != info(pair.suite).key_material()) return failure("the key has the wrong length for its suite");
  record.tunnel = api::name(pair.tunnel->name);
  record.child = api::name(pair.child->name);
  if (pair.tunnel->interface) record.interface = api::name(pair.tunnel->interface->name);
  fill_settings(record, *pair.child);
  record.dscp = pair.child->dscp;
  record.direction = direction;
  record.keying = api::sa_keying::negotiated;
  record.suite = pair.suite;
  record.esn = pair.esn ? 1 : 0;
  record.mode = pair.mode == child_mode::transport ? api::sa_mode::transport : api::sa_mode::tunnel;
  record.soft = limits_of(pair.soft);
  record.hard = limits_of(pair.hard);
  record.spi = outbound ? pair.outbound_spi : pair.inbound_spi;
  record.pair = pair.inbound_spi;
  record.worker = pair.worker.value_or(api::any_worker);
  record.local = pair.path.local.address;
  record.remote = pair.path.remote.address;
  record.local_port = pair.path.local.port;
  record.remote_port = pair.path.remote.port;
  record.udp_encapsulation = pair.path.udp_encapsulation ? 1 : 0;
  record.follow_peer = pair.path.follow_peer ? 1 : 0;
  record.key_length = static_cast<std::uint8_t>(key.size());
  if (auto filled = fill_selectors(record, pair.selectors); !filled) return filled;
  std::ranges::copy(key.bytes(), record.key.begin());
  batch.put<api::sa_record>(message_type::put_sa, record);
  return {};
}

door_request begin() {
  door_request batch;
  batch.put(message_type::batch_begin, api::batch_begin{.replace = 0});
  return batch;
}

}  // namespace

void installed_sas::take(const api::event& event) {
  using enum api::event_kind;
  if (event.unix_ns <= newest_event_ns_) return;
  newest_event_ns_ = event.unix_ns;
  switch (event.kind) {
    case soft_expire:
    case sequence_near_end:
      if (event.pair != 0 && tells.expire) tells.expire(event.pair, false);
      return;
    case hard_expire:
    case sequence_exhausted:
      if (event.pair != 0 && tells.expire) tells.expire(event.pair, true);
      return;
    case peer_moved:
      if (event.pair != 0 && tells.peer_moved)
        tells.peer_moved(event.pair, {.address = event.source, .port = event.source_port});
      return;
    case acquire: {
      // One that was kept while nobody listened says nothing of now; if the packets still come, so does the next.
      constexpr std::chrono::nanoseconds stale = std::chrono::seconds(5);
      const auto age = std::chrono::system_clock::now().time_since_epoch() - std::chrono::nanoseconds(event.unix_ns);
      if (age < stale && tells.acquire)
        tells.acquire(std::string(event.tunnel.view()), std::string(event.child.view()));
      return;
    }
    default: return;
  }
}

asio::awaitable<result<void>> installed_sas::meet() {
  door_request request;
  request.add(message_type::dump, {}, api::record_kind::gateway);
  const auto answer = co_await door_.ask(std::move(request));
  if (auto done = outcome_of(answer); !done) co_return done;
  api::gateway_status status;
  if (answer.records.size() == sizeof status) std::memcpy(&status, answer.records.data(), sizeof status);
  workers_ = std::max<unsigned>(status.workers, 1);
  auto there = co_await survived();
  if (!there) co_return std::unexpected(there.error());
  const auto before = std::exchange(instance_, status.instance);
  if (before != 0 && before != instance_ && tells.restarted) tells.restarted();
  co_return result<void>{};
}

std::uint32_t installed_sas::reserve_spi() {
  constexpr std::uint32_t smallest = 256;  // RFC 4303 2.1
  for (;;) {
    std::uint32_t spi = 0;
    if (::getrandom(&spi, sizeof spi, 0) != sizeof spi) continue;
    if (spi >= smallest && !installed_.contains(spi) && reserved_.insert(spi).second) return spi;
  }
}

asio::awaitable<result<void>> installed_sas::add(const child_sa& pair, sa_directions which) {
  auto batch = begin();
  for (const auto direction : both_directions)
    if (asked(which, direction))
      if (auto put = put_sa(batch, pair, direction); !put) co_return put;
  batch.add(message_type::batch_commit);
  const auto spi = pair.inbound_spi;
  const auto done = outcome_of(co_await door_.ask(std::move(batch)));
  if (done) {
    installed_[spi] |= static_cast<std::uint8_t>(which);
    reserved_.erase(spi);
  }
  co_return done;
}

asio::awaitable<result<void>> installed_sas::remove(std::uint32_t inbound_spi, sa_directions which) {
  auto batch = begin();
  for (const auto direction : both_directions) {
    if (!asked(which, direction)) continue;
    api::sa_record record;
    record.direction = direction;
    record.pair = inbound_spi;
    batch.put(message_type::remove_sa, record);
  }
  batch.add(message_type::batch_commit);
  const auto done = outcome_of(co_await door_.ask(std::move(batch)));
  if (const auto known = installed_.find(inbound_spi); done && known != installed_.end()) {
    known->second &= static_cast<std::uint8_t>(~static_cast<std::uint8_t>(which));
    if (known->second == 0) installed_.erase(known);
  }
  co_return done;
}

asio::awaitable<result<void>> installed_sas::move(std::uint32_t inbound_spi, const sa_path& path) {
  const auto known = installed_.find(inbound_spi);
  if (known == installed_.end()) co_return failure("SPI " + std::to_string(inbound_spi) + ": no such SA is there");
  auto batch = begin();
  for (const auto direction : both_directions) {
    if ((known->second & bit_of(direction)) == 0) continue;
    batch.put(message_type::move_sa,
              api::move_record{.pair = inbound_spi,
                               .direction = direction,
                               .udp_encapsulation = static_cast<std::uint8_t>(path.udp_encapsulation ? 1 : 0),
                               .follow_peer = static_cast<std::uint8_t>(path.follow_peer ? 1 : 0),
                               .local_port = path.local.port,
                               .remote_port = path.remote.port,
                               .local = path.local.address,
                               .remote = path.remote.address});
  }
  batch.add(message_type::batch_commit);
  co_return outcome_of(co_await door_.ask(std::move(batch)));
}

asio::awaitable<result<std::vector<api::sa_use>>> installed_sas::ask_use(std::vector<std::uint32_t> inbound_spis) {
  door_request request;
  const auto bytes = std::as_bytes(std::span(inbound_spis));
  const auto* from = reinterpret_cast<const std::uint8_t*>(bytes.data());
  constexpr std::size_t at_a_time = api::use_limit * sizeof(std::uint32_t);
  for (std::size_t at = 0; at == 0 || at < bytes.size(); at += at_a_time)
    request.add(message_type::use, {from + at, std::min(at_a_time, bytes.size() - at)});
  const auto answer = co_await door_.ask(std::move(request));
  if (answer.what != door::outcome::done) co_return failure(answer.reason);
  if (answer.records.size() % sizeof(api::sa_use) != 0) co_return failure("the data plane sent half a record");
  std::vector<api::sa_use> uses(answer.records.size() / sizeof(api::sa_use));
  if (!uses.empty()) std::memcpy(uses.data(), answer.records.data(), answer.records.size());
  co_return uses;
}

asio::awaitable<result<std::vector<std::optional<sa_use>>>> installed_sas::use(
    const std::vector<std::uint32_t>& inbound_spis) {
  std::vector<std::optional<sa_use>> out(inbound_spis.size());
  if (inbound_spis.empty()) co_return out;  // none asked for is not all
  const auto told = co_await ask_use(inbound_spis);
  if (!told) co_return std::unexpected(told.error());
  std::unordered_map<std::uint32_t, sa_use> by_spi;
  for (const auto& one : *told) {
    auto& sum = by_spi[one.pair];
    if (one.direction == sa_direction::inbound) {
      sum.inbound_packets = one.packets;
      sum.inbound_bytes = one.bytes;
      sum.inbound_idle_ms = one.idle_ms;
    } else {
      sum.outbound_packets = one.packets;
      sum.outbound_bytes = one.bytes;
    }
  }
  for (std::size_t i = 0; i < out.size(); ++i)
    if (const auto found = by_spi.find(inbound_spis[i]); found != by_spi.end()) out[i] = found->second;
  co_return out;
}

asio::awaitable<result<std::vector<std::uint32_t>>> installed_sas::survived() {
  const auto told = co_await ask_use({});
  if (!told) co_return std::unexpected(told.error());
  installed_.clear();
  for (const auto& one : *told) installed_[one.pair] |= bit_of(one.direction);
  std::vector<std::uint32_t> spis;
  for (const auto& [spi, directions] : installed_) {
    reserved_.erase(spi);
    spis.push_back(spi);
  }
  co_return spis;
}

asio::awaitable<result<std::map<std::uint32_t, std::string>>> installed_sas::survivors() {
  const auto there = co_await survived();
  if (!there) co_return std::unexpected(there.error());
  std::map<std::uint32_t, std::string> out;
  if (there->empty()) co_return out;
  for (const auto spi : *there) out.emplace(spi, "");
  door_request request;
  request.add(message_type::dump, {}, api::record_kind::sas);
  const auto answer = co_await door_.ask(std::move(request));
  if (answer.what != door::outcome::done) co_return failure(answer.reason);
  for (std::size_t at = 0; answer.records.size() - at >= sizeof(api::sa_status); at += sizeof(api::sa_status)) {
    api::sa_status one;
    std::memcpy(&one, answer.records.data() + at, sizeof one);
    if (one.direction != sa_direction::inbound) continue;
    if (const auto found = out.find(one.spi); found != out.end()) found->second = one.tunnel.view();
  }
  co_return out;
}

}  // namespace trunkgate
