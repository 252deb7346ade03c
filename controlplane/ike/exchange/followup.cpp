#include "controlplane/ike/exchange/followup.hpp"

#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

constexpr std::size_t link_size = 16;
constexpr auto patience = std::chrono::seconds(70);

asio::awaitable<std::expected<secret, failed_step>> one_followup(ike_sa_pointer sa, std::uint16_t method, bytes& link,
                                                                 bool last) {
  const auto wrong = [](trouble what, std::string text) { return std::unexpected(failed(what, std::move(text))); };
  auto ke = key_exchange_start::make(method);
  if (!ke) co_return wrong(trouble::own_key, ke.error().reason);
  auto end = co_await sa->messages->request(
      exchange_type::ike_followup_ke,
      {key_exchange_payload{.method = method, .data = bytes(ke->public_value().begin(), ke->public_value().end())},
       note(notify::additional_key_exchange, link)});
  if (!end.answer) co_return std::unexpected(no_answer(end, "IKE_FOLLOWUP_KE"));
  if (const auto* error = find_error(end.answer->content))
    co_return std::unexpected(failed(trouble::peer_refused_child,
                                     "the peer answered IKE_FOLLOWUP_KE with " + notify::name(error->type), {},
                                     error->type));
  const auto* theirs = find<key_exchange_payload>(end.answer->content);
  const auto* next = find_notify(end.answer->content, notify::additional_key_exchange);
  if (theirs == nullptr || theirs->method != method || (next == nullptr) != last)
    co_return wrong(trouble::protocol_error, "the peer's IKE_FOLLOWUP_KE is not the one that was agreed on");
  if (next != nullptr) link = next->data;
  auto shared = ke->finish(theirs->data);
  if (!shared) co_return wrong(trouble::protocol_error, shared.error().reason);
  co_return std::move(*shared);
}

}  // namespace

asio::awaitable<outcome> initiate_followups(ike_sa_pointer sa, const settled& chosen, const payloads& answer,
                                            std::vector<secret>& shared) {
  const auto additional = chosen.additional();
  if (additional.empty()) co_return std::nullopt;
  const auto* first = find_notify(answer, notify::additional_key_exchange);
  if (first == nullptr)
    co_return failed(trouble::protocol_error, "the peer chose additional key exchanges and does not begin them");
  auto link = first->data;
  for (std::size_t i = 0; i < additional.size(); ++i) {
    auto one = co_await one_followup(sa, additional[i].method, link, i + 1 == additional.size());
    if (!one) co_return one.error();
    shared.push_back(std::move(*one));
  }
  co_return std::nullopt;
}

void expect_followup(ike_sa& sa, payloads& answer, std::unique_ptr<pending_followup> wanted) {
  wanted->link = random_bytes(sa.outside, link_size);
  answer.push_back(note(notify::additional_key_exchange, wanted->link));
  sa.followup = std::move(wanted);
  // RFC 9370 2.2.4: whoever does not come back is forgotten.
  sa.followup->limit.set(sa.outside.clock(), sa.outside.now() + patience, [&sa] { sa.followup.reset(); });
}

asio::awaitable<void> answer_followup(ike_sa_pointer sa, incoming request) {
  const auto* theirs = find<key_exchange_payload>(request.content);
  const auto* link = find_notify(request.content, notify::additional_key_exchange);
  auto& waiting = sa->followup;
  if (!waiting || link == nullptr || link->data != waiting->link) {
    sa->messages->respond(request, {note(notify::state_not_found)});
    co_return;
  }
  auto answer = theirs != nullptr && theirs->method == waiting->left.front().method
                    ? answer_key_exchange(theirs->method, theirs->data)
                    : result<key_exchange_answer>(failure("another method than was agreed on"));
  if (!answer) {
    waiting.reset();
    sa->messages->respond(request, {note(notify::invalid_syntax)});
    co_return;
  }
  payloads out{key_exchange_payload{.method = theirs->method, .data = std::move(answer->public_value)}};
  waiting->shared.push_back(std::move(answer->shared));
  waiting->left.erase(waiting->left.begin());
  if (!waiting->left.empty()) {
    waiting->link = random_bytes(sa->outside, link_size);
    out.push_back(note(notify::additional_key_exchange, waiting->link));
    sa->messages->respond(request, out);
    co_return;
  }
  const auto done = std::move(waiting);
  done->give_up = nullptr;
  // What was agreed on is in force before the peer can know that it is.
  const auto error = co_await done->finish(std::move(done->shared));
  if (error != 0) out = {note(error)};
  sa->messages->respond(request, out);
}

}  // namespace trunkgate::ike
