// Traffic Selector payloads, TSi and TSr (RFC 7296 3.13).
#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

namespace {

constexpr std::uint8_t ipv4_range = 7, ipv6_range = 8;
constexpr std::size_t fixed_size = 8;  // of a selector: type, protocol, length, ports

// RFC 7296 3.13.1; the selector from its protocol on, without its length.
parsed<traffic_selector> parse_selector(ip_family family, std::uint8_t protocol, byte_view data) {
  const std::size_t address_size = family == ip_family::v4 ? 4 : 16;
  reader in(data);
  traffic_selector out;
  out.protocol = protocol;
  out.first_port = in.u16();
  out.last_port = in.u16();
  const auto first = in.take(address_size), last = in.take(address_size);
  if (in.failed() || in.remaining() > 0) return malformed("a selector's length does not fit its type");
  const bool opaque = out.first_port == 65535 && out.last_port == 0;
  if (out.first_port > out.last_port && !opaque)
    return malformed(std::format("ports from {} to {}", out.first_port, out.last_port));
  out.addresses = ip_range(ip_address::from_bytes(family, first.data()), ip_address::from_bytes(family, last.data()));
  if (!out.addresses.valid()) return malformed("a selector's first address stands behind its last");
  return out;
}

}  // namespace

parsed<ts_payload> parse_ts(byte_view body, bool initiator) {
  reader in(body);
  ts_payload out;
  out.initiator = initiator;
  const std::size_t count = in.u8();
  in.skip(3);  // reserved
  if (in.failed()) return malformed("its header is cut off");
  if (count > selectors_limit) return malformed(std::format("more than {} selectors", selectors_limit));
  for (std::size_t i = 0; i < count; ++i) {
    const auto type = in.u8(), protocol = in.u8();
    const std::size_t length = in.u16();
    if (in.failed() || length < 4 || length - 4 > in.remaining())
      return malformed("a selector is longer or shorter than what there is of it");
    const auto data = in.take(length - 4);
    if (type != ipv4_range && type != ipv6_range) continue;  // says nothing that we could install (see payload.hpp)
    auto selector = parse_selector(type == ipv4_range ? ip_family::v4 : ip_family::v6, protocol, data);
    if (!selector) return std::unexpected(selector.error());
    out.selectors.push_back(*selector);
  }
  if (in.remaining() > 0) return malformed("more selectors than it says");
  return out;
}

void write_body(writer& out, const ts_payload& ts) {
  assert(ts.selectors.size() <= selectors_limit);
  out.u8(static_cast<std::uint8_t>(ts.selectors.size()));
  out.zeros(3);
  for (const auto& selector : ts.selectors) {
    const ip_address &first = selector.addresses.first, &last = selector.addresses.last;
    assert(selector.addresses.valid());
    out.u8(first.family == ip_family::v4 ? ipv4_range : ipv6_range);
    out.u8(selector.protocol);
    out.u16(static_cast<std::uint16_t>(fixed_size + 2 * first.size()));
    out.u16(selector.first_port);
    out.u16(selector.last_port);
    out.append(byte_view(first.bytes).first(first.size()));
    out.append(byte_view(last.bytes).first(last.size()));
  }
}

}  // namespace trunkgate::ike::wire
