// INFORMATIONAL: deletes, liveness, and addresses (RFC 7296 1.4, 1.4.1, 2.4; RFC 4555 3.5).
#include <algorithm>

#include "controlplane/ike/exchange/child.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/followup.hpp"
#include "controlplane/ike/exchange/mobike.hpp"
#include "controlplane/ike/exchange/nat_detection.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

void close_ike_sa(const ike_sa_pointer& sa, const failed_step& why) {
  if (sa->state == ike_state::closed) return;
  if (const auto rival = std::exchange(sa->rival, nullptr)) {
    rival->predecessor.reset();
    close_ike_sa(rival, why);
  }
  sa->state = ike_state::closed;
  for (auto* each :
       {&sa->liveness_timer, &sa->rekey_timer, &sa->keepalive_timer, &sa->opening_timer, &sa->reauthentication_timer})
    each->cancel();
  sa->followup.reset();
  for (const auto& pair : std::vector(sa->children)) retire_child(sa, pair, why);
  sa->messages->close();
  sa->owner->closed(sa, why);
}

asio::awaitable<outcome> ask_liveness(ike_sa_pointer sa) {
  payloads ask;
  // RFC 4555 3.8: who is behind a NAT asks how the peer sees it now.
  const bool looks = sa->mobike && sa->began && sa->nat_here;
  if (looks)
    add_nat_detection(ask, sa->messages->initiator_spi(), sa->messages->responder_spi(), sa->path(),
                      sa->profile->ike().force_encapsulation);
  auto end = co_await sa->messages->request(exchange_type::informational, std::move(ask));
  if (!end.answer) co_return no_answer(end, "the liveness check");
  if (!looks || !sa->up()) co_return std::nullopt;
  const auto* seen = find_notify(end.answer->content, notify::nat_detection_destination_ip);
  if (seen == nullptr || seen->data == sa->seen_as) co_return std::nullopt;
  const bool first = sa->seen_as.empty();
  sa->seen_as = seen->data;
  if (first) co_return std::nullopt;
  co_return co_await move_ike_sa(sa, sa->path());
}

asio::awaitable<void> delete_ike_sa(ike_sa_pointer sa, failed_step why) {
  if (sa->state == ike_state::closed || sa->state == ike_state::deleting) co_return;
  sa->state = ike_state::deleting;
  if (const auto rival = std::exchange(sa->rival, nullptr)) {
    rival->predecessor.reset();
    spawn(sa->outside, delete_ike_sa(rival, why));
  }
  // The delete of the IKE SA is the delete of its children (RFC 7296 1.4.1).
  (void)co_await sa->messages->request(exchange_type::informational,
                                       {delete_payload{.protocol = protocol_id::ike, .spis = {}}});
  close_ike_sa(sa, why);
}

asio::awaitable<void> delete_child(ike_sa_pointer sa, child_pointer pair, failed_step why) {
  if (pair->state == child_state::gone || pair->state == child_state::deleting) co_return;
  while (const auto next = sa->successor.lock()) sa = next;
  pair->state = child_state::deleting;
  if (sa->rekeying) {  // RFC 7296 2.25.2: over the IKE SA that has the child afterwards
    sa->deletes_after_rekey.emplace_back(std::move(pair), std::move(why));
    co_return;
  }
  ++sa->child_exchanges;
  // What has taken its place carries the packets before the peer hears of it: its answer may be long in coming.
  const bool has_heir = std::ranges::any_of(sa->children, [&](const auto& other) {
    return other != pair && other->index == pair->index && other->worker == pair->worker && !other->waiting_outbound &&
           other->state != child_state::deleting;
  });
  if (has_heir) (void)co_await sa->outside.sink().remove(pair->inbound_spi, sa_directions::outbound);
  (void)co_await sa->messages->request(
      exchange_type::informational,
      {delete_payload{.protocol = protocol_id::esp, .spis = {spi_bytes(pair->inbound_spi)}}});
  --sa->child_exchanges;
  retire_child(sa, pair, why);
}

namespace {

// RFC 7296 1.4.1: the peer names the SPIs of its inbound SAs; we answer with the other half of each pair, but of those
// that we are deleting ourselves.
asio::awaitable<bytes> close_named(ike_sa_pointer sa, byte_view spi) {
  if (spi.size() != 4) co_return bytes{};
  const auto number = static_cast<std::uint32_t>(spi_number(spi));
  auto pair = sa->find_outbound(number);
  // It may have moved to the IKE SA in place of this one before the peer knew.
  for (auto next = sa->successor.lock(); !pair && next; next = next->successor.lock()) {
    pair = next->find_outbound(number);
    if (pair) sa = next;
  }
  if (!pair || pair->state == child_state::gone) co_return bytes{};
  const bool ours_too = pair->state == child_state::deleting;
  if (const auto heir = pair->rival.lock()) co_await switch_outbound(sa, heir);
  const auto own = spi_bytes(pair->inbound_spi);
  retire_child(sa, pair, failed(trouble::closed_by_peer, "the peer deleted it"));
  co_return ours_too ? bytes{} : own;
}

}  // namespace

asio::awaitable<void> answer_informational(ike_sa_pointer sa, incoming request) {
  payloads answer;
  delete_payload closed_here{.protocol = protocol_id::esp, .spis = {}};
  // RFC 7296 2.21.2: the initiator did not believe us.
  const bool disbelieved = find_notify(request.content, notify::authentication_failed) != nullptr;
  for (const auto& one : request.content) {
    const auto* gone = std::get_if<delete_payload>(&one);
    if (gone == nullptr && !disbelieved) continue;
    if (disbelieved || gone->protocol == protocol_id::ike) {
      sa->messages->respond(request, {});
      accept_rival(sa);
      const bool was_replaced = sa->state == ike_state::replaced;
      close_ike_sa(
          sa, was_replaced ? failed(trouble::closed_by_us, "rekeyed")
              : disbelieved
                  ? failed(trouble::peer_refused_us, "the peer does not believe who we are (AUTHENTICATION_FAILED)",
                           "local.id", notify::authentication_failed)
                  : failed(trouble::closed_by_peer, "the peer closed the IKE SA (it sent a delete)"));
      co_return;
    }
    if (gone->protocol != protocol_id::esp) continue;
    for (const auto& spi : gone->spis)
      if (auto own = co_await close_named(sa, spi); !own.empty()) closed_here.spis.push_back(std::move(own));
  }
  if (!closed_here.spis.empty()) answer.push_back(std::move(closed_here));
  co_await answer_mobike(sa, request, answer);
  sa->messages->respond(request, answer);
}

namespace {

bool closes_ike(const payloads& in) {
  return std::ranges::any_of(in, [](const auto& one) {
    const auto* gone = std::get_if<delete_payload>(&one);
    return gone != nullptr && gone->protocol == protocol_id::ike;
  });
}

}  // namespace

asio::awaitable<void> answer_request(ike_sa_pointer sa, incoming request) {
  // Whoever uses a new IKE SA has decided that it stays.
  if (const auto old = sa->predecessor.lock(); old && !closes_ike(request.content)) accept_rival(old);
  switch (request.head.exchange) {
    case exchange_type::ike_intermediate: co_await answer_intermediate(sa, std::move(request)); co_return;
    case exchange_type::ike_auth: co_await answer_auth(sa, std::move(request)); co_return;
    case exchange_type::create_child_sa: co_await answer_create_child_sa(sa, std::move(request)); co_return;
    case exchange_type::ike_followup_ke: co_await answer_followup(sa, std::move(request)); co_return;
    case exchange_type::informational: co_await answer_informational(sa, std::move(request)); co_return;
    case exchange_type::ike_sa_init: break;
  }
  sa->messages->respond(request, {note(notify::invalid_syntax)});
}

}  // namespace trunkgate::ike
