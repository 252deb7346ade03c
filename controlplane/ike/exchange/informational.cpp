// INFORMATIONAL: deletes, liveness, and addresses (RFC 7296 1.4, 1.4.1, 2.4; RFC 4555 3.5).
#include "controlplane/ike/exchange/child.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/followup.hpp"
#include "controlplane/ike/exchange/mobike.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

void close_ike_sa(const ike_sa_pointer& sa, failed_step why) {
  if (sa->state == ike_state::closed) return;
  sa->state = ike_state::closed;
  for (auto* each :
       {&sa->liveness_timer, &sa->rekey_timer, &sa->keepalive_timer, &sa->opening_timer, &sa->reauthentication_timer})
    each->cancel();
  sa->followup.reset();
  for (const auto& pair : std::vector(sa->children)) retire_child(sa, pair, why);
  sa->messages->close();
  sa->owner.closed(sa, why);
}

asio::awaitable<outcome> ask_liveness(ike_sa_pointer sa) {
  auto end = co_await sa->messages->request(exchange_type::informational, {});
  if (end.answer) co_return std::nullopt;
  co_return no_answer(end, "the liveness check");
}

asio::awaitable<void> delete_ike_sa(ike_sa_pointer sa, failed_step why) {
  if (sa->state == ike_state::closed || sa->state == ike_state::deleting) co_return;
  sa->state = ike_state::deleting;
  // The delete of the IKE SA is the delete of its children (RFC 7296 1.4.1).
  (void)co_await sa->messages->request(exchange_type::informational,
                                       {delete_payload{.protocol = protocol_id::ike, .spis = {}}});
  close_ike_sa(sa, std::move(why));
}

asio::awaitable<void> delete_child(ike_sa_pointer sa, child_pointer pair, failed_step why) {
  if (pair->state == child_state::gone || pair->state == child_state::deleting) co_return;
  pair->state = child_state::deleting;
  auto end = co_await sa->messages->request(
      exchange_type::informational,
      {delete_payload{.protocol = protocol_id::esp, .spis = {spi_bytes(pair->inbound_spi)}}});
  retire_child(sa, pair, why);
}

namespace {

// RFC 7296 1.4.1: the peer names the SPIs of its inbound SAs; we answer with the other half of each pair, but of those
// that we are deleting ourselves.
asio::awaitable<bytes> close_named(ike_sa_pointer sa, byte_view spi) {
  if (spi.size() != 4) co_return bytes{};
  const auto pair = sa->find_outbound(static_cast<std::uint32_t>(spi_number(spi)));
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
  for (const auto& one : request.content) {
    const auto* gone = std::get_if<delete_payload>(&one);
    if (gone == nullptr) continue;
    if (gone->protocol == protocol_id::ike) {
      sa->messages->respond(request, {});
      const bool was_replaced = sa->state == ike_state::replaced;
      close_ike_sa(sa, was_replaced ? failed(trouble::closed_by_us, "rekeyed")
                                    : failed(trouble::closed_by_peer, "the peer closed the IKE SA"));
      co_return;
    }
    for (const auto& spi : gone->spis)
      if (auto own = co_await close_named(sa, spi); !own.empty()) closed_here.spis.push_back(std::move(own));
  }
  if (!closed_here.spis.empty()) answer.push_back(std::move(closed_here));
  co_await answer_mobike(sa, request, answer);
  sa->messages->respond(request, answer);
}

asio::awaitable<void> answer_request(ike_sa_pointer sa, incoming request) {
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
