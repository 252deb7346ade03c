// CREATE_CHILD_SA for a new IKE SA in place of the old one (RFC 7296 1.3.2, 2.8.2, 2.18):
//
//   initiator                                            responder
//   SK { SA, Ni, KEi }                              -->
//                                                   <--   SK { SA, Nr, KEr }
//   children move over; then over the old one:
//   SK { D }                                        -->
//                                                   <--   SK { }
#include <algorithm>

#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/followup.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

std::uint64_t new_spi(environment& outside) {
  std::uint64_t out = 0;
  while (out == 0) out = outside.random_number();
  return out;
}

// The new IKE SA, with what it takes over; its initiator is who asked for the rekey.
struct succession {
  settled chosen;
  bytes initiator_nonce, responder_nonce;
  std::uint64_t initiator_spi = 0, responder_spi = 0;
  bool we_initiated = false;
};

result<ike_sa_pointer> make_successor(ike_sa& old, succession from, std::span<const secret> shared) {
  auto next = std::make_shared<ike_sa>(old.outside, *old.owner, old.path(), from.we_initiated, from.initiator_spi,
                                       from.responder_spi);
  next->profile = old.profile;
  next->chosen = std::move(from.chosen);
  next->suite = ike_suite_of(next->chosen);
  next->began = old.began;
  next->authenticated = old.authenticated;
  next->no_more_queues = old.no_more_queues;
  next->seen_as = old.seen_as;
  next->nat_known = old.nat_known;
  next->nat_here = old.nat_here;
  next->nat_there = old.nat_there;
  next->mobike = old.mobike;
  next->peer_addresses = old.peer_addresses;
  next->peer_id = old.peer_id;
  next->peer = old.peer;
  next->record = old.record;
  next->lowest_nonce = std::min(from.initiator_nonce, from.responder_nonce);
  next->number = old.number;
  if (old.messages->fragments_allowed()) next->messages->allow_fragments();
  const exchange_context context{.initiator_nonce = from.initiator_nonce,
                                 .responder_nonce = from.responder_nonce,
                                 .initiator_spi = from.initiator_spi,
                                 .responder_spi = from.responder_spi};
  if (auto used = next->use_keys(rekeyed_keys(next->suite, old.suite.prf, old.keys.d, context, shared)); !used)
    return std::unexpected(used.error());
  next->opening.reset();
  next->state = ike_state::up;
  next->messages->listen();
  old.owner->add(next);
  return next;
}

// Whoever asked for a rekey deletes the old IKE SA. Should that not come, it is gone by then all the same.
constexpr auto farewell_limit = std::chrono::seconds(90);

void close_in_the_end(const ike_sa_pointer& sa) {
  sa->opening_timer.set(sa->outside.clock(), sa->outside.now() + farewell_limit, [weak = std::weak_ptr(sa)] {
    if (const auto here = weak.lock()) close_ike_sa(here, failed(trouble::closed_by_us, "rekeyed"));
  });
}

// RFC 7296 2.8: children belong to the new IKE SA from now on.
void hand_over(ike_sa& old, const ike_sa_pointer& next) {
  next->children = std::move(old.children);
  old.children.clear();
  old.state = ike_state::replaced;
  old.successor = next;
  next->predecessor.reset();
  old.followup.reset();
  for (auto* each : {&old.liveness_timer, &old.rekey_timer, &old.keepalive_timer, &old.reauthentication_timer})
    each->cancel();
  close_in_the_end(old.shared_from_this());
  old.owner->replaced(old.shared_from_this(), next);
  for (auto& [pair, why] : std::exchange(old.deletes_after_rekey, {})) {
    pair->state = child_state::up;
    spawn(next->outside, delete_child(next, pair, why));
  }
}

std::uint16_t method_asked_for(const notify_payload& wrong) {
  return wrong.data.size() == 2 ? static_cast<std::uint16_t>(wrong.data[0] << 8 | wrong.data[1]) : std::uint16_t{0};
}

bool offers(const sa_payload& offer, std::uint16_t method) {
  return std::ranges::any_of(offer.proposals, [method](const auto& one) {
    return std::ranges::contains(one.transforms, transform_choice{transform_type::key_exchange, method, 0});
  });
}

// ---- initiator ----

asio::awaitable<std::expected<ike_sa_pointer, failed_step>> finish(ike_sa_pointer sa, const sa_payload& offer,
                                                                   const key_exchange_start& ke, bytes nonce,
                                                                   std::uint64_t spi, const payloads& content) {
  const auto wrong = [](std::string text) { return std::unexpected(failed(trouble::protocol_error, std::move(text))); };
  const auto* answer = find<sa_payload>(content);
  const auto* theirs = find<key_exchange_payload>(content);
  const auto* their_nonce = find<nonce_payload>(content);
  if (answer == nullptr || theirs == nullptr || their_nonce == nullptr)
    co_return wrong("the peer's answer to the rekey of the IKE SA lacks a payload");
  auto chosen = accept(offer, *answer);
  if (!chosen || chosen->spi.size() != 8 || spi_number(chosen->spi) == 0 || chosen->key_exchange() != ke.method() ||
      theirs->method != ke.method())
    co_return wrong("the peer chose an IKE proposal that we did not offer");
  std::vector<secret> shared;
  auto first = ke.finish(theirs->data);
  if (!first) co_return wrong(first.error().reason);
  shared.push_back(std::move(*first));
  if (auto why = co_await initiate_followups(sa, *chosen, content, shared)) co_return std::unexpected(*why);
  const auto their_spi = spi_number(chosen->spi);
  auto next = make_successor(*sa,
                             {.chosen = std::move(*chosen),
                              .initiator_nonce = std::move(nonce),
                              .responder_nonce = their_nonce->data,
                              .initiator_spi = spi,
                              .responder_spi = their_spi,
                              .we_initiated = true},
                             shared);
  if (!next) co_return std::unexpected(failed(trouble::own_key, next.error().reason, "ike.proposals"));
  co_return *next;
}

// RFC 7296 2.8.2: as with children; whoever loses takes its own new IKE SA away, the winner's takes the children.
asio::awaitable<void> settle(ike_sa_pointer sa, ike_sa_pointer made) {
  if (!sa->up()) {  // the peer's own is in use already, or all is over
    co_await delete_ike_sa(made, failed(trouble::closed_by_us, "both sides rekeyed at once: the other one stays"));
    co_return;
  }
  const auto rival = std::exchange(sa->rival, nullptr);
  if (rival) rival->predecessor.reset();
  if (rival && rival->state == ike_state::up && made->lowest_nonce < rival->lowest_nonce) {
    hand_over(*sa, rival);
    co_await delete_ike_sa(made, failed(trouble::closed_by_us, "both sides rekeyed at once: the other one stays"));
    co_return;
  }
  hand_over(*sa, made);
  if (rival) close_in_the_end(rival);  // by the peer, if it learned of it
  co_await delete_ike_sa(sa, failed(trouble::closed_by_us, "rekeyed"));
}

asio::awaitable<outcome> rekey(ike_sa_pointer sa) {
  const auto spi = new_spi(sa->outside);
  const auto offer = make_offer(sa->profile->ike().proposals, protocol_id::ike, spi_bytes(spi), key_exchanges::kept);
  auto method = sa->chosen.key_exchange();
  for (int round = 0; round < 2; ++round) {
    auto ke = key_exchange_start::make(method);
    if (!ke) co_return failed(trouble::own_key, ke.error().reason, "ike.proposals");
    auto nonce = random_bytes(sa->outside, nonce_size);
    auto end = co_await sa->messages->request(
        exchange_type::create_child_sa,
        {offer, nonce_payload{.data = nonce},
         key_exchange_payload{.method = method, .data = bytes(ke->public_value().begin(), ke->public_value().end())}});
    if (!end.answer) co_return no_answer(end, "CREATE_CHILD_SA");
    if (const auto* error = find_error(end.answer->content)) {
      const auto other = method_asked_for(*error);
      if (error->type == notify::invalid_ke_payload && round == 0 && offers(offer, other)) {
        method = other;
        continue;
      }
      co_return failed(trouble::peer_refused_ike,
                       "the peer answered the rekey of the IKE SA with " + notify::name(error->type), "ike.proposals",
                       error->type);
    }
    auto made = co_await finish(sa, offer, *ke, std::move(nonce), spi, end.answer->content);
    if (!made) co_return made.error();
    add_step(**made, "CREATE_CHILD_SA", true, "rekeyed the IKE SA", end);
    co_await settle(sa, *made);
    co_return std::nullopt;
  }
  co_return failed(trouble::protocol_error, "the peer goes on asking for other groups");
}

}  // namespace

asio::awaitable<outcome> rekey_ike_sa(ike_sa_pointer sa) {
  if (!sa->up() || sa->rekeying || sa->predecessor.lock())
    co_return failed(trouble::closed_by_us, "the IKE SA is being replaced", {}, notify::temporary_failure);
  sa->rekeying = true;
  auto why = co_await rekey(sa);
  sa->rekeying = false;
  if (why) {
    add_step(*sa, "CREATE_CHILD_SA", false, why->text);
    // The peer's own rekey, which waited for the outcome of ours, stands.
    accept_rival(sa);
    if (sa->state == ike_state::replaced) co_return std::nullopt;
  }
  for (auto& [pair, reason] : std::exchange(sa->deletes_after_rekey, {})) {
    if (pair->state != child_state::deleting) continue;
    pair->state = child_state::up;
    spawn(sa->outside, delete_child(sa, pair, reason));
  }
  co_return why;
}

void accept_rival(const ike_sa_pointer& old) {
  const auto rival = std::exchange(old->rival, nullptr);
  if (!rival) return;
  rival->predecessor.reset();
  if (old->up() && rival->up()) hand_over(*old, rival);
}

// ---- responder ----

namespace {

// What is to be answered if it came to nothing; 0: it is there.
std::uint16_t adopt(const ike_sa_pointer& sa, succession from, std::span<const secret> shared) {
  if (!sa->up() || sa->child_exchanges != 0) return notify::temporary_failure;  // RFC 7296 2.25.2
  auto next = make_successor(*sa, std::move(from), shared);
  if (!next) return notify::no_proposal_chosen;
  add_step(**next, "CREATE_CHILD_SA", true, "the peer rekeyed the IKE SA");
  // RFC 7296 2.8.2: while ours is under way it is not decided whose new IKE SA stays.
  if (sa->rekeying) {
    sa->rival = *next;
    (*next)->predecessor = sa;
  } else {
    hand_over(*sa, *next);
  }
  return 0;
}

}  // namespace

asio::awaitable<void> answer_rekey_ike(ike_sa_pointer sa, incoming request) {
  const auto refuse = [&](notify_payload why) { sa->messages->respond(request, {std::move(why)}); };
  if (sa->state == ike_state::opening) co_return refuse(note(notify::invalid_syntax));
  // RFC 7296 2.25.2.
  if (sa->state != ike_state::up || sa->child_exchanges != 0) co_return refuse(note(notify::temporary_failure));
  const auto* offer = find<sa_payload>(request.content);
  const auto* theirs = find<key_exchange_payload>(request.content);
  const auto* nonce = find<nonce_payload>(request.content);
  if (offer == nullptr || nonce == nullptr) co_return refuse(note(notify::invalid_syntax));
  auto chosen = choose(sa->profile->ike().proposals, *offer, protocol_id::ike, key_exchanges::kept);
  if (!chosen || chosen->spi.size() != 8 || spi_number(chosen->spi) == 0)
    co_return refuse(note(notify::no_proposal_chosen));
  const auto method = chosen->key_exchange();
  if (theirs == nullptr || theirs->method != method)
    co_return refuse(
        note(notify::invalid_ke_payload, {static_cast<std::uint8_t>(method >> 8), static_cast<std::uint8_t>(method)}));
  auto answer = answer_key_exchange(method, theirs->data);
  if (!answer) co_return refuse(note(notify::invalid_syntax));

  const auto spi = new_spi(sa->outside);
  succession from{.chosen = *chosen,
                  .initiator_nonce = nonce->data,
                  .responder_nonce = random_bytes(sa->outside, nonce_size),
                  .initiator_spi = spi_number(chosen->spi),
                  .responder_spi = spi,
                  .we_initiated = false};
  payloads out{make_answer(*chosen, protocol_id::ike, spi_bytes(spi)), nonce_payload{.data = from.responder_nonce},
               key_exchange_payload{.method = method, .data = std::move(answer->public_value)}};
  std::vector<secret> shared;
  shared.push_back(std::move(answer->shared));
  if (auto left = chosen->additional(); !left.empty()) {
    auto wanted = std::make_unique<pending_followup>();
    wanted->left = std::move(left);
    wanted->shared = std::move(shared);
    wanted->finish = [sa = sa.get(), from](std::vector<secret> all) -> asio::awaitable<std::uint16_t> {
      co_return adopt(sa->shared_from_this(), from, all);
    };
    expect_followup(*sa, out, std::move(wanted));
    sa->messages->respond(request, out);
    co_return;
  }
  if (const auto error = adopt(sa, std::move(from), shared); error != 0) co_return refuse(note(error));
  sa->messages->respond(request, out);
}

}  // namespace trunkgate::ike
