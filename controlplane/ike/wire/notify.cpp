// Notify payload (RFC 7296 3.10).
#include "controlplane/ike/wire/notify.hpp"

#include <algorithm>

#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

namespace {

// How much data a type has, where another size could mean nothing. Errors that only tell us why are not in it: they are
// worth reading whatever they carry.
struct data_size {
  std::uint16_t type;
  std::size_t least, most, step;
};
constexpr data_size data_sizes[] = {
    {notify::invalid_ke_payload, 2, 2, 2},                     // RFC 7296 1.2: the method that is wanted
    {notify::set_window_size, 4, 4, 4},                        // RFC 7296 2.3
    {notify::ipcomp_supported, 3, 3, 3},                       // RFC 7296 2.22
    {notify::nat_detection_source_ip, 20, 20, 20},             // RFC 7296 2.23: SHA-1
    {notify::nat_detection_destination_ip, 20, 20, 20},        //
    {notify::cookie, 1, 64, 1},                                // RFC 7296 2.6
    {notify::additional_ip4_address, 4, 4, 4},                 // RFC 4555 4.2.2
    {notify::additional_ip6_address, 16, 16, 16},              //
    {notify::cookie2, 8, 64, 1},                               // RFC 4555 4.2.5
    {notify::auth_lifetime, 4, 4, 4},                          // RFC 4478 3
    {notify::signature_hash_algorithms, 0, message_limit, 2},  // RFC 7427 4
};

bool data_fits(std::uint16_t type, std::size_t size) {
  const auto* rule = std::ranges::find(data_sizes, type, &data_size::type);
  return rule == std::end(data_sizes) || (size >= rule->least && size <= rule->most && size % rule->step == 0);
}

}  // namespace

parsed<notify_payload> parse_notify(byte_view body) {
  reader in(body);
  notify_payload out;
  const protocol_id protocol{in.u8()};
  const std::size_t spi_size = in.u8();
  out.type = in.u16();
  out.spi = in.copy(spi_size);
  out.data = in.rest();
  if (in.failed()) return malformed("its header is cut off");
  // RFC 7296 3.10: without an SPI the protocol is ignored; an IKE SA has its SPI in the header; those of AH and ESP
  // have four octets.
  if (spi_size != 0) {
    const bool child = protocol == protocol_id::ah || protocol == protocol_id::esp;
    const bool none_has_one = protocol == protocol_id::none || protocol == protocol_id::ike;
    if (none_has_one || (child && spi_size != 4))
      return malformed(std::format("{} has an SPI of {} octets", notify::name(out.type), spi_size));
    out.protocol = protocol;
  }
  if (out.type == notify::rekey_sa && out.spi.empty()) return malformed("REKEY_SA names no SA");
  if (!data_fits(out.type, out.data.size()))
    return malformed(std::format("{} has {} octets of data", notify::name(out.type), out.data.size()));
  return out;
}

void write_body(writer& out, const notify_payload& notify) {
  assert(notify.spi.size() <= 255);
  // RFC 7296 3.10: "If the SPI field is empty, this field MUST be sent as zero".
  out.u8(notify.spi.empty() ? 0 : static_cast<std::uint8_t>(notify.protocol));
  out.u8(static_cast<std::uint8_t>(notify.spi.size()));
  out.u16(notify.type);
  out.append(notify.spi);
  out.append(notify.data);
}

}  // namespace trunkgate::ike::wire
