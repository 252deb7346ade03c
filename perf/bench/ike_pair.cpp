#include "perf/bench/ike_pair.hpp"

#include <malloc.h>
#include <poll.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>

#include <boost/asio/post.hpp>
#include <openssl/rand.h>

#include "controlplane/ike/profile.hpp"
#include "controlplane/keystore/local.hpp"
#include "perf/bench/cpu_clock.hpp"
#include "perf/bench/ike_certificates.hpp"

namespace trunkgate::bench {

namespace asio = boost::asio;

namespace {

std::int64_t heap_now() { return static_cast<std::int64_t>(::mallinfo2().uordblks); }

// 10.0.0.0/12 and 172.16.0.0/12: the last 20 bits are the peer's number and 1.
constexpr std::uint32_t initiators = 10U << 24, responders = 172U << 24 | 16U << 16, number_mask = (1U << 20) - 1;
ip_address address_of(std::uint32_t first, std::uint32_t number) { return ip_address::v4(first + number + 1); }
std::uint32_t number_of(const ip_address& address) { return (address.v4_host() & number_mask) - 1; }

ip_range network_of(std::uint32_t number) {
  const auto first = (100U << 24 | 64U << 16) + number * 8;  // 100.64.0.0/10
  return {ip_address::v4(first), ip_address::v4(first + 7)};
}

result<std::filesystem::path> make_folder() {
  auto pattern = (std::filesystem::temp_directory_path() / "trunkgate-bench-ike-XXXXXX").string();
  if (::mkdtemp(pattern.data()) == nullptr) return system_failure("make " + pattern);
  return std::filesystem::path(pattern);
}

tunnel_settings tunnel_of(const ike_kind& kind, std::uint32_t number, bool initiates, const ike_settings& times,
                          const lifetime_settings& child_life) {
  tunnel_settings out;
  out.name = "t" + std::to_string(number);
  out.local = address_of(initiates ? initiators : responders, number);
  out.peer = address_of(initiates ? responders : initiators, number);
  out.ike = times;
  auto& ike = *out.ike;
  ike.start = start_mode::answer;  // the initiator's are started one by one
  ike.local_id = initiates ? "left.example" : "right.example";
  ike.remote_id = initiates ? "right.example" : "left.example";
  if (kind.auth == "psk") {
    ike.psk = key_reference{.from = key_reference::kind::file, .name = "bench.psk", .path = "psk"};
  } else {
    const std::string name = initiates ? "left" : "right";
    ike.certificate_files = {name + ".pem"};
    ike.private_key = key_reference{.from = key_reference::kind::file, .name = name + ".key", .path = "local.key"};
    ike.ca_files = {"ca.pem"};
  }
  ike.proposals.push_back(*parse_ike_proposal(ike_proposal_with(kind.key_exchange)));
  child_settings child;
  child.name = "lan";
  child.local = {network_of(2 * number + (initiates ? 0 : 1))};
  child.remote = {network_of(2 * number + (initiates ? 1 : 0))};
  child.esp.push_back(*parse_esp_proposal("aes128gcm16-noesn"));
  child.soft = child_life;
  out.children.push_back(std::move(child));
  return out;
}

}  // namespace

std::string ike_proposal_with(std::string_view key_exchange) {
  return "aes128gcm16-prfsha256-" + std::string(key_exchange);
}

asio::awaitable<result<void>> blind_sink::add(const child_sa&, sa_directions) { co_return result<void>(); }
asio::awaitable<result<void>> blind_sink::remove(std::uint32_t, sa_directions) { co_return result<void>(); }
asio::awaitable<result<void>> blind_sink::move(std::uint32_t, const sa_path&) { co_return result<void>(); }
asio::awaitable<result<std::vector<std::optional<sa_use>>>> blind_sink::use(
    const std::vector<std::uint32_t>& inbound_spis) {
  constexpr std::uint32_t an_hour = 3'600'000;
  co_return std::vector<std::optional<sa_use>>(inbound_spis.size(), sa_use{.inbound_idle_ms = an_hour});
}
asio::awaitable<result<std::vector<std::uint32_t>>> blind_sink::survived() { co_return std::vector<std::uint32_t>{}; }
asio::awaitable<result<std::map<std::uint32_t, std::string>>> blind_sink::survivors() {
  co_return std::map<std::uint32_t, std::string>{};
}

// ---- one end ----

ike_end::ike_end(std::unique_ptr<ike_wire> own_wire, const std::string& folder)
    : wire_(std::move(own_wire)), store_(local_keystore(folder)), engine_(std::make_unique<ike::engine>(*this)) {}

// What waits for something is told that it is over, and comes to its end while the engine is still there.
ike_end::~ike_end() {
  engine_->abandon();
  io_.restart();
  io_.poll();
  engine_.reset();
}

void ike_end::random(std::span<std::uint8_t> into) {
  if (RAND_bytes(into.data(), static_cast<int>(into.size())) != 1) std::abort();
}

void ike_end::send(const ike::ike_path& path, ike::byte_view datagram) { wire_->send(path, datagram); }

void ike_end::want(ike::tunnel& which) {
  asio::post(io_, [&which] { which.want(); });
}

void ike_end::begin_counting(bool heap) {
  count_heap_ = heap;
  cpu_seconds_ = latest_timer_ms_ = longest_silence_ = 0;
  heap_bytes_ = 0;
  last_heard_.clear();
}

void ike_end::note_silence(const ip_address& peer) {
  const auto number = number_of(peer);
  if (last_heard_.size() <= number) last_heard_.resize(number + 1);
  auto& before = last_heard_[number];
  if (before != ike::timer_clock::time_point())
    longest_silence_ = std::max(longest_silence_, std::chrono::duration<double>(now() - before).count());
  before = now();
}

void ike_end::take_what_is_there() {
  if (const auto due = timers_.next(); due && *due <= now()) {
    latest_timer_ms_ = std::max(latest_timer_ms_, std::chrono::duration<double, std::milli>(now() - *due).count());
    timers_.run_due(now());
    worked_ = true;
  }
  while (const auto one = wire_->receive()) {
    if (!count_heap_) note_silence(one->first.remote.address);
    engine_->receive(one->first, one->second);
    worked_ = true;
  }
}

bool ike_end::step() {
  const auto heap = count_heap_ ? heap_now() : 0;
  const auto begun = thread_seconds();
  worked_ = false;
  // As in the daemon, everything comes from the loop.
  asio::post(io_, [this] { take_what_is_there(); });
  io_.restart();
  worked_ |= io_.poll() > 1;
  cpu_seconds_ += thread_seconds() - begun;
  if (count_heap_) heap_bytes_ += heap_now() - heap;
  return worked_;
}

// ---- both ----

ike_pair::ike_pair(std::filesystem::path folder, std::unique_ptr<ike_wire> left, std::unique_ptr<ike_wire> right)
    : folder_(std::move(folder)),
      initiator_(std::make_unique<ike_end>(std::move(left), folder_.string())),
      responder_(std::make_unique<ike_end>(std::move(right), folder_.string())) {}

ike_pair::~ike_pair() {
  std::error_code ignored;
  std::filesystem::remove_all(folder_, ignored);
}

result<std::unique_ptr<ike_pair>> ike_pair::make(const ike_kind& kind, std::uint32_t peers, const ike_settings& times,
                                                 const lifetime_settings& child) {
  auto wires = ike_wire::make();
  if (!wires) return std::unexpected(wires.error());
  const auto folder = make_folder();
  if (!folder) return std::unexpected(folder.error());
  auto out = std::unique_ptr<ike_pair>(new ike_pair(*folder, std::move(wires->first), std::move(wires->second)));
  std::ofstream(*folder / "bench.psk") << "of the benchmark: protects nothing\n";
  if (kind.auth != "psk")
    if (auto made = write_certificates(kind.auth, *folder); !made) return std::unexpected(made.error());
  const auto before = heap_now();
  for (auto* one : {out->initiator_.get(), out->responder_.get()}) {
    const bool initiates = one == out->initiator_.get();
    std::vector<ike::profile_pointer> profiles;
    profiles.reserve(peers);
    for (std::uint32_t i = 0; i < peers; ++i) {
      auto profile = ike::make_profile(tunnel_of(kind, i, initiates, times, child), folder->string(), false, {});
      if (!profile) return std::unexpected(profile.error());
      profiles.push_back(std::move(*profile));
    }
    one->engine().configure(profiles);
  }
  out->configured_bytes_ = static_cast<double>(heap_now() - before) / (2.0 * peers);
  out->tunnels_ = out->initiator_->engine().tunnels();
  return out;
}

void ike_pair::turn() {
  for (bool again = true; again;) {
    again = initiator_->step();
    again = responder_->step() || again;
  }
}

void ike_pair::wait(std::chrono::milliseconds longest) {
  auto pause = longest;
  for (auto* one : {initiator_.get(), responder_.get()})
    if (const auto next = one->clock().next())
      pause = std::min(pause, std::chrono::ceil<std::chrono::milliseconds>(*next - one->now()));
  pollfd both[2]{{initiator_->descriptor(), POLLIN, 0}, {responder_->descriptor(), POLLIN, 0}};
  if (pause.count() > 0) (void)::poll(both, 2, static_cast<int>(pause.count()));
}

}  // namespace trunkgate::bench
