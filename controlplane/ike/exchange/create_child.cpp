// CREATE_CHILD_SA for a child, new or in place of an old one (RFC 7296 1.3.1, 1.3.3; RFC 9370 2.2.4):
//
//   initiator                                            responder
//   SK { [N(REKEY_SA),] SA, Ni, [KEi,] TSi, TSr }   -->
//                                                   <--   SK { SA, Nr, [KEr,] TSi, TSr }
//   then, if it was a rekey:  SK { D(old) }         -->
//                                                   <--   SK { D(old) }
#include <algorithm>

#include "controlplane/ike/exchange/child.hpp"
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/followup.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

std::uint16_t first_method(const std::vector<proposal_settings>& proposals) {
  for (const auto& part : proposals.front().transforms)
    if (part.type == transform_type::key_exchange) return part.id;
  return transform_id::ke_none;
}

std::string method_name(std::uint16_t method) { return transform_name({transform_type::key_exchange, method, 0}); }

std::uint16_t method_asked_for(const notify_payload& wrong) {
  return wrong.data.size() == 2 ? static_cast<std::uint16_t>(wrong.data[0] << 8 | wrong.data[1]) : std::uint16_t{0};
}

bool offers(const sa_payload& offer, std::uint16_t method) {
  for (const auto& one : offer.proposals)
    for (const auto& part : one.transforms)
      if (part.type == transform_type::key_exchange && part.id == method) return true;
  return false;
}

// ---- initiator ----

struct asked {
  child_request request;
  bytes nonce;
  std::optional<key_exchange_start> ke;
  exchange_end end;
};

asio::awaitable<std::expected<asked, failed_step>> ask(ike_sa_pointer sa, std::size_t index, child_pointer old,
                                                       std::optional<std::uint16_t> worker, std::uint16_t method) {
  asked out;
  out.nonce = random_bytes(sa->outside, nonce_size);
  payloads content;
  if (old)
    content.push_back(notify_payload{
        .type = notify::rekey_sa, .data = {}, .protocol = protocol_id::esp, .spi = spi_bytes(old->inbound_spi)});
  out.request = ask_for_child(*sa, index, old, worker, key_exchanges::kept, content);
  content.push_back(nonce_payload{.data = out.nonce});
  if (method != transform_id::ke_none) {
    auto ke = key_exchange_start::make(method);
    if (!ke) {
      sa->outside.sink().release_spi(out.request.inbound_spi);
      co_return std::unexpected(failed(trouble::own_key, ke.error().reason, child_path(*sa->profile, index) + ".esp"));
    }
    content.push_back(
        key_exchange_payload{.method = method, .data = bytes(ke->public_value().begin(), ke->public_value().end())});
    out.ke.emplace(std::move(*ke));
  }
  out.end = co_await sa->messages->request(exchange_type::create_child_sa, std::move(content));
  co_return out;
}

asio::awaitable<std::expected<child_pointer, failed_step>> finish(ike_sa_pointer sa, asked from) {
  const auto& content = from.end.answer->content;
  auto agreed = read_child_answer(*sa, from.request, content);
  if (!agreed) co_return std::unexpected(agreed.error());
  const auto* nonce = find<nonce_payload>(content);
  if (nonce == nullptr) co_return std::unexpected(failed(trouble::protocol_error, "the peer's answer lacks a nonce"));
  child_ingredients ingredients{
      .initiator_nonce = from.nonce, .responder_nonce = nonce->data, .we_initiated = true, .shared = {}};
  if (const auto method = agreed->chosen.key_exchange(); method != transform_id::ke_none) {
    const auto* theirs = find<key_exchange_payload>(content);
    if (!from.ke || theirs == nullptr || theirs->method != method || from.ke->method() != method)
      co_return std::unexpected(failed(trouble::protocol_error, "the peer's key exchange is not the one it chose"));
    auto shared = from.ke->finish(theirs->data);
    if (!shared) co_return std::unexpected(failed(trouble::protocol_error, shared.error().reason));
    ingredients.shared.push_back(std::move(*shared));
  }
  if (auto why = co_await initiate_followups(sa, agreed->chosen, content, ingredients.shared))
    co_return std::unexpected(*why);
  co_return co_await install_child(sa, *agreed, ingredients, from.request.old);
}

// RFC 7296 2.8.1: both of us rekeyed `old` at once. Of the two that came of it the one made with the lowest of the four
// nonces goes, by the hand of who asked for it; the other one's maker takes the old one away.
bool ours_survives(const child& mine, const child& theirs) { return mine.lowest_nonce > theirs.lowest_nonce; }

asio::awaitable<void> settle_rekey(ike_sa_pointer sa, child_pointer old, child_pointer made) {
  const auto rival = old->rival.lock();
  if (rival && rival->state != child_state::gone && !ours_survives(*made, *rival)) {
    // The peer has ours. Whether it has its own already we learn when it deletes the old one.
    if (rival->waiting_outbound) {
      rival->outdone = made;
      made->leaving = true;
    } else
      co_await delete_child(sa, made, failed(trouble::closed_by_us, "both sides rekeyed at once: the other one stays"));
    co_return;
  }
  if (old->state != child_state::gone) co_await delete_child(sa, old, failed(trouble::closed_by_us, "rekeyed"));
}

failed_step refusal_of(const child_request& request, const notify_payload& error) {
  const auto path = child_path(*request.profile, request.index) + ".esp";
  const auto& old = request.old;
  if (error.type == notify::invalid_ke_payload)
    return failed(trouble::key_exchange_refused,
                  "the peer asks for " + method_name(method_asked_for(error)) + " as the child's key exchange (PFS)",
                  path, error.type);
  // RFC 7296 1.2: with IKE_AUTH nobody said what key exchange it wants. The rest was agreed on.
  if (error.type == notify::no_proposal_chosen && old && old->of_ike_auth)
    return failed(trouble::key_exchange_refused,
                  "the peer took this child with IKE_AUTH and refuses the same with our key exchange (PFS), " +
                      method_name(first_method(request.profile->settings.children[request.index].esp)),
                  path, error.type);
  return failed(trouble::none, {}, {}, error.type);
}

asio::awaitable<outcome> create(ike_sa_pointer sa, std::string name, child_pointer old,
                                std::optional<std::uint16_t> worker) {
  auto method = transform_id::ke_none;
  for (int round = 0; round < 2; ++round) {
    // The configuration may have changed meanwhile.
    const auto& all = sa->profile->settings.children;
    const auto here = std::ranges::find(all, name, &child_settings::name);
    if (here == all.end() || (round != 0 && !sa->up()))
      co_return failed(trouble::closed_by_us, "it was closed or changed meanwhile");
    if (round == 0) method = first_method(here->esp);
    auto from = co_await ask(sa, static_cast<std::size_t>(here - all.begin()), old, worker, method);
    if (!from) co_return from.error();
    const auto spi = from->request.inbound_spi;
    const auto give_up = [&](failed_step why) {
      sa->outside.sink().release_spi(spi);
      add_step(*sa, "CREATE_CHILD_SA", false, why.text, from->end);
      return why;
    };
    if (!from->end.answer) co_return give_up(no_answer(from->end, "CREATE_CHILD_SA"));
    const auto* error = find_error(from->end.answer->content);
    if (error != nullptr && error->type == notify::invalid_ke_payload && round == 0) {
      const auto other = method_asked_for(*error);
      if (other != method && offers(from->request.offer, other)) {
        sa->outside.sink().release_spi(spi);
        method = other;
        continue;
      }
    }
    if (error != nullptr)
      if (auto why = refusal_of(from->request, *error); why.what != trouble::none) co_return give_up(why);
    const auto took = from->end.took;
    const auto sent = from->end.sent;
    auto made = co_await finish(sa, std::move(*from));
    if (!made) {
      sa->outside.sink().release_spi(spi);
      if (error == nullptr) disown_child(sa, spi);
      add_step(*sa, "CREATE_CHILD_SA", false, made.error().text);
      co_return made.error();
    }
    add_step(*sa, "CREATE_CHILD_SA", true, std::string(old ? "rekeyed " : "made ") + "children." + name);
    sa->record.steps.back().took = std::chrono::duration_cast<std::chrono::milliseconds>(took);
    sa->record.steps.back().sent = sent;
    sa->owner->child_up(sa, *made);
    if (old) co_await settle_rekey(sa, old, *made);
    co_return std::nullopt;
  }
  co_return failed(trouble::protocol_error, "the peer goes on asking for other groups");
}

}  // namespace

asio::awaitable<outcome> create_child(ike_sa_pointer sa, std::size_t index, child_pointer old,
                                      std::optional<std::uint16_t> worker) {
  if (!sa->up() || sa->rekeying || sa->predecessor.lock() || index >= sa->profile->settings.children.size())
    co_return failed(trouble::closed_by_us, "the IKE SA is being replaced", {}, notify::temporary_failure);
  if (old && old->state != child_state::up) co_return failed(trouble::closed_by_us, "the child is being replaced");
  if (old) old->state = child_state::rekeying;
  ++sa->child_exchanges;
  auto why = co_await create(sa, sa->profile->settings.children[index].name, old, old ? old->worker : worker);
  --sa->child_exchanges;
  // RFC 7296 2.8: when nothing came of it the old one goes on.
  if (old && old->state == child_state::rekeying) old->state = child_state::up;
  co_return why;
}

// ---- responder ----

namespace {

// Why a request can't be served at this moment (RFC 7296 2.25); 0: it can.
std::uint16_t not_now(const ike_sa& sa, const notify_payload* rekeys, child_pointer& old) {
  if (sa.state == ike_state::opening) return notify::invalid_syntax;
  if (sa.state != ike_state::up || sa.rekeying) return notify::temporary_failure;
  if (rekeys == nullptr) return 0;
  old = rekeys->spi.size() == 4 ? sa.find_outbound(static_cast<std::uint32_t>(spi_number(rekeys->spi))) : nullptr;
  if (!old || old->state == child_state::gone)
    // What we are asking for ourselves the peer has before us; what we delete it may not know of yet.
    return sa.child_exchanges != 0 ? notify::temporary_failure : notify::child_sa_not_found;
  if (old->state == child_state::deleting || old->leaving) return notify::temporary_failure;
  return 0;
}

// What is to be answered if it could not be installed; 0: it is.
asio::awaitable<std::uint16_t> install_agreed(ike_sa_pointer sa, agreed_child agreed, child_ingredients from,
                                              child_pointer old) {
  const auto name = child_path(*agreed.profile, agreed.index);
  auto pair = co_await install_child(sa, agreed, from, old);
  if (!pair) {
    add_step(*sa, "CREATE_CHILD_SA", false, name + ": " + pair.error().text);
    sa->owner->warned(sa, pair.error());
    co_return notify::no_additional_sas;
  }
  if (old) old->rival = *pair;
  add_step(*sa, "CREATE_CHILD_SA", true, (old ? "the peer rekeyed " : "the peer made ") + name);
  sa->owner->child_up(sa, *pair);
  co_return std::uint16_t{0};
}

asio::awaitable<std::uint16_t> refuse_followup() { co_return notify::temporary_failure; }

struct own_part {
  bytes nonce;
  std::optional<key_exchange_answer> ke;
};
// Our nonce and key exchange; on failure the notify that says so.
std::expected<own_part, notify_payload> answer_exchange(ike_sa& sa, const agreed_child& agreed,
                                                        const payloads& content) {
  own_part out{.nonce = random_bytes(sa.outside, nonce_size), .ke = {}};
  const auto method = agreed.chosen.key_exchange();
  if (method == transform_id::ke_none) return out;
  const auto* theirs = find<key_exchange_payload>(content);
  if (theirs == nullptr || theirs->method != method)
    return std::unexpected(
        note(notify::invalid_ke_payload, {static_cast<std::uint8_t>(method >> 8), static_cast<std::uint8_t>(method)}));
  auto answer = answer_key_exchange(method, theirs->data);
  if (!answer) return std::unexpected(note(notify::invalid_syntax));
  out.ke = std::move(*answer);
  return out;
}

}  // namespace

asio::awaitable<void> answer_new_child(ike_sa_pointer sa, incoming request) {
  const auto* rekeys = find_notify(request.content, notify::rekey_sa);
  const auto* nonce = find<nonce_payload>(request.content);
  child_pointer old;
  auto refuse = [&](notify_payload why) { sa->messages->respond(request, {std::move(why)}); };
  if (const auto type = not_now(*sa, rekeys, old); type != 0) {
    auto why = note(type);
    if (type == notify::child_sa_not_found) {  // RFC 7296 2.25: it names the child that is not there
      why.protocol = protocol_id::esp;
      why.spi = rekeys->spi;
    }
    co_return refuse(std::move(why));
  }
  if (nonce == nullptr) co_return refuse(note(notify::invalid_syntax));
  auto agreed = agree_to_child(*sa, request.content, key_exchanges::kept, old);
  if (!agreed) {
    auto why = std::move(agreed.error());
    if (why.what == trouble::no_common_child_proposal && old && old->of_ike_auth)
      why.what = trouble::key_exchange_refused;
    add_step(*sa, "CREATE_CHILD_SA", false, why.text);
    refuse(note(why.notify));
    sa->owner->warned(sa, why);
    co_return;
  }
  auto own = answer_exchange(*sa, *agreed, request.content);
  if (!own) {
    sa->outside.sink().release_spi(agreed->inbound_spi);
    co_return refuse(std::move(own.error()));
  }
  payloads answer;
  answer_child(*sa, *agreed, answer);
  answer.push_back(nonce_payload{.data = own->nonce});
  child_ingredients from{
      .initiator_nonce = nonce->data, .responder_nonce = own->nonce, .we_initiated = false, .shared = {}};
  if (own->ke) {
    answer.push_back(
        key_exchange_payload{.method = agreed->chosen.key_exchange(), .data = std::move(own->ke->public_value)});
    from.shared.push_back(std::move(own->ke->shared));
  }
  if (auto left = agreed->chosen.additional(); !left.empty()) {
    auto wanted = std::make_unique<pending_followup>();
    wanted->left = std::move(left);
    wanted->shared = std::move(from.shared);
    wanted->give_up = [&outside = sa->outside, spi = agreed->inbound_spi] { outside.sink().release_spi(spi); };
    wanted->finish = [sa = sa.get(), agreed = *agreed, old, first = from.initiator_nonce,
                      second = from.responder_nonce](std::vector<secret> shared) -> asio::awaitable<std::uint16_t> {
      // RFC 7296 2.25: what was free when it was asked for may be under way elsewhere by now.
      const bool busy = !sa->up() || sa->rekeying ||
                        (old && (old->state == child_state::deleting || old->state == child_state::gone));
      if (busy) {
        sa->outside.sink().release_spi(agreed.inbound_spi);
        return refuse_followup();
      }
      return install_agreed(
          sa->shared_from_this(), agreed,
          {.initiator_nonce = first, .responder_nonce = second, .we_initiated = false, .shared = std::move(shared)},
          old);
    };
    expect_followup(*sa, answer, std::move(wanted));
    sa->messages->respond(request, answer);
    co_return;
  }
  // Inbound before the answer leaves: the peer may send at once.
  if (const auto type = co_await install_agreed(sa, std::move(*agreed), std::move(from), old); type != 0)
    co_return refuse(note(type));
  sa->messages->respond(request, answer);
}

asio::awaitable<void> answer_create_child_sa(ike_sa_pointer sa, incoming request) {
  // Without traffic selectors it is the IKE SA that is to be rekeyed (RFC 7296 1.3.2).
  if (find_ts(request.content, true) == nullptr && find_ts(request.content, false) == nullptr)
    co_await answer_rekey_ike(sa, std::move(request));
  else
    co_await answer_new_child(sa, std::move(request));
}

}  // namespace trunkgate::ike
