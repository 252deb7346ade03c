#include "controlplane/ike/exchange/mobike.hpp"

#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/nat_detection.hpp"
#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {

void learn_nat(ike_sa& sa, const payloads& from, const ike_path& path) {
  const auto nat = find_nat(from, sa.messages->initiator_spi(), sa.messages->responder_spi(), path);
  if (!nat.known) return;
  sa.nat_known = true;
  sa.nat_here = nat.here;
  sa.nat_there = nat.there;
}

void learn_addresses(ike_sa& sa, const payloads& from) {
  bool said = false;
  std::vector<ip_address> all;
  for (const auto& one : from) {
    const auto* found = std::get_if<notify_payload>(&one);
    if (found == nullptr) continue;
    if (found->type == notify::no_additional_addresses) said = true;
    const bool v4 = found->type == notify::additional_ip4_address && found->data.size() == 4;
    const bool v6 = found->type == notify::additional_ip6_address && found->data.size() == 16;
    if (v4 || v6) all.push_back(ip_address::from_bytes(v4 ? ip_family::v4 : ip_family::v6, found->data.data()));
  }
  if (said || !all.empty()) sa.peer_addresses = std::move(all);
}

}  // namespace

asio::awaitable<void> move_children(ike_sa_pointer sa) {
  const auto path = sa->child_path();
  for (const auto& pair : std::vector(sa->children))
    if (pair->state != child_state::gone) (void)co_await sa->outside.sink().move(pair->inbound_spi, path);
}

asio::awaitable<outcome> move_ike_sa(ike_sa_pointer sa, ike_path path) {
  const auto before = sa->path();
  path.local.port = path.remote.port = nat_port;  // RFC 4555 3.3
  sa->messages->set_path(path);
  payloads ask{note(notify::update_sa_addresses)};
  add_nat_detection(ask, sa->messages->initiator_spi(), sa->messages->responder_spi(), path,
                    sa->profile->ike().force_encapsulation);
  auto end = co_await sa->messages->request(exchange_type::informational, std::move(ask));
  if (!end.answer) co_return no_answer(end, "the change of addresses");
  if (const auto* error = find_error(end.answer->content)) {
    sa->messages->set_path(before);
    co_return failed(trouble::protocol_error,
                     "the peer answered the change of addresses with " + notify::name(error->type), "ike.mobike",
                     error->type);
  }
  learn_nat(*sa, end.answer->content, end.answer->path);
  if (const auto* seen = find_notify(end.answer->content, notify::nat_detection_destination_ip))
    sa->seen_as = seen->data;
  co_await move_children(sa);
  co_return std::nullopt;
}

asio::awaitable<void> answer_mobike(ike_sa_pointer sa, const incoming& request, payloads& answer) {
  if (!sa->mobike) co_return;
  // RFC 4555 3.8: proof that the answer came over this path.
  if (const auto* proof = find_notify(request.content, notify::cookie2))
    answer.push_back(note(notify::cookie2, proof->data));
  learn_addresses(*sa, request.content);
  if (!find_notify(request.content, notify::update_sa_addresses)) {
    // RFC 4555 3.8: nat detection alone asks whether a mapping has changed.
    if (find_notify(request.content, notify::nat_detection_source_ip))
      add_nat_detection(answer, sa->messages->initiator_spi(), sa->messages->responder_spi(), request.path,
                        sa->profile->ike().force_encapsulation);
    co_return;
  }
  // Only the original initiator chooses the addresses (RFC 4555 3.5).
  if (sa->began) co_return;
  sa->messages->set_path(request.path);
  learn_nat(*sa, request.content, request.path);
  add_nat_detection(answer, sa->messages->initiator_spi(), sa->messages->responder_spi(), request.path,
                    sa->profile->ike().force_encapsulation);
  co_await move_children(sa);
}

}  // namespace trunkgate::ike
