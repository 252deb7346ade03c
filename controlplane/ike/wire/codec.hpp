// The parser and the encoder of each payload's body, each pair in the file of its payload. Only this folder, its tests
// and its fuzz targets need them; everybody else takes whole messages (message.hpp).
#pragma once

#include <format>

#include "controlplane/ike/wire/message.hpp"
#include "controlplane/ike/wire/notify.hpp"
#include "controlplane/ike/wire/reader.hpp"
#include "controlplane/ike/wire/writer.hpp"

namespace trunkgate::ike::wire {

// RFC 7296 2.21.2: what a sender whose message is not well-formed is told once it is authenticated.
[[nodiscard]] inline std::unexpected<parse_error> malformed(std::string reason) {
  return std::unexpected(parse_error{std::move(reason), notify::invalid_syntax, 0});
}

// A payload's body, without its generic header. All of `body` belongs to it: what is left over is an error.
[[nodiscard]] parsed<sa_payload> parse_sa(byte_view body);
[[nodiscard]] parsed<key_exchange_payload> parse_key_exchange(byte_view body);
[[nodiscard]] parsed<id_of> parse_id(byte_view body, bool initiator);
[[nodiscard]] parsed<certificate_payload> parse_certificate(byte_view body);
[[nodiscard]] parsed<certificate_request_payload> parse_certificate_request(byte_view body);
[[nodiscard]] parsed<authentication_payload> parse_authentication(byte_view body);
[[nodiscard]] parsed<nonce_payload> parse_nonce(byte_view body);
[[nodiscard]] parsed<notify_payload> parse_notify(byte_view body);
[[nodiscard]] parsed<delete_payload> parse_delete(byte_view body);
[[nodiscard]] parsed<vendor_id_payload> parse_vendor_id(byte_view body);
[[nodiscard]] parsed<ts_payload> parse_ts(byte_view body, bool initiator);

void write_body(writer& out, const sa_payload& sa);
void write_body(writer& out, const key_exchange_payload& key_exchange);
void write_body(writer& out, const id_of& id);
void write_body(writer& out, const certificate_payload& certificate);
void write_body(writer& out, const certificate_request_payload& request);
void write_body(writer& out, const authentication_payload& authentication);
void write_body(writer& out, const nonce_payload& nonce);
void write_body(writer& out, const notify_payload& notify);
void write_body(writer& out, const delete_payload& remove);
void write_body(writer& out, const vendor_id_payload& vendor);
void write_body(writer& out, const ts_payload& ts);
void write_body(writer& out, const unknown_payload& unknown);  // nothing: its body was not kept

[[nodiscard]] payload_type type_of(const payload& one);
// By the payload's number. Fails as invalid syntax, or on an unknown critical payload; not for SK and SKF.
[[nodiscard]] parsed<payload> parse_body(payload_type type, bool critical, byte_view body);

// What stands behind the generic header of SK or SKF.
struct sealed_part {
  std::size_t body_offset = 0;  // from the chain's beginning
  payload_type first_inside = payload_type::none;
  std::uint16_t fragment = 0, fragments = 0;  // 0 and 0: SK
};
// Payloads up to the chain's end. SK or SKF as the last one goes to `sealed`; where that is nullptr, it is an error.
[[nodiscard]] parsed<payloads> parse_chain(payload_type first, byte_view chain, sealed_part* sealed);
// Returns the first payload's type.
payload_type write_chain(writer& out, const payloads& all);

}  // namespace trunkgate::ike::wire
