#include "controlplane/ike/sa/ike_sa.hpp"

#include <algorithm>

#include "controlplane/ike/exchange/followup.hpp"

namespace trunkgate::ike {

ike_sa::ike_sa(environment& environment_of, ike_owner& owner_of, const ike_path& path, bool initiates,
               std::uint64_t initiator_spi, std::uint64_t responder_spi)
    : outside(environment_of),
      owner(&owner_of),
      messages(std::make_shared<channel>(environment_of, path, initiates, initiator_spi, responder_spi)),
      initiator(initiates),
      began(initiates),
      begun(environment_of.now()),
      since(begun),
      authenticated(begun),
      opening(std::make_unique<opening_state>()) {
  if (!initiates) messages->listen();
}

ike_sa::~ike_sa() = default;

ike_owner& nobody() {
  static struct : ike_owner {
    bool first_contact(const ike_sa&) override { return false; }
    bool carries(const ike_sa&, std::size_t) override { return false; }
    void warned(const ike_sa_pointer&, const failed_step&) override {}
    std::vector<profile_pointer> candidates(const ike_path&) override { return {}; }
    void established(const ike_sa_pointer&, bool) override {}
    void child_up(const ike_sa_pointer&, const child_pointer&) override {}
    void child_gone(const ike_sa_pointer&, const child_pointer&, const failed_step&) override {}
    void replaced(const ike_sa_pointer&, const ike_sa_pointer&) override {}
    void closed(const ike_sa_pointer&, const failed_step&) override {}
    void add(const ike_sa_pointer&) override {}
  } none;
  return none;
}

exchange_context ike_sa::context() const {
  return {.initiator_nonce = initiator ? opening->own_nonce : opening->peer_nonce,
          .responder_nonce = initiator ? opening->peer_nonce : opening->own_nonce,
          .initiator_spi = messages->initiator_spi(),
          .responder_spi = messages->responder_spi()};
}

result<void> ike_sa::use_keys(ike_keys next) {
  auto from_initiator = message_cipher::make(suite.encryption, suite.integrity, next.ei.bytes(), next.ai.bytes());
  auto from_responder = message_cipher::make(suite.encryption, suite.integrity, next.er.bytes(), next.ar.bytes());
  if (!from_initiator) return std::unexpected(from_initiator.error());
  if (!from_responder) return std::unexpected(from_responder.error());
  keys = std::move(next);
  if (initiator)
    messages->protect_with(std::move(*from_initiator), std::move(*from_responder));
  else
    messages->protect_with(std::move(*from_responder), std::move(*from_initiator));
  return {};
}

child_pointer ike_sa::find_inbound(std::uint32_t spi) const {
  const auto found = std::ranges::find(children, spi, [](const auto& one) { return one->inbound_spi; });
  return found == children.end() ? nullptr : *found;
}

child_pointer ike_sa::find_outbound(std::uint32_t spi) const {
  const auto found = std::ranges::find(children, spi, [](const auto& one) { return one->outbound_spi; });
  return found == children.end() ? nullptr : *found;
}

sa_path ike_sa::child_path() const {
  // Forced or not: a peer that knows no NAT traversal takes no ESP in UDP.
  const bool encapsulated = nat_known && (nat_here || nat_there || profile->ike().force_encapsulation);
  sa_path out{.local = path().local, .remote = path().remote, .udp_encapsulation = encapsulated, .follow_peer = false};
  if (!encapsulated) out.local.port = out.remote.port = 0;
  // RFC 7296 2.23: only the one who is not behind a NAT follows, and under MOBIKE nobody does (RFC 4555 3.8).
  out.follow_peer = encapsulated && nat_there && !nat_here && !mobike;
  return out;
}

}  // namespace trunkgate::ike
