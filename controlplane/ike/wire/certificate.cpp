// Certificate and Certificate Request payloads (RFC 7296 3.6 and 3.7).
#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

namespace {

constexpr std::size_t sha1_size = 20;
constexpr std::uint8_t cert_hash_and_url_of_bundle = 13;

// RFC 7296 3.7: the encodings whose authorities are SHA-1 hashes of public keys.
bool names_authorities_by_hash(std::uint8_t encoding) {
  return encoding == cert_x509 || encoding == cert_hash_and_url || encoding == cert_hash_and_url_of_bundle;
}

}  // namespace

parsed<certificate_payload> parse_certificate(byte_view body) {
  reader in(body);
  certificate_payload out;
  out.encoding = in.u8();
  out.data = in.rest();
  if (in.failed() || out.data.empty()) return malformed("no certificate data");
  return out;
}

// No authorities at all: any will do.
parsed<certificate_request_payload> parse_certificate_request(byte_view body) {
  reader in(body);
  certificate_request_payload out;
  out.encoding = in.u8();
  out.authorities = in.rest();
  if (in.failed()) return malformed("its header is cut off");
  if (names_authorities_by_hash(out.encoding) && out.authorities.size() % sha1_size != 0)
    return malformed(std::format("{} octets are no list of SHA-1 hashes", out.authorities.size()));
  return out;
}

void write_body(writer& out, const certificate_payload& certificate) {
  out.u8(certificate.encoding);
  out.append(certificate.data);
}

void write_body(writer& out, const certificate_request_payload& request) {
  out.u8(request.encoding);
  out.append(request.authorities);
}

}  // namespace trunkgate::ike::wire
