// IKE_INTERMEDIATE with one additional key exchange each (RFC 9242, RFC 9370 2.2.2):
//
//   initiator                        responder
//   SK { KEi(n) }              -->
//                              <--   SK { KEr(n) }          both: new keys for everything that follows
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

// RFC 9242 3.3.2: IntAuth_n = prf(SK_p, IntAuth_(n-1) | the message), each side with its own key of this moment.
bytes chained(const ike_sa& sa, const secret& key, const bytes& before, const bytes& message) {
  const auto next = compute_prf(sa.suite.prf, key.bytes(), {before, message});
  return bytes(next.bytes().begin(), next.bytes().end());
}

void chain_messages(ike_sa& sa, const bytes& request, const bytes& response) {
  auto& from_initiator = sa.initiator ? sa.opening->own_auth_chain : sa.opening->peer_auth_chain;
  auto& from_responder = sa.initiator ? sa.opening->peer_auth_chain : sa.opening->own_auth_chain;
  from_initiator = chained(sa, sa.keys.pi, from_initiator, request);
  from_responder = chained(sa, sa.keys.pr, from_responder, response);
  ++sa.opening->intermediates;
}

std::string method_name(std::uint16_t method) { return transform_name({transform_type::key_exchange, method, 0}); }

asio::awaitable<outcome> one_exchange(ike_sa_pointer sa, std::uint16_t method) {
  auto ke = key_exchange_start::make(method);
  if (!ke) co_return failed(trouble::own_key, ke.error().reason, "ike.proposals");
  payloads ask{
      key_exchange_payload{.method = method, .data = bytes(ke->public_value().begin(), ke->public_value().end())}};
  auto end = co_await sa->messages->request(exchange_type::ike_intermediate, std::move(ask));
  if (!end.answer) co_return no_answer(end, "IKE_INTERMEDIATE");
  if (const auto* error = find_error(end.answer->content))
    co_return failed(trouble::peer_refused_ike, "the peer answered IKE_INTERMEDIATE with " + notify::name(error->type),
                     "ike.proposals", error->type);
  const auto* theirs = find<key_exchange_payload>(end.answer->content);
  if (theirs == nullptr || theirs->method != method)
    co_return failed(trouble::protocol_error,
                     "the peer's IKE_INTERMEDIATE has no key exchange of " + method_name(method));
  auto shared = ke->finish(theirs->data);
  if (!shared) co_return failed(trouble::protocol_error, shared.error().reason);
  chain_messages(*sa, end.request.plain, end.answer->octets.plain);
  if (auto used = sa->use_keys(next_keys(sa->suite, sa->context(), sa->keys.d, shared->bytes())); !used)
    co_return failed(trouble::own_key, used.error().reason, "ike.proposals");
  add_step(*sa, "IKE_INTERMEDIATE", true, method_name(method), end);
  co_return std::nullopt;
}

}  // namespace

asio::awaitable<outcome> initiate_intermediate(ike_sa_pointer sa) {
  for (const auto& each : sa->opening->additional)
    if (auto why = co_await one_exchange(sa, each.method)) {
      add_step(*sa, "IKE_INTERMEDIATE", false, why->text);
      co_return why;
    }
  co_return std::nullopt;
}

asio::awaitable<void> answer_intermediate(ike_sa_pointer sa, incoming request) {
  if (sa->initiator || sa->state != ike_state::opening) {
    sa->messages->respond(request, {note(notify::invalid_syntax)});
    co_return;
  }
  auto& waiting = sa->opening->additional;
  const auto* theirs = find<key_exchange_payload>(request.content);
  if (waiting.empty() || theirs == nullptr || theirs->method != waiting.front().method) {
    sa->messages->respond(request, {note(notify::invalid_syntax)});
    close_ike_sa(sa, failed(trouble::protocol_error, "the peer's IKE_INTERMEDIATE is not the one that was agreed on"));
    co_return;
  }
  auto answer = answer_key_exchange(theirs->method, theirs->data);
  if (!answer) {
    sa->messages->respond(request, {note(notify::invalid_syntax)});
    close_ike_sa(sa, failed(trouble::protocol_error, answer.error().reason));
    co_return;
  }
  const auto sent = sa->messages->respond(
      request, {key_exchange_payload{.method = theirs->method, .data = std::move(answer->public_value)}});
  chain_messages(*sa, request.octets.plain, sent.plain);
  add_step(*sa, "IKE_INTERMEDIATE", true, method_name(theirs->method));
  waiting.erase(waiting.begin());
  if (auto used = sa->use_keys(next_keys(sa->suite, sa->context(), sa->keys.d, answer->shared.bytes())); !used)
    close_ike_sa(sa, failed(trouble::own_key, used.error().reason, "ike.proposals"));
}

}  // namespace trunkgate::ike
