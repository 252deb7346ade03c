// MOBIKE: an IKE SA and its children move to other addresses (RFC 4555).
#pragma once

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

// Initiator: what the peer must know after our address changed to that of `path` (RFC 4555 3.5). The children move when
// the peer has agreed.
[[nodiscard]] asio::awaitable<outcome> move_ike_sa(ike_sa_pointer sa, ike_path path);
// Responder: takes what the request says of addresses, appends what is to be answered.
[[nodiscard]] asio::awaitable<void> answer_mobike(ike_sa_pointer sa, const incoming& request, payloads& answer);
// The children follow sa->path().
[[nodiscard]] asio::awaitable<void> move_children(ike_sa_pointer sa);

}  // namespace trunkgate::ike
