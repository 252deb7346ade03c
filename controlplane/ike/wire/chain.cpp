// Payloads one behind the other, each with the generic header (RFC 7296 3.2).
#include "controlplane/ike/wire/codec.hpp"
#include "controlplane/ike/wire/describe.hpp"

namespace trunkgate::ike::wire {

namespace {

constexpr std::uint8_t critical_bit = 0x80;
constexpr std::size_t generic_size = 4;

template <class Kind>
parsed<payload> any(parsed<Kind> one) {
  if (!one) return std::unexpected(std::move(one.error()));
  return payload(std::move(*one));
}

// RFC 7383 2.5, behind the generic header.
parsed<sealed_part> parse_sealed(payload_type type, payload_type first_inside, byte_view data, std::size_t offset) {
  reader in(data);
  sealed_part out;
  out.first_inside = first_inside;
  if (type == payload_type::encrypted_fragment) {
    out.fragment = in.u16();
    out.fragments = in.u16();
    if (in.failed()) return malformed("its header is cut off");
    // "This field MUST be less than or equal to the next field (Total Fragments). This field MUST NOT be zero."
    if (out.fragment == 0 || out.fragment > out.fragments)
      return malformed(std::format("fragment {} of {}", out.fragment, out.fragments));
    // "In the rest of the Fragment messages [...] this field MUST be set to zero."
    if (out.fragment > 1 && first_inside != payload_type::none)
      return malformed(std::format("fragment {} names a first payload", out.fragment));
  }
  if (in.remaining() == 0) return malformed("nothing encrypted is in it");
  out.body_offset = offset + in.position();
  return out;
}

bool is_sealed(payload_type type) {
  return type == payload_type::encrypted || type == payload_type::encrypted_fragment;
}

std::unexpected<parse_error> in_payload(payload_type type, parse_error why) {
  why.reason = std::format("{} payload: {}", payload_name(type), why.reason);
  return std::unexpected(std::move(why));
}

}  // namespace

payload_type type_of(const payload& one) {
  struct {
    payload_type operator()(const sa_payload&) const { return payload_type::sa; }
    payload_type operator()(const key_exchange_payload&) const { return payload_type::key_exchange; }
    payload_type operator()(const id_of& id) const {
      return id.initiator ? payload_type::id_initiator : payload_type::id_responder;
    }
    payload_type operator()(const certificate_payload&) const { return payload_type::certificate; }
    payload_type operator()(const certificate_request_payload&) const { return payload_type::certificate_request; }
    payload_type operator()(const authentication_payload&) const { return payload_type::authentication; }
    payload_type operator()(const nonce_payload&) const { return payload_type::nonce; }
    payload_type operator()(const notify_payload&) const { return payload_type::notify; }
    payload_type operator()(const delete_payload&) const { return payload_type::remove; }
    payload_type operator()(const vendor_id_payload&) const { return payload_type::vendor_id; }
    payload_type operator()(const ts_payload& ts) const {
      return ts.initiator ? payload_type::ts_initiator : payload_type::ts_responder;
    }
    payload_type operator()(const unknown_payload& unknown) const { return unknown.type; }
  } type;
  return std::visit(type, one);
}

parsed<payload> parse_body(payload_type type, bool critical, byte_view body) {
  switch (type) {
    case payload_type::sa: return any(parse_sa(body));
    case payload_type::key_exchange: return any(parse_key_exchange(body));
    case payload_type::id_initiator: return any(parse_id(body, true));
    case payload_type::id_responder: return any(parse_id(body, false));
    case payload_type::certificate: return any(parse_certificate(body));
    case payload_type::certificate_request: return any(parse_certificate_request(body));
    case payload_type::authentication: return any(parse_authentication(body));
    case payload_type::nonce: return any(parse_nonce(body));
    case payload_type::notify: return any(parse_notify(body));
    case payload_type::remove: return any(parse_delete(body));
    case payload_type::vendor_id: return any(parse_vendor_id(body));
    case payload_type::ts_initiator: return any(parse_ts(body, true));
    case payload_type::ts_responder: return any(parse_ts(body, false));
    // Known to RFC 7296, so the critical bit says nothing (3.2: it is ignored where the type is understood), and of no
    // use to a gateway that gives no addresses away.
    case payload_type::configuration:
    case payload_type::eap: return unknown_payload{type, critical};
    default: break;
  }
  // RFC 7296 2.5: unknown and critical, the message is refused; unknown and not critical, the payload is skipped.
  if (critical)
    return std::unexpected(parse_error{"unknown, and marked as critical", notify::unsupported_critical_payload,
                                       static_cast<std::uint8_t>(type)});
  return unknown_payload{type, critical};
}

parsed<payloads> parse_chain(payload_type first, byte_view chain, sealed_part* sealed) {
  reader in(chain);
  payloads out;
  std::size_t count = 0;
  for (auto type = first; type != payload_type::none; ++count) {
    if (count == payloads_limit) return malformed(std::format("more than {} payloads", payloads_limit));
    const payload_type next{in.u8()};
    const bool critical = (in.u8() & critical_bit) != 0;  // its other bits are reserved: ignored
    const std::size_t length = in.u16();
    if (in.failed() || length < generic_size || length - generic_size > in.remaining())
      return in_payload(type, {"it is longer or shorter than what there is of it", notify::invalid_syntax, 0});
    const auto offset = in.position();
    const auto body = in.take(length - generic_size);
    if (is_sealed(type)) {
      // RFC 7296 3.14: it is the last one, and its "next payload" is the first one inside. Inside is no other.
      if (!sealed) return in_payload(type, {"it stands inside another", notify::invalid_syntax, 0});
      if (in.remaining() > 0) return in_payload(type, {"it is not the last one", notify::invalid_syntax, 0});
      auto part = parse_sealed(type, next, body, offset);
      if (!part) return in_payload(type, std::move(part.error()));
      *sealed = *part;
      return out;
    }
    auto one = parse_body(type, critical, body);
    if (!one) return in_payload(type, std::move(one.error()));
    out.push_back(std::move(*one));
    type = next;
  }
  if (in.remaining() > 0) return malformed(std::format("{} octets behind the last payload", in.remaining()));
  return out;
}

void write_body(writer&, const unknown_payload&) {}

payload_type write_chain(writer& out, const payloads& all) {
  assert(all.size() <= payloads_limit);
  for (std::size_t i = 0; i < all.size(); ++i) {
    const auto start = out.size();
    out.u8(static_cast<std::uint8_t>(i + 1 < all.size() ? type_of(all[i + 1]) : payload_type::none));
    const auto* unknown = std::get_if<unknown_payload>(&all[i]);
    // RFC 7296 3.2: not set for the types that RFC 7296 defines.
    out.u8(unknown && unknown->critical ? critical_bit : 0);
    out.zeros(2);  // length
    std::visit([&out](const auto& one) { write_body(out, one); }, all[i]);
    out.set_length(start + 2, start);
  }
  return all.empty() ? payload_type::none : type_of(all.front());
}

}  // namespace trunkgate::ike::wire
