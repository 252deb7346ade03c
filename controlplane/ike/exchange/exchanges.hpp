// The exchanges of IKEv2, one file each. All run on the loop; each keeps its IKE SA alive while it lasts.
#pragma once

#include <memory>
#include <string>

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

// ---- opening an IKE SA ----

// Initiator: IKE_SA_INIT, IKE_INTERMEDIATE for each additional key exchange, IKE_AUTH with the child `first` (none:
// childless). The record is in `sa`. On failure the IKE SA is closed.
[[nodiscard]] asio::awaitable<outcome> open_ike_sa(ike_sa_pointer sa, std::optional<std::size_t> first);
[[nodiscard]] asio::awaitable<outcome> initiate_sa_init(ike_sa_pointer sa);
[[nodiscard]] asio::awaitable<outcome> initiate_intermediate(ike_sa_pointer sa);
[[nodiscard]] asio::awaitable<outcome> initiate_auth(ike_sa_pointer sa, std::optional<std::size_t> first);

// Responder: what came first. The answer goes out; an IKE SA that may become one is given to the owner by add().
struct init_request {
  const header& head;
  byte_view datagram;
  ike_path path;
};
// nullptr: refused, with `why` for the operator.
[[nodiscard]] ike_sa_pointer answer_sa_init(environment& outside, ike_owner& owner, const init_request& request,
                                            const payloads& content, failed_step& why);
[[nodiscard]] asio::awaitable<void> answer_intermediate(ike_sa_pointer sa, incoming request);
[[nodiscard]] asio::awaitable<void> answer_auth(ike_sa_pointer sa, incoming request);

// ---- on an IKE SA that is up ----

// A new child, or one in place of `old`; with `worker` for that one's packets (RFC 9611).
[[nodiscard]] asio::awaitable<outcome> create_child(ike_sa_pointer sa, std::size_t index, child_pointer old,
                                                    std::optional<std::uint16_t> worker = std::nullopt);
[[nodiscard]] asio::awaitable<outcome> rekey_ike_sa(ike_sa_pointer sa);
[[nodiscard]] asio::awaitable<void> answer_create_child_sa(ike_sa_pointer sa, incoming request);
[[nodiscard]] asio::awaitable<void> answer_new_child(ike_sa_pointer sa, incoming request);
[[nodiscard]] asio::awaitable<void> answer_rekey_ike(ike_sa_pointer sa, incoming request);
[[nodiscard]] asio::awaitable<void> answer_followup(ike_sa_pointer sa, incoming request);

// On the IKE SA that has it by the time it can be said.
[[nodiscard]] asio::awaitable<void> delete_child(ike_sa_pointer sa, child_pointer pair, failed_step why);
// Tells the peer, and closes it whatever the peer says.
[[nodiscard]] asio::awaitable<void> delete_ike_sa(ike_sa_pointer sa, failed_step why);
// Nothing: the peer answered.
[[nodiscard]] asio::awaitable<outcome> ask_liveness(ike_sa_pointer sa);
[[nodiscard]] asio::awaitable<void> answer_informational(ike_sa_pointer sa, incoming request);

// Any request of the peer's, in its turn.
[[nodiscard]] asio::awaitable<void> answer_request(ike_sa_pointer sa, incoming request);

// The peer's new IKE SA stays: what waited for the outcome of our own rekey is decided.
void accept_rival(const ike_sa_pointer& old);

// Ends it here without a word: children go from the sink, the owner is told.
void close_ike_sa(const ike_sa_pointer& sa, const failed_step& why);

}  // namespace trunkgate::ike
