// Delete payload (RFC 7296 3.11).
#include "controlplane/ike/wire/codec.hpp"

namespace trunkgate::ike::wire {

parsed<delete_payload> parse_delete(byte_view body) {
  reader in(body);
  delete_payload out;
  out.protocol = protocol_id{in.u8()};
  const std::size_t spi_size = in.u8(), count = in.u16();
  if (in.failed()) return malformed("its header is cut off");
  if (count > delete_spis_limit) return malformed(std::format("more than {} SPIs", delete_spis_limit));
  // RFC 7296 3.11: the SPI of the IKE SA is in the header; those of AH and ESP have four octets. A child's payload
  // without SPIs deletes nothing, and must not be taken for the IKE SA's.
  const bool child = out.protocol == protocol_id::ah || out.protocol == protocol_id::esp;
  if (!child && out.protocol != protocol_id::ike)
    return malformed(std::format("unknown protocol {}", static_cast<unsigned>(out.protocol)));
  if (spi_size != (child ? 4 : 0) || (count == 0) == child)
    return malformed(std::format("{} SPIs of {} octets", count, spi_size));
  if (spi_size * count != in.remaining()) return malformed("as many SPIs as it says are not there");
  out.spis.reserve(count);
  for (std::size_t i = 0; i < count; ++i) out.spis.push_back(in.copy(spi_size));
  return out;
}

void write_body(writer& out, const delete_payload& remove) {
  assert(remove.spis.size() <= delete_spis_limit);
  out.u8(static_cast<std::uint8_t>(remove.protocol));
  out.u8(remove.spis.empty() ? 0 : 4);
  out.u16(static_cast<std::uint16_t>(remove.spis.size()));
  for (const auto& spi : remove.spis) {
    assert(spi.size() == 4);
    out.append(spi);
  }
}

}  // namespace trunkgate::ike::wire
