// AUTH: how we prove who we are, and how we check the peer (RFC 7296 2.15, RFC 7427, RFC 8784, RFC 9242).
#pragma once

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

// What one side signs: its IKE_SA_INIT message, the other's nonce, its ID under SK_p, and what IKE_INTERMEDIATE said.
// `auth_id` is the message number of IKE_AUTH.
[[nodiscard]] bytes signed_octets(const ike_sa& sa, const id_of& id, const secret& sk_p, std::uint32_t auth_id);

[[nodiscard]] asio::awaitable<result<authentication_payload>> make_auth(ike_sa_pointer sa, bytes octets);

struct claimed_identity {
  id_payload id;
  id_of said;  // as it came
  std::vector<bytes> certificates, crls, ocsp_responses;
  authentication_payload auth;
};
// What a message of IKE_AUTH says of its sender; nothing: ID or AUTH is missing.
[[nodiscard]] std::optional<claimed_identity> read_identity(const payloads& in, bool of_initiator);
// Checks the peer by what sa->profile asks for. Fills peer_id and peer of `sa`, and its record.
[[nodiscard]] asio::awaitable<outcome> check_peer(ike_sa_pointer sa, const claimed_identity& claimed, bytes octets);

// The ID that we say: of the configuration, the certificate, or the address.
[[nodiscard]] id_payload own_identity(const ike_sa& sa);
void add_certificates(payloads& to, const tunnel_profile& profile);
// For the peer's certificate, and for an OCSP response about it.
void add_certificate_requests(payloads& to, const tunnel_profile& profile);

// RFC 8784: with the pre-shared key mixed in; fails if the key process has none.
[[nodiscard]] asio::awaitable<result<ike_keys>> mixed_with_ppk(ike_sa_pointer sa);

}  // namespace trunkgate::ike
