#include "perf/bench/ike_run.hpp"

#include <algorithm>
#include <chrono>

namespace trunkgate::bench {

namespace {

using namespace std::chrono_literals;
using clock = ike::timer_clock;

constexpr std::uint32_t window = 32;  // handshakes under way at once: below what asks for cookies
constexpr auto patience = 20s;        // without progress
constexpr auto look_every = 500ms;

double seconds(clock::duration time) { return std::chrono::duration<double>(time).count(); }

ike_settings long_lived() {
  ike_settings out;
  out.lifetime_seconds = 86400;
  out.liveness_seconds = 3600;
  out.mobike = false;
  return out;
}

// Opens tunnels [from, to), never more than `window` at once. False: stopped.
result<bool> open_tunnels(ike_pair& pair, std::uint32_t from, std::uint32_t to, const std::atomic<bool>& stop) {
  std::uint32_t started = from, done = from;
  auto progress = clock::now();
  while (done < to) {
    if (stop) return false;
    while (started < to && started - done < window) pair.initiator().want(*pair.tunnels()[started++]);
    pair.turn();
    const auto before = done;
    while (done < started && pair.tunnels()[done]->child_is_up(0)) ++done;
    const auto now = clock::now();
    if (done != before) {
      progress = now;
      continue;
    }
    pair.wait(100ms);
    if (now - progress < patience) continue;
    const auto* failure_of = pair.tunnels()[done]->last_failure();
    return failure(std::to_string(to - done) + " of " + std::to_string(to - from) +
                   " tunnels did not come up: " + (failure_of ? failure_of->failure.text : "no reason is known"));
  }
  return true;
}

}  // namespace

result<std::optional<handshake_run>> measure_handshakes(const ike_kind& kind, std::uint32_t peers,
                                                        const std::atomic<bool>& stop) {
  auto pair = ike_pair::make(kind, window + peers, long_lived(), {});
  if (!pair) return std::unexpected(pair.error());
  auto& both = **pair;
  auto warm = open_tunnels(both, 0, window, stop);
  if (!warm) return std::unexpected(warm.error());
  both.initiator().begin_counting(false);
  both.responder().begin_counting(false);
  auto opened = open_tunnels(both, window, window + peers, stop);
  if (!opened) return std::unexpected(opened.error());
  if (!*opened) return std::optional<handshake_run>();
  return std::optional(handshake_run{.initiator = peers / both.initiator().cpu_seconds(),
                                     .responder = peers / both.responder().cpu_seconds()});
}

result<std::optional<peer_bytes>> measure_peer_bytes(const ike_kind& kind, std::uint32_t peers,
                                                     const std::atomic<bool>& stop) {
  auto pair = ike_pair::make(kind, window + peers, long_lived(), {});
  if (!pair) return std::unexpected(pair.error());
  auto& both = **pair;
  // What is made once, by whoever comes first, is nobody's own.
  auto warm = open_tunnels(both, 0, window, stop);
  if (!warm) return std::unexpected(warm.error());
  both.initiator().begin_counting(true);
  both.responder().begin_counting(true);
  auto opened = open_tunnels(both, window, window + peers, stop);
  if (!opened) return std::unexpected(opened.error());
  if (!*opened) return std::optional<peer_bytes>();
  return std::optional(peer_bytes{.configured = both.configured_bytes(),
                                  .initiator = static_cast<double>(both.initiator().heap_bytes()) / peers,
                                  .responder = static_cast<double>(both.responder().heap_bytes()) / peers});
}

// ---- scale ----

namespace {

// Looks at the ages of all SAs from time to time.
class age_watch {
 public:
  age_watch(ike_pair& pair, std::uint32_t lifetime, scale_figures& into)
      : pair_(pair), limit_(lifetime + rekey_grace), into_(into), too_old_(pair.tunnels().size()) {}

  void look() {
    const auto now = clock::now();
    if (now < next_) return;
    next_ = now + look_every;
    for (std::size_t i = 0; i < too_old_.size(); ++i) {
      const auto sa = pair_.tunnels()[i]->current();
      if (!sa) continue;
      note(seconds(now - sa->since), into_.oldest_ike_sa, i);
      for (const auto& child : sa->children)
        if (child->state == ike::child_state::up) note(seconds(now - child->since), into_.oldest_child, i);
    }
  }
  [[nodiscard]] std::uint32_t too_old() const { return static_cast<std::uint32_t>(std::ranges::count(too_old_, true)); }

 private:
  void note(double age, double& oldest, std::size_t tunnel) {
    oldest = std::max(oldest, age);
    if (age > limit_) too_old_[tunnel] = true;
  }

  ike_pair& pair_;
  double limit_;
  scale_figures& into_;
  std::vector<bool> too_old_;
  clock::time_point next_;
};

void count_tunnels(ike_pair& pair, scale_figures& into) {
  for (auto* end : {&pair.initiator(), &pair.responder()})
    for (const auto* one : end->engine().tunnels()) {
      into.child_rekeys += one->counts().child_rekeys;
      into.ike_rekeys += end == &pair.initiator() ? one->counts().ike_rekeys : 0;  // both ends count each
      into.failures += static_cast<std::uint32_t>(one->counts().failures);
      if (into.first_failure.empty() && one->last_failure())
        into.first_failure = one->profile().settings.name + ": " + one->last_failure()->failure.text;
    }
  for (const auto* one : pair.tunnels()) into.up += one->child_is_up(0) ? 1 : 0;
}

}  // namespace

result<scale_figures> measure_scale(const ike_kind& kind, std::uint32_t peers, std::uint32_t lifetime,
                                    const std::atomic<bool>& stop) {
  auto times = long_lived();
  times.lifetime_seconds = lifetime;
  times.liveness_seconds = lifetime / 2;
  auto pair = ike_pair::make(kind, peers, times, {.packets = 0, .bytes = 0, .seconds = lifetime});
  if (!pair) return std::unexpected(pair.error());
  auto& both = **pair;
  scale_figures out{.peers = peers, .lifetime = lifetime};
  out.silence_limit = static_cast<double>(times.liveness_seconds) + liveness_grace;
  const auto begun = clock::now();
  if (auto opened = open_tunnels(both, 0, peers, stop); !opened) return std::unexpected(opened.error());
  const auto all_up = clock::now();
  out.seconds_to_up = seconds(all_up - begun);
  for (auto* one : {&both.initiator(), &both.responder()}) one->begin_counting(false);
  age_watch ages(both, lifetime, out);
  const auto until = all_up + 2 * std::chrono::seconds(lifetime);
  while (clock::now() < until && !stop) {
    both.turn();
    ages.look();
    both.wait(100ms);
  }
  const auto watched = seconds(clock::now() - all_up);
  out.cpu_share = (both.initiator().cpu_seconds() + both.responder().cpu_seconds()) / watched;
  out.latest_timer_ms = std::max(both.initiator().latest_timer_ms(), both.responder().latest_timer_ms());
  out.longest_silence = std::max(both.initiator().longest_silence(), both.responder().longest_silence());
  out.not_rekeyed = ages.too_old();
  count_tunnels(both, out);
  return out;
}

}  // namespace trunkgate::bench
