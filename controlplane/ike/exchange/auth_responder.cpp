// IKE_AUTH, the responder's side: see auth_initiator.cpp.
#include <algorithm>
#include <ranges>

#include "controlplane/ike/auth/certificate.hpp"
#include "controlplane/ike/exchange/child.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/prove.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

enum class chosen_by : std::uint8_t { name, address, certificate };

// Which tunnel is it? By address several may come into question; the identities decide (RFC 7296 2.15, 3.5).
profile_pointer choose_tunnel(const std::vector<profile_pointer>& candidates, const ike_sa& sa,
                              const claimed_identity& claimed, const id_payload* wanted) {
  std::vector<id_payload> certified;
  if (!claimed.certificates.empty()) certified = identities_of(claimed.certificates.front());
  const auto is_said = [&](const tunnel_profile& one, chosen_by how) {
    if (!one.remote_id) return how == chosen_by::address;
    if (*one.remote_id == claimed.id) return how != chosen_by::certificate;
    return how == chosen_by::certificate && one.anchors &&
           std::ranges::any_of(certified, [&](const auto& id) { return same_identity(*one.remote_id, id); });
  };
  const auto fits = [&](const profile_pointer& one, chosen_by how) {
    if (wanted != nullptr && !one->local_id.data.empty() && one->local_id != *wanted) return false;
    if (!is_said(*one, how)) return false;
    return choose(one->ike().proposals,
                  {.proposals =
                       {{.number = 1, .protocol = protocol_id::ike, .spi = {}, .transforms = sa.chosen.transforms}}},
                  protocol_id::ike, key_exchanges::kept)
        .has_value();
  };
  // The certificate last: it may prove more names than the one that its owner says. check_peer() judges it.
  for (const auto how : {chosen_by::name, chosen_by::address, chosen_by::certificate})
    for (const auto& one : candidates)
      if (fits(one, how)) return one;
  return nullptr;
}

struct ppk_state {
  std::optional<ike_keys> mixed;
  bool used = false;
};

asio::awaitable<std::expected<ppk_state, failed_step>> settle_ppk(ike_sa_pointer sa, const payloads& content) {
  ppk_state out;
  const auto& ours = sa->profile->ike().post_quantum_key;
  const auto* theirs = find_notify(content, notify::ppk_identity);
  const auto path = "ike.post_quantum_key";
  const bool same = ours && theirs != nullptr && theirs->data.size() == ours->id.size() + 1 &&
                    std::ranges::equal(std::span(theirs->data).subspan(1), ours->id,
                                       [](std::uint8_t a, char b) { return a == static_cast<std::uint8_t>(b); });
  if (same) {
    auto mixed = co_await mixed_with_ppk(sa);
    if (!mixed) co_return std::unexpected(failed(trouble::own_key, mixed.error().reason, path));
    out.mixed = std::move(*mixed);
    out.used = true;
  } else if (ours && ours->required) {
    co_return std::unexpected(failed(trouble::post_quantum_key, "the peer has not our post-quantum pre-shared key",
                                     path, notify::authentication_failed));
  } else if (theirs != nullptr && find_notify(content, notify::no_ppk_auth) == nullptr) {
    co_return std::unexpected(failed(trouble::post_quantum_key,
                                     "the peer insists on a post-quantum pre-shared key that we have not", path,
                                     notify::authentication_failed));
  }
  co_return out;
}

// Whom the tunnels for a peer at this address are between.
std::string expected_here(const ike_sa& sa, const ike_path& path) {
  constexpr std::size_t shown = 3;
  std::string out;
  for (const auto& one : sa.owner->candidates(path) | std::views::take(shown)) {
    out += out.empty() ? "; we expect " : ", or ";
    out += one->remote_id ? to_string(*one->remote_id) : "any name";
    if (!one->local_id.data.empty()) out += ", being " + to_string(one->local_id);
  }
  return out;
}

asio::awaitable<outcome> check_initiator(ike_sa_pointer sa, const incoming& request, ppk_state& ppk) {
  auto claimed = read_identity(request.content, true);
  if (!claimed)
    co_return failed(trouble::protocol_error, "the peer's IKE_AUTH lacks ID or AUTH", {}, notify::invalid_syntax);
  const auto* wanted = find_id(request.content, false);
  sa->record.peer_id = to_string(claimed->id);
  auto chosen = choose_tunnel(sa->owner->candidates(request.path), *sa, *claimed, wanted);
  if (!chosen)
    co_return failed(trouble::unknown_peer,
                     "the peer says it is " + to_string(claimed->id) +
                         (wanted != nullptr ? " and looks for " + to_string(*wanted) : "") + ": no tunnel is for it" +
                         expected_here(*sa, request.path),
                     "remote.id", notify::authentication_failed);
  sa->profile = std::move(chosen);
  auto settled_ppk = co_await settle_ppk(sa, request.content);
  if (!settled_ppk) co_return settled_ppk.error();
  ppk = std::move(*settled_ppk);
  if (ppk.used) {
    sa->keys = std::move(*ppk.mixed);
  } else if (const auto* plain = find_notify(request.content, notify::no_ppk_auth);
             plain != nullptr && find_notify(request.content, notify::ppk_identity) != nullptr) {
    claimed->auth.data = plain->data;
  }
  auto octets = signed_octets(*sa, claimed->said, sa->keys.pi, request.head.message_id);
  co_return co_await check_peer(sa, *claimed, std::move(octets));
}

asio::awaitable<outcome> first_child(ike_sa_pointer sa, const incoming& request, payloads& answer,
                                     child_pointer& made) {
  if (find<sa_payload>(request.content) == nullptr) co_return std::nullopt;  // childless (RFC 6023)
  auto agreed = agree_to_child(*sa, request.content, key_exchanges::left_out, nullptr);
  if (!agreed) {
    answer.push_back(note(agreed.error().notify));
    co_return agreed.error();
  }
  const child_ingredients from{.initiator_nonce = sa->opening->peer_nonce,
                               .responder_nonce = sa->opening->own_nonce,
                               .we_initiated = false,
                               .shared = {}};
  auto pair = co_await install_child(sa, *agreed, from, nullptr);
  if (!pair) {
    answer.push_back(note(notify::no_additional_sas));
    co_return pair.error();
  }
  answer_child(*sa, *agreed, answer);
  made = *pair;
  co_return std::nullopt;
}

void refuse(const ike_sa_pointer& sa, const incoming& request, const failed_step& why) {
  // RFC 7296 2.21.2: the reason in detail is for our operator, not for whoever could not prove who it is.
  const auto type = why.notify != 0 ? why.notify : notify::authentication_failed;
  sa->messages->respond(request, {note(type)});
  add_step(*sa, "IKE_AUTH", false, why.text);
  sa->record.failure = why;
  close_ike_sa(sa, why);
}

}  // namespace

asio::awaitable<void> answer_auth(ike_sa_pointer sa, incoming request) {
  if (sa->initiator || sa->state != ike_state::opening || !sa->opening->additional.empty()) {
    sa->messages->respond(request, {note(notify::invalid_syntax)});
    co_return;
  }
  ppk_state ppk;
  const auto refused = co_await check_initiator(sa, request, ppk);
  if (sa->state != ike_state::opening) co_return;  // closed meanwhile
  if (refused) co_return refuse(sa, request, *refused);
  const auto own = own_identity(*sa);
  auto auth =
      co_await make_auth(sa, signed_octets(*sa, {.initiator = false, .id = own}, sa->keys.pr, request.head.message_id));
  if (sa->state != ike_state::opening) co_return;
  if (!auth)
    co_return refuse(
        sa, request,
        failed(trouble::own_key, auth.error().reason, sa->profile->ike().private_key ? "local.key" : "psk"));

  payloads answer{id_of{.initiator = false, .id = own}};
  if (sa->profile->ike().private_key) add_certificates(answer, *sa->profile);
  answer.push_back(std::move(*auth));
  sa->mobike = sa->profile->ike().mobike && find_notify(request.content, notify::mobike_supported) != nullptr;
  answer.push_back(window_size());
  if (sa->mobike) answer.push_back(note(notify::mobike_supported));
  if (ppk.used) {
    answer.push_back(note(notify::ppk_identity));
    sa->record.notes.emplace_back("a post-quantum pre-shared key is mixed in");
  }
  sa->messages->set_path(request.path);  // the NAT port, from here on
  sa->state = ike_state::up;
  sa->since = sa->authenticated = sa->outside.now();
  sa->opening_timer.cancel();
  add_step(*sa, "IKE_AUTH", true, "the peer is " + (sa->peer ? sa->peer->subject : sa->record.peer_id));
  const bool contact = find_notify(request.content, notify::initial_contact) != nullptr;
  child_pointer made;
  auto why = co_await first_child(sa, request, answer, made);
  if (!sa->up()) co_return;
  sa->messages->respond(request, answer);
  if (find<sa_payload>(request.content) != nullptr)
    add_step(*sa, "CHILD_SA", !why, why ? why->text : sa->record.offers.back().chosen);
  if (why) sa->record.failure = *why;
  sa->opening.reset();
  sa->owner->established(sa, contact);
  if (made) sa->owner->child_up(sa, made);
}

}  // namespace trunkgate::ike
