// IKE_AUTH, the initiator's side (RFC 7296 1.2; RFC 6023 without the child):
//
//   initiator                                                     responder
//   SK { IDi, [CERT,] [CERTREQ,] [IDr,] AUTH,
//        [SAi2, TSi, TSr,] N(..) }                         -->
//                                                          <--    SK { IDr, [CERT,] AUTH, [SAr2, TSi, TSr,] N(..) }
#include "controlplane/ike/exchange/child.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/prove.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

constexpr std::uint8_t ppk_fixed = 2;  // RFC 8784 5.1

bytes ppk_identity(const post_quantum_key_settings& ppk) {
  bytes out{ppk_fixed};
  out.insert(out.end(), ppk.id.begin(), ppk.id.end());
  return out;
}

struct proof {
  payloads content;
  std::optional<ike_keys> mixed;  // with the PPK, should the peer have it
};

// IDi to AUTH, with the PPK's notifies.
asio::awaitable<std::expected<proof, failed_step>> prove_ourselves(ike_sa_pointer sa, std::uint32_t auth_id) {
  const auto& profile = *sa->profile;
  proof out;
  const auto own = own_identity(*sa);
  out.content.push_back(id_of{.initiator = true, .id = own});
  if (profile.ike().private_key) add_certificates(out.content, profile);
  add_certificate_requests(out.content, profile);
  if (profile.remote_id) out.content.push_back(id_of{.initiator = false, .id = *profile.remote_id});

  const auto& ppk = profile.ike().post_quantum_key;
  if (ppk && !sa->opening->peer_knows_ppk && ppk->required)
    co_return std::unexpected(
        failed(trouble::post_quantum_key, "the peer knows no post-quantum pre-shared keys", "ike.post_quantum_key"));
  if (ppk && sa->opening->peer_knows_ppk) {
    auto mixed = co_await mixed_with_ppk(sa);
    if (!mixed) co_return std::unexpected(failed(trouble::own_key, mixed.error().reason, "ike.post_quantum_key"));
    out.mixed = std::move(*mixed);
    out.content.push_back(note(notify::ppk_identity, ppk_identity(*ppk)));
    if (!ppk->required) {
      auto plain = co_await make_auth(sa, signed_octets(*sa, {.initiator = true, .id = own}, sa->keys.pi, auth_id));
      if (!plain) co_return std::unexpected(failed(trouble::own_key, plain.error().reason, "local.key"));
      out.content.push_back(note(notify::no_ppk_auth, std::move(plain->data)));
    }
  }
  const auto& pi = out.mixed ? out.mixed->pi : sa->keys.pi;
  auto auth = co_await make_auth(sa, signed_octets(*sa, {.initiator = true, .id = own}, pi, auth_id));
  if (!auth)
    co_return std::unexpected(failed(trouble::own_key, auth.error().reason, profile.ike().psk ? "psk" : "local.key"));
  out.content.push_back(std::move(*auth));
  co_return out;
}

void add_notifies(payloads& to, const ike_sa& sa) {
  if (sa.owner->first_contact(sa)) to.push_back(note(notify::initial_contact));
  to.push_back(window_size());
  if (sa.profile->ike().mobike) to.push_back(note(notify::mobike_supported));
}

// The peer proved who it is: from here on the IKE SA is up, whatever becomes of the child.
asio::awaitable<outcome> check_answer(ike_sa_pointer sa, const incoming& answer, std::optional<ike_keys> mixed) {
  const bool with_ppk = mixed && find_notify(answer.content, notify::ppk_identity) != nullptr;
  const auto& ppk = sa->profile->ike().post_quantum_key;
  if (ppk && ppk->required && !with_ppk)
    co_return failed(trouble::post_quantum_key, "the peer did not use the post-quantum pre-shared key",
                     "ike.post_quantum_key");
  if (with_ppk) sa->keys = std::move(*mixed);
  auto claimed = read_identity(answer.content, false);
  if (!claimed) co_return failed(trouble::protocol_error, "the peer's IKE_AUTH lacks ID or AUTH");
  auto octets = signed_octets(*sa, claimed->said, sa->keys.pr, answer.head.message_id);
  if (auto why = co_await check_peer(sa, *claimed, std::move(octets))) co_return why;
  if (with_ppk) sa->record.notes.emplace_back("a post-quantum pre-shared key is mixed in");
  sa->mobike = sa->profile->ike().mobike && find_notify(answer.content, notify::mobike_supported) != nullptr;
  co_return std::nullopt;
}

asio::awaitable<outcome> take_first_child(ike_sa_pointer sa, const child_request& request, const incoming& answer,
                                          const child_ingredients& from) {
  auto agreed = read_child_answer(*sa, request, answer.content);
  if (!agreed) {
    sa->outside.sink().release_spi(request.inbound_spi);
    if (find_error(answer.content) == nullptr) disown_child(sa, request.inbound_spi);
    co_return agreed.error();
  }
  auto pair = co_await install_child(sa, *agreed, from, nullptr);
  if (!pair) {
    disown_child(sa, request.inbound_spi);
    co_return pair.error();
  }
  sa->owner->child_up(sa, *pair);
  co_return std::nullopt;
}

// An exchange of its own, because what it is about is a response (RFC 7296 2.21.2).
asio::awaitable<void> reject_responder(ike_sa_pointer sa, failed_step why) {
  (void)co_await sa->messages->request(
      exchange_type::informational,
      {note(notify::authentication_failed), delete_payload{.protocol = protocol_id::ike, .spis = {}}});
  close_ike_sa(sa, why);
}

failed_step refused_us(const ike_sa& sa, const notify_payload& error) {
  const auto& profile = *sa.profile;
  const bool by_psk = !profile.ike().private_key;
  if (error.type == notify::authentication_failed)
    return failed(trouble::peer_refused_us,
                  "the peer does not believe us (AUTHENTICATION_FAILED): we say we are " + to_string(own_identity(sa)) +
                      (by_psk ? ", proved by the pre-shared key (psk)," : ", proved by our certificate,") +
                      (profile.remote_id ? " and look for " + to_string(*profile.remote_id) : ""),
                  "local.id", error.type);
  return failed(trouble::peer_refused_us, "the peer answered IKE_AUTH with " + notify::name(error.type), {},
                error.type);
}

std::string who(const ike_sa& sa) {
  auto out = "the peer is " + (sa.record.peer_subject.empty() ? sa.record.peer_id : sa.record.peer_subject);
  return out;
}

}  // namespace

asio::awaitable<outcome> initiate_auth(ike_sa_pointer sa, std::optional<std::size_t> first) {
  const auto auth_id = sa->messages->position().next_request;
  auto proved = co_await prove_ourselves(sa, auth_id);
  if (!proved) co_return proved.error();
  add_notifies(proved->content, *sa);
  const child_ingredients from{.initiator_nonce = sa->opening->own_nonce,
                               .responder_nonce = sa->opening->peer_nonce,
                               .we_initiated = true,
                               .shared = {}};
  std::optional<child_request> wanted;
  if (first) wanted = ask_for_child(*sa, *first, nullptr, std::nullopt, key_exchanges::left_out, proved->content);
  auto end = co_await sa->messages->request(exchange_type::ike_auth, std::move(proved->content));
  const auto give_up = [&](failed_step why) {
    if (wanted) sa->outside.sink().release_spi(wanted->inbound_spi);
    add_step(*sa, "IKE_AUTH", false, why.text, end);
    return why;
  };
  if (!end.answer) co_return give_up(no_answer(end, "IKE_AUTH"));
  const auto& answer = *end.answer;
  // An error beside AUTH concerns the child alone (RFC 7296 1.2, 2.21.2).
  if (const auto* error = find_error(answer.content); error != nullptr && !find<authentication_payload>(answer.content))
    co_return give_up(refused_us(*sa, *error));
  auto doubt = co_await check_answer(sa, answer, std::move(proved->mixed));
  if (!doubt && sa->state != ike_state::opening)
    doubt = failed(trouble::closed_by_us, "the IKE SA was closed meanwhile");
  if (doubt) {
    // RFC 7296 2.21.2: the responder thinks that it is up, and is told that it is not.
    if (sa->state == ike_state::opening) {
      sa->state = ike_state::deleting;
      spawn(sa->outside, reject_responder(sa, *doubt));
    }
    co_return give_up(*doubt);
  }
  add_step(*sa, "IKE_AUTH", true, who(*sa), end);
  sa->state = ike_state::up;
  sa->since = sa->authenticated = sa->outside.now();
  sa->messages->listen();
  sa->opening->request.clear();
  sa->owner->established(sa, find_notify(answer.content, notify::initial_contact) != nullptr);
  outcome child_trouble;
  if (wanted) {
    child_trouble = co_await take_first_child(sa, *wanted, answer, from);
    add_step(*sa, "CHILD_SA", !child_trouble, child_trouble ? child_trouble->text : sa->record.offers.back().chosen);
    if (child_trouble) sa->record.failure = *child_trouble;
  }
  sa->opening.reset();
  co_return child_trouble;
}

asio::awaitable<outcome> open_ike_sa(ike_sa_pointer sa, std::optional<std::size_t> first) {
  sa->record.begun = sa->outside.wall_time();
  sa->record.initiator = true;
  auto why = co_await initiate_sa_init(sa);
  if (!why) why = co_await initiate_intermediate(sa);
  if (!why && sa->profile->ike().childless && sa->opening->childless_allowed) first = std::nullopt;
  if (!why) why = co_await initiate_auth(sa, first);
  if (why && sa->state == ike_state::opening) close_ike_sa(sa, *why);
  co_return why;
}

}  // namespace trunkgate::ike
