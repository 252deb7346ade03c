// Security Association payload (RFC 7296 3.3): proposals, of transforms, of attributes.
#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

namespace {

// RFC 7296 3.3.1 and 3.3.2: what stands in front of each proposal and each transform.
constexpr std::uint8_t last = 0, more_proposals = 2, more_transforms = 3;
constexpr std::uint16_t attribute_format = 0x8000;  // set: the value stands in the length's place
constexpr std::uint16_t key_length = 14;

// RFC 7296 3.3.5: Key Length is the only attribute there is, always of the short form.
parsed<std::uint16_t> parse_attributes(byte_view data) {
  reader in(data);
  std::uint16_t key_bits = 0;
  while (in.remaining() > 0) {
    const auto type = in.u16(), value = in.u16();
    if ((type & attribute_format) == 0) in.skip(value);
    if (in.failed()) return malformed("a transform attribute reaches beyond its transform");
    // RFC 7296 3.3.6: an unknown attribute makes the transform unacceptable, not the proposal. The same goes for
    // several key lengths, which are several transforms (3.3.5), and for 0, which must not read as "not sent".
    const bool known = type == (attribute_format | key_length) && value != 0;
    key_bits = known && key_bits == 0 ? value : unusable_transform;
  }
  return key_bits;
}

struct substructure {
  std::uint8_t more = 0;
  byte_view data;  // behind its type and length
};
// The next proposal or transform; both begin with the same four octets.
parsed<substructure> next_substructure(reader& in, std::uint8_t more_marker, std::string_view what) {
  substructure next;
  next.more = in.u8();
  in.skip(1);  // reserved
  const std::size_t length = in.u16();
  if (in.failed() || length < 4 || length - 4 > in.remaining())
    return malformed(std::format("a {} is longer or shorter than what there is of it", what));
  next.data = in.take(length - 4);
  // The marker says again whether something follows (3.3.1: "this syntax is inherited from ISAKMP, but is
  // unnecessary"); a contradiction means that a length is wrong.
  if (next.more != (in.remaining() > 0 ? more_marker : last))
    return malformed(std::format("a {} says falsely whether another follows it", what));
  return next;
}

parsed<transform_choice> parse_transform(byte_view data) {
  reader in(data);
  transform_choice transform;
  transform.type = transform_type{in.u8()};
  in.skip(1);  // reserved
  transform.id = in.u16();
  if (in.failed()) return malformed("a transform is cut off");
  auto key_bits = parse_attributes(in.take(in.remaining()));
  if (!key_bits) return std::unexpected(key_bits.error());
  transform.key_bits = *key_bits;
  return transform;
}

parsed<std::vector<transform_choice>> parse_transforms(byte_view data, std::size_t count) {
  // A proposal without transforms offers nothing (RFC 7296 3.3.3 names mandatory ones for each protocol).
  if (count == 0) return malformed("a proposal has no transform");
  if (count > transforms_limit)
    return malformed(std::format("a proposal has more than {} transforms", transforms_limit));
  reader in(data);
  std::vector<transform_choice> transforms;
  while (in.remaining() > 0) {
    const auto next = next_substructure(in, more_transforms, "transform");
    if (!next) return std::unexpected(next.error());
    if (transforms.size() == count) return malformed("a proposal has more transforms than it says");
    auto transform = parse_transform(next->data);
    if (!transform) return std::unexpected(transform.error());
    transforms.push_back(*transform);
  }
  if (transforms.size() != count) return malformed("a proposal has fewer transforms than it says");
  return transforms;
}

// RFC 7296 3.3.1: none or 8 octets for IKE (of a rekey), 4 for AH and ESP. Of a protocol that we do not know any: its
// proposal will not be chosen.
bool spi_fits(protocol_id protocol, std::size_t size) {
  switch (protocol) {
    case protocol_id::ike: return size == 0 || size == 8;
    case protocol_id::ah:
    case protocol_id::esp: return size == 4;
    default: return true;
  }
}

parsed<proposal> parse_proposal(byte_view data) {
  reader in(data);
  proposal out;
  out.number = in.u8();
  out.protocol = protocol_id{in.u8()};
  const std::size_t spi_size = in.u8(), transforms = in.u8();
  out.spi = in.copy(spi_size);
  if (in.failed()) return malformed("a proposal is cut off");
  if (!spi_fits(out.protocol, spi_size)) return malformed(std::format("a proposal has an SPI of {} octets", spi_size));
  auto list = parse_transforms(in.take(in.remaining()), transforms);
  if (!list) return std::unexpected(list.error());
  out.transforms = std::move(*list);
  return out;
}

}  // namespace

parsed<sa_payload> parse_sa(byte_view body) {
  reader in(body);
  sa_payload out;
  while (in.remaining() > 0) {
    const auto next = next_substructure(in, more_proposals, "proposal");
    if (!next) return std::unexpected(next.error());
    if (out.proposals.size() == proposals_limit)
      return malformed(std::format("more than {} proposals", proposals_limit));
    auto one = parse_proposal(next->data);
    if (!one) return std::unexpected(one.error());
    // RFC 7296 3.3.1: an offer counts from 1; the answer is one proposal with the number of the one that was chosen.
    const bool only = out.proposals.empty() && in.remaining() == 0;
    if (only ? one->number == 0 : one->number != out.proposals.size() + 1)
      return malformed(std::format("proposal {} stands out of order", one->number));
    out.proposals.push_back(std::move(*one));
  }
  if (out.proposals.empty()) return malformed("no proposal");
  return out;
}

namespace {

void write_transform(writer& out, const transform_choice& transform, bool is_last) {
  const auto start = out.size();
  out.u8(is_last ? last : more_transforms);
  out.zeros(3);  // reserved, length
  out.u8(static_cast<std::uint8_t>(transform.type));
  out.u8(0);
  out.u16(transform.id);
  if (transform.key_bits != 0) {
    out.u16(attribute_format | key_length);
    out.u16(transform.key_bits);
  }
  out.set_length(start + 2, start);
}

}  // namespace

void write_body(writer& out, const sa_payload& sa) {
  assert(!sa.proposals.empty() && sa.proposals.size() <= proposals_limit);
  for (const auto& one : sa.proposals) {
    assert(!one.transforms.empty() && one.transforms.size() <= transforms_limit && one.spi.size() <= 255);
    const auto start = out.size();
    out.u8(&one == &sa.proposals.back() ? last : more_proposals);
    out.zeros(3);  // reserved, length
    out.u8(one.number);
    out.u8(static_cast<std::uint8_t>(one.protocol));
    out.u8(static_cast<std::uint8_t>(one.spi.size()));
    out.u8(static_cast<std::uint8_t>(one.transforms.size()));
    out.append(one.spi);
    for (const auto& transform : one.transforms) write_transform(out, transform, &transform == &one.transforms.back());
    out.set_length(start + 2, start);
  }
}

}  // namespace trunkgate::ike::wire
