#include "controlplane/ike/wire/message.hpp"

#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike {

namespace {

// RFC 7296 3.1, with the places of two fields that are filled in last.
constexpr std::uint8_t initiator_flag = 0x08, version_flag = 0x10, response_flag = 0x20;
constexpr std::size_t first_payload_at = 16, length_at = 24;

struct whole_header {
  header head;
  payload_type first = payload_type::none;
};

// No notify for most errors: RFC 7296 2.21 lets a message be dropped that may be nobody's.
parsed<whole_header> parse_whole_header(byte_view datagram) {
  wire::reader in(datagram);
  whole_header out;
  // The initiator's SPI may be 0: RFC 7296 1.5 allows that in an INVALID_SPI notification outside of an IKE SA.
  out.head.initiator_spi = in.u64();
  out.head.responder_spi = in.u64();
  out.first = payload_type{in.u8()};
  const auto version = in.u8();
  out.head.major_version = version >> 4;
  out.head.minor_version = version & 15;  // 2.5: a higher minor version is taken as ours
  out.head.exchange = exchange_type{in.u8()};
  const auto flags = in.u8();  // the other bits are reserved: ignored
  out.head.from_initiator = (flags & initiator_flag) != 0;
  out.head.higher_version = (flags & version_flag) != 0;
  out.head.response = (flags & response_flag) != 0;
  out.head.message_id = in.u32();
  const auto length = in.u32();
  if (in.failed()) return std::unexpected(parse_error{"shorter than an IKE header", 0, 0});
  if (length != datagram.size() || length > message_limit)
    return std::unexpected(
        parse_error{std::format("a datagram of {} octets says that it has {}", datagram.size(), length), 0, 0});
  if (out.head.major_version != 2)
    return std::unexpected(parse_error{std::format("IKE version {}.{}", out.head.major_version, out.head.minor_version),
                                       notify::invalid_major_version, 0});
  return out;
}

void write_header(wire::writer& out, const header& head, payload_type first) {
  out.u64(head.initiator_spi);
  out.u64(head.responder_spi);
  out.u8(static_cast<std::uint8_t>(first));
  out.u8(static_cast<std::uint8_t>(head.major_version << 4 | (head.minor_version & 15)));
  out.u8(static_cast<std::uint8_t>(head.exchange));
  out.u8(static_cast<std::uint8_t>((head.from_initiator ? initiator_flag : 0) |
                                   (head.higher_version ? version_flag : 0) | (head.response ? response_flag : 0)));
  out.u32(head.message_id);
  out.u32(0);  // length
}

}  // namespace

parsed<header> parse_header(byte_view datagram) {
  auto whole = parse_whole_header(datagram);
  if (!whole) return std::unexpected(std::move(whole.error()));
  return whole->head;
}

parsed<outer_message> parse_message(byte_view datagram) {
  auto whole = parse_whole_header(datagram);
  if (!whole) return std::unexpected(std::move(whole.error()));
  wire::sealed_part sealed;
  auto clear = wire::parse_chain(whole->first, datagram.subspan(header_size), &sealed);
  if (!clear) return std::unexpected(std::move(clear.error()));
  outer_message out;
  out.head = whole->head;
  out.clear = std::move(*clear);
  out.body_offset = sealed.body_offset == 0 ? 0 : header_size + sealed.body_offset;
  out.first_inside = sealed.first_inside;
  out.fragment = sealed.fragment;
  out.fragments = sealed.fragments;
  return out;
}

parsed<payloads> parse_payloads(payload_type first, byte_view chain) {
  return wire::parse_chain(first, chain, nullptr);
}

payload_chain encode_payloads(const payloads& all) {
  wire::writer out;
  payload_chain chain;
  chain.first = wire::write_chain(out, all);
  chain.data = out.take();
  return chain;
}

bytes encode_message(const header& head, const payloads& all) {
  wire::writer out;
  write_header(out, head, payload_type::none);
  out.set_u8(first_payload_at, static_cast<std::uint8_t>(wire::write_chain(out, all)));
  out.set_length(length_at + 2, 0);
  return out.take();
}

bytes encode_encrypted_front(const header& head, payload_type first_inside, std::size_t body_size,
                             std::uint16_t fragment, std::uint16_t fragments) {
  const bool whole = fragments == 0;
  assert(whole || (fragment >= 1 && fragment <= fragments));
  wire::writer out;
  write_header(out, head, whole ? payload_type::encrypted : payload_type::encrypted_fragment);
  const auto start = out.size();
  // RFC 7383 2.5: only the first fragment says what is inside.
  out.u8(static_cast<std::uint8_t>(whole || fragment == 1 ? first_inside : payload_type::none));
  out.zeros(3);  // critical bit, length
  if (!whole) {
    out.u16(fragment);
    out.u16(fragments);
  }
  out.set_length(start + 2, start, body_size);
  out.set_length(length_at + 2, 0, body_size);
  return out.take();
}

bytes encode_body(const payload& one) {
  wire::writer out;
  std::visit([&out](const auto& body) { wire::write_body(out, body); }, one);
  return out.take();
}

}  // namespace trunkgate::ike
