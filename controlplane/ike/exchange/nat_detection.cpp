#include "controlplane/ike/exchange/nat_detection.hpp"

#include <openssl/evp.h>

#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

bytes nat_hash(std::uint64_t initiator_spi, std::uint64_t responder_spi, const sa_endpoint& end) {
  auto input = spi_bytes(initiator_spi);
  const auto second = spi_bytes(responder_spi);
  input.insert(input.end(), second.begin(), second.end());
  input.insert(input.end(), end.address.bytes.begin(),
               end.address.bytes.begin() + static_cast<std::ptrdiff_t>(end.address.size()));
  input.push_back(static_cast<std::uint8_t>(end.port >> 8));
  input.push_back(static_cast<std::uint8_t>(end.port));
  bytes out(20);
  unsigned size = 0;
  if (EVP_Digest(input.data(), input.size(), out.data(), &size, EVP_sha1(), nullptr) != 1) out.assign(20, 0);
  return out;
}

void add_nat_detection(payloads& to, std::uint64_t initiator_spi, std::uint64_t responder_spi, const ike_path& path,
                       bool pretend) {
  auto source = nat_hash(initiator_spi, responder_spi, path.local);
  if (pretend) source[0] ^= 0xff;
  to.push_back(note(notify::nat_detection_source_ip, std::move(source)));
  to.push_back(note(notify::nat_detection_destination_ip, nat_hash(initiator_spi, responder_spi, path.remote)));
}

nat_found find_nat(const payloads& in, std::uint64_t initiator_spi, std::uint64_t responder_spi, const ike_path& path) {
  nat_found out;
  bool source_matches = false, source_said = false;
  for (const auto& one : in) {
    const auto* found = std::get_if<notify_payload>(&one);
    if (found == nullptr) continue;
    // There may be several: a host that does not know which of its addresses will be used says all of them.
    if (found->type == notify::nat_detection_source_ip) {
      source_said = true;
      source_matches = source_matches || found->data == nat_hash(initiator_spi, responder_spi, path.remote);
    } else if (found->type == notify::nat_detection_destination_ip) {
      out.known = true;
      out.here = found->data != nat_hash(initiator_spi, responder_spi, path.local);
    }
  }
  out.known = out.known && source_said;
  out.there = out.known && !source_matches;
  out.here = out.known && out.here;
  return out;
}

}  // namespace trunkgate::ike
