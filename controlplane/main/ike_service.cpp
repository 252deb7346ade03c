#include "controlplane/main/ike_service.hpp"

#include <algorithm>
#include <cstdlib>

#include <openssl/rand.h>

#include "controlplane/cli/event_log.hpp"
#include "controlplane/ike/profile.hpp"

namespace trunkgate {

namespace asio = boost::asio;

ike_service::ike_service(asio::io_context& loop, installed_sas& sas, std::string keystore_socket)
    : loop_(loop),
      sas_(sas),
      keys_(connect_keystore(loop.get_executor(), std::move(keystore_socket))),
      clock_([this] { wait_for_timers(); }),
      wake_(loop),
      try_sockets_(loop),
      sockets_(loop, [this](const ike::ike_path& path, ike::byte_view datagram) { engine_->receive(path, datagram); }),
      memory_(ike_memory::open()),
      engine_(std::make_unique<ike::engine>(*this)) {
  sas_.tells = engine_->sink_events();
  if (!memory_->survives()) return;
  engine_->on_change = [this](const ike::ike_sa_pointer& sa) {
    if (std::ranges::contains(changed_, sa)) return;
    if (changed_.empty()) asio::post(loop_, [this] { write_changed(); });
    changed_.push_back(sa);
  };
}

ike_service::~ike_service() {
  sas_.tells = {};
  write_changed();
  engine_->on_change = nullptr;
  engine_->abandon();
}

void ike_service::random(std::span<std::uint8_t> into) {
  // Without chance there is no key: nothing may go on.
  if (RAND_bytes(into.data(), static_cast<int>(into.size())) != 1) std::abort();
}

void ike_service::wait_for_timers() {
  const auto next = clock_.next();
  if (!next) return;
  wake_.expires_at(*next);
  wake_.async_wait([this](const boost::system::error_code& cancelled) {
    if (cancelled) return;
    clock_.run_due(now());
    wait_for_timers();
  });
}

void ike_service::open_sockets() {
  if (sockets_open_) return;
  if (const auto opened = sockets_.open(); !opened) {
    log_event(log_level::error, "ike.no_socket", opened.error().reason);
    return;
  }
  sockets_open_ = true;
}

asio::awaitable<result<ike_service::profiles>> ike_service::read(const configuration& from) {
  profiles out;
  for (const auto& tunnel : from.tunnels) {
    if (!tunnel.ike) continue;
    std::vector<std::uint8_t> public_key;
    if (tunnel.ike->private_key) {
      auto asked = co_await keys_->public_key(*tunnel.ike->private_key);
      if (!asked) co_return std::unexpected(error{"tunnels." + tunnel.name + ".local.key: " + asked.error().reason});
      public_key = std::move(*asked);
    }
    auto profile = ike::make_profile(tunnel, from.directory, from.gateway.legacy, public_key);
    if (!profile) co_return std::unexpected(profile.error());
    out.push_back(std::move(*profile));
  }
  co_return out;
}

void ike_service::apply(profiles wanted, const plan& changes) {
  if (!wanted.empty()) open_sockets();
  // A tunnel that the plan does not name keeps even the object that its settings are in.
  for (auto& profile : wanted) {
    const auto& name = profile->settings.name;
    const bool named = std::ranges::any_of(changes.tunnels, [&](const auto& one) { return one.name == name; });
    if (auto* runs = engine_->find(name); runs != nullptr && !named) profile = runs->profile_shared();
  }
  engine_->configure(wanted);
  if (!std::exchange(inherited_, true)) {
    write_changed();
    memory_->forget_unwritten();
  }
  for (const auto& change : changes.tunnels) act(change);
}

asio::awaitable<bool> ike_service::inherit() {
  if (inherited_) co_return true;
  auto survivors = co_await exports_.survivors();
  if (!survivors) co_return false;
  if (!memory_->trouble().empty()) log_event(log_level::warning, "ike.memory", memory_->trouble());
  auto sas = memory_->read();
  if (!sas.empty() || !survivors->empty())
    log_event(log_level::info, "ike.inherited",
              std::to_string(sas.size()) + " IKE SAs in memory, " + std::to_string(survivors->size()) +
                  " pairs of child SAs in the data plane");
  engine_->inherit({.sas = std::move(sas), .survivors = std::move(*survivors)});
  co_return true;
}

asio::awaitable<void> ike_service::close_all(std::chrono::milliseconds limit) {
  const auto until = now() + limit;
  engine_->close_all();
  asio::steady_timer again(loop_);
  while (!engine_->all_closed() && now() < until) {
    again.expires_after(std::chrono::milliseconds(10));
    co_await again.async_wait(asio::use_awaitable);
  }
  write_changed();
}

// Nothing that a peer may learn is unwritten: a process that dies after this line comes back with it, one that dies
// before has not said it.
void ike_service::send(const ike::ike_path& path, ike::byte_view datagram) {
  write_changed();
  sockets_.send(path, datagram);
}

void ike_service::write_changed() {
  for (const auto& sa : std::exchange(changed_, {})) write_down(sa);
}

void ike_service::write_down(const ike::ike_sa_pointer& sa) {
  using enum ike::ike_state;
  const bool kept =
      sa->profile && (sa->state == up || ((sa->state == replaced || sa->state == deleting) && !sa->opening));
  if (!kept) return memory_->forget(sa->own_spi());
  if (auto written = memory_->write(sa->own_spi(), ike::take_snapshot(*sa)); !written)
    log_event(log_level::warning, "ike.not_kept",
              "an IKE SA of tunnel " + sa->profile->settings.name +
                  " would not outlive trunkgated: " + written.error().reason);
}

void ike_service::act(const tunnel_change& change) {
  auto* tunnel = engine_->find(change.name);
  if (tunnel == nullptr || change.kind != '~') return;
  switch (change.impact) {
    case plan_impact::reconnect: engine_->reconnect(change.name); return;
    case plan_impact::reauth: tunnel->reauthenticate(); return;
    case plan_impact::rekey: tunnel->rekey_ike(); break;
    default: break;
  }
  const auto& children = tunnel->profile().settings.children;
  for (const auto& child : change.children) {
    const auto found = std::ranges::find(children, child.name, &child_settings::name);
    if (found == children.end() || child.kind != '~' || child.impact < plan_impact::rekey) continue;
    tunnel->rekey_child(static_cast<std::size_t>(found - children.begin()));
  }
  // Children that came with the change.
  if (tunnel->current()) tunnel->want();
}

}  // namespace trunkgate
