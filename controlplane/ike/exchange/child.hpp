// Child SAs, whichever exchange makes them: what is asked, what is answered, and what goes to the sink.
#pragma once

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

// What we asked for, until the answer is there.
struct child_request {
  profile_pointer profile;        // as it was when we asked
  std::size_t index = 0;          // in that
  std::uint32_t inbound_spi = 0;  // reserved; released by whoever gives up
  sa_payload offer;
  child_pointer old;  // rekeyed by this one
  std::optional<std::uint16_t> worker;
};
// Reserves an SPI and appends SA, TSi, TSr and notifies to `to`.
[[nodiscard]] child_request ask_for_child(ike_sa& sa, std::size_t index, child_pointer old,
                                          std::optional<std::uint16_t> worker, key_exchanges which, payloads& to);

// The keys' ingredients. `shared` has the child's own key exchanges, SK(0) first.
struct child_ingredients {
  bytes initiator_nonce, responder_nonce;  // of this exchange
  bool we_initiated = false;
  std::vector<secret> shared;
};

struct agreed_child {
  profile_pointer profile;  // as it was when it was agreed on
  std::size_t index = 0;    // in that
  settled chosen;
  esp_choice choice;
  child_mode mode{};
  narrowed selectors;
  narrowed said;  // the responder's answer: as the peer knows the addresses (RFC 7296 2.23.1)
  std::uint32_t inbound_spi = 0, outbound_spi = 0;
  bool narrower = false;      // than what was asked for, by our configuration
  bool per_resource = false;  // RFC 9611, and both sides said so
  std::optional<std::uint16_t> worker{};
};

// Initiator: what the responder's SA, TS and notifies say to our request.
[[nodiscard]] std::expected<agreed_child, failed_step> read_child_answer(ike_sa& sa, const child_request& request,
                                                                         const payloads& content);
// Responder: which of our children the request is for, and what we agree to. `old`: the one that is rekeyed. The SPI is
// reserved. On failure failed_step::notify is the answer.
[[nodiscard]] std::expected<agreed_child, failed_step> agree_to_child(ike_sa& sa, const payloads& content,
                                                                      key_exchanges which, const child_pointer& old);
// Appends what a responder answers: SAr, TSi, TSr, notifies.
void answer_child(const ike_sa& sa, const agreed_child& agreed, payloads& to);

// Installs the pair: the initiator both directions; a responder, while another pair carries the packets, the inbound
// one only: the other follows when the peer has shown that it has the new SA (RFC 7296 2.8), or a moment later.
[[nodiscard]] asio::awaitable<std::expected<child_pointer, failed_step>> install_child(ike_sa_pointer sa,
                                                                                       const agreed_child& agreed,
                                                                                       const child_ingredients& from,
                                                                                       child_pointer old);
// Lets a child's packets leave by it.
[[nodiscard]] asio::awaitable<void> switch_outbound(ike_sa_pointer sa, child_pointer pair);
// The peer has made its half of a pair that we do not want after all: it is told so.
void disown_child(const ike_sa_pointer& sa, std::uint32_t inbound_spi);
// Does so by itself when the peer lets us wait for too long.
void wait_to_switch(const ike_sa_pointer& sa, const child_pointer& pair);
// Takes it out of the sink: outbound at once, inbound when what is under way has arrived.
void retire_child(const ike_sa_pointer& sa, const child_pointer& pair, const failed_step& why);

// "children.lan"
[[nodiscard]] std::string child_path(const tunnel_profile& profile, std::size_t index);

}  // namespace trunkgate::ike
