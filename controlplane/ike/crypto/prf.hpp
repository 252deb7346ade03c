// Pseudorandom functions (RFC 7296 2.13, RFC 4868).
#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>

#include "dataplane/core/secret.hpp"

namespace trunkgate::ike {

using byte_view = std::span<const std::uint8_t>;

// Octets of the output, which is also the preferred key length; 0: not a PRF we know. `prf` is a transform_id.
[[nodiscard]] std::size_t prf_size(std::uint16_t prf);
// The parts are taken one after the other. Only for a PRF that we know.
[[nodiscard]] secret compute_prf(std::uint16_t prf, byte_view key, std::initializer_list<byte_view> parts);
// prf+: `length` octets, at most 255 times prf_size.
[[nodiscard]] secret compute_prf_plus(std::uint16_t prf, byte_view key, std::initializer_list<byte_view> seed,
                                      std::size_t length);

}  // namespace trunkgate::ike
