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
      engine_(std::make_unique<ike::engine>(*this)) {
  sas_.tells = engine_->sink_events();
}

ike_service::~ike_service() {
  sas_.tells = {};
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
  for (const auto& change : changes.tunnels) act(change);
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
