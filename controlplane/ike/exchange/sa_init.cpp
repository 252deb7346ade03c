// IKE_SA_INIT (RFC 7296 1.2):
//
//   initiator                                          responder
//   SAi1, KEi, Ni, N(NAT_D..), N(..)             -->
//                                                <--   N(COOKIE) | N(INVALID_KE_PAYLOAD)      perhaps, then once more
//                                                <--   SAr1, KEr, Nr, [CERTREQ], N(NAT_D..), N(..)
#include <algorithm>

#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/nat_detection.hpp"
#include "controlplane/ike/exchange/prove.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

using namespace std::chrono_literals;
constexpr unsigned rounds_limit = 5;  // of cookies and other groups
// RFC 7296 2.21.1: errors in answer to IKE_SA_INIT prove nothing, and we go on asking for some time. A cookie or
// another group is what we can act on: an honest answer that was on its way when somebody else spoke still comes
// before.
constexpr timer_clock::duration refusal_patience = 5s, detour_patience = 100ms;
// A MODP group of 3072 bits and more takes longer than the loop should be held up.
bool is_slow(std::uint16_t method) { return method >= transform_id::modp3072 && method <= transform_id::modp8192; }

bytes hash_numbers() {
  bytes out;
  for (const auto hash : {hash_sha256, hash_sha384, hash_sha512, hash_identity}) {
    out.push_back(static_cast<std::uint8_t>(hash >> 8));
    out.push_back(static_cast<std::uint8_t>(hash));
  }
  return out;
}

std::vector<std::uint16_t> read_hashes(const payloads& in) {
  std::vector<std::uint16_t> out;
  if (const auto* said = find_notify(in, notify::signature_hash_algorithms))
    for (std::size_t i = 0; i + 1 < said->data.size(); i += 2)
      out.push_back(static_cast<std::uint16_t>(said->data[i] << 8 | said->data[i + 1]));
  return out;
}

bool has_additional(const std::vector<proposal_settings>& proposals) {
  return std::ranges::any_of(proposals, [](const auto& one) {
    return std::ranges::any_of(one.transforms,
                               [](const auto& part) { return part.type >= transform_type::additional_ke1; });
  });
}

bool offers_method(const std::vector<proposal_settings>& proposals, std::uint16_t method) {
  const transform_choice wanted{.type = transform_type::key_exchange, .id = method, .key_bits = 0};
  return std::ranges::any_of(proposals, [&](const auto& one) { return std::ranges::contains(one.transforms, wanted); });
}

std::uint16_t first_method(const std::vector<proposal_settings>& proposals) {
  for (const auto& part : proposals.front().transforms)
    if (part.type == transform_type::key_exchange) return part.id;
  return transform_id::ke_none;
}

// A responder says only what the initiator said before (RFC 7383 2.3, RFC 7427 4, RFC 8784 3, RFC 9242 3.1).
void add_capabilities(payloads& to, const ike_sa& sa, const std::vector<proposal_settings>& proposals) {
  const bool first = sa.initiator;
  const auto& opening = *sa.opening;
  if (first || sa.messages->fragments_allowed()) to.push_back(note(notify::ikev2_fragmentation_supported));
  if (first || !opening.peer_hashes.empty()) to.push_back(note(notify::signature_hash_algorithms, hash_numbers()));
  if (has_additional(proposals) && (first || opening.peer_knows_intermediate))
    to.push_back(note(notify::intermediate_exchange_supported));
  if (sa.profile->ike().post_quantum_key && (first || opening.peer_knows_ppk)) to.push_back(note(notify::use_ppk));
}

void learn_capabilities(ike_sa& sa, const payloads& from) {
  if (find_notify(from, notify::ikev2_fragmentation_supported)) sa.messages->allow_fragments();
  sa.opening->peer_hashes = read_hashes(from);
  sa.opening->peer_knows_intermediate = find_notify(from, notify::intermediate_exchange_supported) != nullptr;
  sa.opening->peer_knows_ppk = find_notify(from, notify::use_ppk) != nullptr;
  sa.opening->childless_allowed = find_notify(from, notify::childless_ikev2_supported) != nullptr;
}

void learn_nat(ike_sa& sa, const nat_found& nat) {
  sa.nat_known = nat.known;
  sa.nat_here = nat.here;
  sa.nat_there = nat.there;
  if (nat.here) sa.record.notes.emplace_back("there is a NAT in front of us");
  if (nat.there) sa.record.notes.emplace_back("there is a NAT in front of the peer");
}

// ---- initiator ----

std::uint16_t method_asked_for(const notify_payload& wrong) {
  return wrong.data.size() == 2 ? static_cast<std::uint16_t>(wrong.data[0] << 8 | wrong.data[1]) : std::uint16_t{0};
}

// How long to wait for a better answer than this one to a request with `method`.
timer_clock::duration patience_with(const payloads& answer, const ike_settings& settings, std::uint16_t method) {
  if (find<sa_payload>(answer) && find<key_exchange_payload>(answer) && find<nonce_payload>(answer)) return {};
  if (find_notify(answer, notify::cookie) != nullptr) return detour_patience;
  if (const auto* wrong = find_notify(answer, notify::invalid_ke_payload)) {
    const auto other = method_asked_for(*wrong);
    if (other != method && offers_method(settings.proposals, other)) return detour_patience;
  }
  return refusal_patience;
}

payloads init_payloads(ike_sa& sa, const sa_payload& offer, const key_exchange_start& ke, const bytes& cookie) {
  payloads out;
  if (!cookie.empty()) out.push_back(note(notify::cookie, cookie));
  out.push_back(offer);
  out.push_back(
      key_exchange_payload{.method = ke.method(), .data = bytes(ke.public_value().begin(), ke.public_value().end())});
  out.push_back(nonce_payload{.data = sa.opening->own_nonce});
  // RFC 7296 2.23: the responder's SPI is 0 in what is hashed, too.
  add_nat_detection(out, sa.messages->initiator_spi(), 0, sa.path(), sa.profile->ike().force_encapsulation);
  add_capabilities(out, sa, sa.profile->ike().proposals);
  return out;
}

record_offer offer_record(const ike_sa& sa, const sa_payload& ours) {
  (void)sa;
  return {.what = "ike", .ours = proposal_words(ours), .theirs = {}, .chosen = {}, .differ_in = {}};
}

asio::awaitable<outcome> finish_init(ike_sa_pointer sa, const sa_payload& offer, const key_exchange_start& ke,
                                     exchange_end end) {
  const auto& answer = *end.answer;
  const auto* chosen = find<sa_payload>(answer.content);
  const auto* theirs = find<key_exchange_payload>(answer.content);
  const auto* nonce = find<nonce_payload>(answer.content);
  if (chosen == nullptr || theirs == nullptr || nonce == nullptr || answer.head.responder_spi == 0)
    co_return failed(trouble::protocol_error, "the peer's IKE_SA_INIT lacks a payload");
  auto settled_to = accept(offer, *chosen);
  if (!settled_to || settled_to->key_exchange() != ke.method() || theirs->method != ke.method())
    co_return failed(trouble::protocol_error, "the peer chose a proposal that we did not offer", "ike.proposals");

  sa->messages->set_responder_spi(answer.head.responder_spi);
  sa->opening->peer_nonce = nonce->data;
  sa->opening->request = std::move(end.request.raw);
  sa->opening->response = answer.octets.raw;
  sa->chosen = std::move(*settled_to);
  sa->suite = ike_suite_of(sa->chosen);
  sa->opening->additional = sa->chosen.additional();
  sa->record.offers.back().chosen = proposal_word(sa->chosen.transforms);
  if (!sa->opening->additional.empty() && !find_notify(answer.content, notify::intermediate_exchange_supported))
    co_return failed(trouble::protocol_error, "the peer chose additional key exchanges without IKE_INTERMEDIATE");
  learn_capabilities(*sa, answer.content);

  auto shared = is_slow(ke.method()) ? co_await compute(sa->outside, [&] { return ke.finish(theirs->data); })
                                     : ke.finish(theirs->data);
  if (!shared) co_return failed(trouble::protocol_error, shared.error().reason);
  if (auto used = sa->use_keys(first_keys(sa->suite, sa->context(), shared->bytes())); !used)
    co_return failed(trouble::own_key, used.error().reason, "ike.proposals");

  auto nat = find_nat(answer.content, sa->messages->initiator_spi(), sa->messages->responder_spi(), answer.path);
  learn_nat(*sa, nat);
  if (nat.here || nat.there || sa->profile->ike().force_encapsulation || sa->profile->ike().mobike) {
    // RFC 7296 2.23; RFC 4555 3.3 lets MOBIKE start there too, but only if the peer knows NAT traversal.
    if (nat.known) {
      auto path = sa->path();
      path.local.port = path.remote.port = nat_port;
      sa->messages->set_path(path);
    }
  }
  co_return std::nullopt;
}

failed_step refused(ike_sa& sa, const notify_payload& why) {
  if (why.type == notify::no_proposal_chosen)
    return failed(trouble::no_common_proposal, "the peer takes none of our IKE proposals", "ike.proposals", why.type);
  (void)sa;
  return failed(trouble::peer_refused_ike, "the peer answered IKE_SA_INIT with " + notify::name(why.type), {},
                why.type);
}

}  // namespace

asio::awaitable<outcome> initiate_sa_init(ike_sa_pointer sa) {
  const auto& settings = sa->profile->ike();
  auto method = first_method(settings.proposals);
  const auto offer = make_offer(settings.proposals, protocol_id::ike, {}, key_exchanges::kept);
  sa->record.offers.push_back(offer_record(*sa, offer));
  sa->opening->own_nonce = random_bytes(sa->outside, nonce_size);
  bytes cookie;
  auto ke = key_exchange_start::make(method);
  std::string detours;
  for (unsigned round = 0; round < rounds_limit; ++round) {
    if (!ke) co_return failed(trouble::own_key, ke.error().reason, "ike.proposals");
    sa->messages->begin_again();
    sa->messages->patience = [profile = sa->profile, method](const payloads& answer) {
      return patience_with(answer, profile->ike(), method);
    };
    auto end = co_await sa->messages->request(exchange_type::ike_sa_init, init_payloads(*sa, offer, *ke, cookie));
    if (!end.answer) {
      auto why = no_answer(end, "IKE_SA_INIT");
      add_step(*sa, "IKE_SA_INIT", false, why.text, end);
      co_return why;
    }
    const auto& content = end.answer->content;
    if (const auto* asked = find_notify(content, notify::cookie); asked != nullptr && !asked->data.empty()) {
      cookie = asked->data;
      detours += ", the peer is busy and asked for a cookie";
      continue;
    }
    if (const auto* wrong = find_notify(content, notify::invalid_ke_payload)) {
      const auto other = method_asked_for(*wrong);
      if (other == method || !offers_method(settings.proposals, other)) {
        auto why = failed(trouble::no_common_group,
                          "the peer asks for " + transform_name({transform_type::key_exchange, other, 0}) +
                              ", which none of our proposals has",
                          "ike.proposals", wrong->type);
        add_step(*sa, "IKE_SA_INIT", false, why.text, end);
        co_return why;
      }
      method = other;
      detours += ", the peer asked for " + transform_name({transform_type::key_exchange, other, 0});
      ke = key_exchange_start::make(method);
      continue;
    }
    const auto* error = find_error(content);
    const auto took = end;
    auto why = error != nullptr ? outcome(refused(*sa, *error)) : co_await finish_init(sa, offer, *ke, std::move(end));
    add_step(*sa, "IKE_SA_INIT", !why, why ? why->text : sa->record.offers.back().chosen + detours, took);
    co_return why;
  }
  co_return failed(trouble::protocol_error, "the peer goes on asking for cookies or other groups");
}

// ---- responder ----

namespace {

void send_clear(environment& outside, const init_request& request, std::uint64_t own_spi, const payloads& content) {
  const header head{.initiator_spi = request.head.initiator_spi,
                    .responder_spi = own_spi,
                    .exchange = exchange_type::ike_sa_init,
                    .response = true};
  outside.send(request.path, encode_message(head, content));
}

struct init_choice {
  profile_pointer profile;
  settled chosen;
};
std::optional<init_choice> choose_profile(const std::vector<profile_pointer>& candidates, const sa_payload& offer,
                                          bool intermediate) {
  for (const auto& one : candidates) {
    // Without IKE_INTERMEDIATE there is no additional key exchange (RFC 9370 2.2.1).
    auto proposals = one->ike().proposals;
    if (!intermediate) std::erase_if(proposals, [](const auto& each) { return has_additional({each}); });
    if (auto chosen = choose(proposals, offer, protocol_id::ike, key_exchanges::kept))
      return init_choice{one, std::move(*chosen)};
  }
  return std::nullopt;
}

}  // namespace

ike_sa_pointer answer_sa_init(environment& outside, ike_owner& owner, const init_request& request,
                              const payloads& content, failed_step& why) {
  const auto* offer = find<sa_payload>(content);
  const auto* theirs = find<key_exchange_payload>(content);
  const auto* nonce = find<nonce_payload>(content);
  if (offer == nullptr || theirs == nullptr || nonce == nullptr) {
    why = failed(trouble::protocol_error, "IKE_SA_INIT lacks a payload", {}, notify::invalid_syntax);
    send_clear(outside, request, 0, {note(notify::invalid_syntax)});
    return nullptr;
  }
  const auto candidates = owner.candidates(request.path);
  const bool intermediate = find_notify(content, notify::intermediate_exchange_supported) != nullptr;
  auto choice = choose_profile(candidates, *offer, intermediate);
  if (!choice) {
    why = candidates.empty()
              ? failed(trouble::unknown_peer, "no tunnel is for a peer at " + to_string(request.path.remote.address),
                       {}, notify::no_proposal_chosen)
              : failed(trouble::no_common_proposal, "none of the peer's IKE proposals is one of ours", "ike.proposals",
                       notify::no_proposal_chosen);
    send_clear(outside, request, 0, {note(notify::no_proposal_chosen)});
    return nullptr;
  }
  const auto method = choice->chosen.key_exchange();
  if (theirs->method != method) {
    // RFC 7296 1.2, 2.6.1: nothing is kept; the initiator comes again.
    send_clear(outside, request, 0,
               {note(notify::invalid_ke_payload,
                     {static_cast<std::uint8_t>(method >> 8), static_cast<std::uint8_t>(method)})});
    return nullptr;
  }
  auto answer = answer_key_exchange(method, theirs->data);
  if (!answer) {
    why = failed(trouble::protocol_error, answer.error().reason, {}, notify::invalid_syntax);
    send_clear(outside, request, 0, {note(notify::invalid_syntax)});
    return nullptr;
  }

  std::uint64_t own_spi = 0;
  while (own_spi == 0) own_spi = outside.random_number();
  auto sa = std::make_shared<ike_sa>(outside, owner, request.path, false, request.head.initiator_spi, own_spi);
  sa->profile = choice->profile;
  sa->record.begun = outside.wall_time();
  sa->chosen = std::move(choice->chosen);
  sa->suite = ike_suite_of(sa->chosen);
  sa->opening->additional = sa->chosen.additional();
  sa->opening->own_nonce = random_bytes(outside, nonce_size);
  sa->opening->peer_nonce = nonce->data;
  sa->opening->request.assign(request.datagram.begin(), request.datagram.end());
  sa->opening->peer_offer = *offer;
  learn_capabilities(*sa, content);
  learn_nat(*sa, find_nat(content, request.head.initiator_spi, request.head.responder_spi, request.path));

  payloads out{make_answer(sa->chosen, protocol_id::ike, {}),
               key_exchange_payload{.method = method, .data = std::move(answer->public_value)},
               nonce_payload{.data = sa->opening->own_nonce}};
  add_nat_detection(out, request.head.initiator_spi, own_spi, request.path, sa->profile->ike().force_encapsulation);
  add_certificate_requests(out, *sa->profile);
  add_capabilities(out, *sa, sa->profile->ike().proposals);
  out.push_back(note(notify::childless_ikev2_supported));
  const header head{.initiator_spi = request.head.initiator_spi,
                    .responder_spi = own_spi,
                    .exchange = exchange_type::ike_sa_init,
                    .response = true};
  sa->opening->response = encode_message(head, out);
  outside.send(request.path, sa->opening->response);
  sa->messages->answered_first(sa->opening->request, sa->opening->response);

  if (auto used = sa->use_keys(first_keys(sa->suite, sa->context(), answer->shared.bytes())); !used) {
    why = failed(trouble::own_key, used.error().reason, "ike.proposals");
    return nullptr;
  }
  sa->record.offers.push_back(
      {.what = "ike",
       .ours = proposal_words(make_offer(sa->profile->ike().proposals, protocol_id::ike, {}, key_exchanges::kept)),
       .theirs = proposal_words(*offer),
       .chosen = proposal_word(sa->chosen.transforms),
       .differ_in = {}});
  add_step(*sa, "IKE_SA_INIT", true, sa->record.offers.back().chosen);
  owner.add(sa);
  return sa;
}

}  // namespace trunkgate::ike
