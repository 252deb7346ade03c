#include "controlplane/ike/crypto/prf.hpp"

#include <optional>

#include "config/ike_proposal.hpp"
#include "controlplane/ike/crypto/openssl.hpp"

namespace trunkgate::ike {
namespace {

std::optional<openssl::hash> hash_of(std::uint16_t prf) {
  switch (prf) {
    case transform_id::prf_hmac_sha1: return openssl::hash::sha1;
    case transform_id::prf_hmac_sha256: return openssl::hash::sha256;
    case transform_id::prf_hmac_sha384: return openssl::hash::sha384;
    case transform_id::prf_hmac_sha512: return openssl::hash::sha512;
    default: return std::nullopt;
  }
}

openssl::hash known_hash_of(std::uint16_t prf) {
  const auto which = hash_of(prf);
  openssl::must(which.has_value(), "choice of a PRF that is not known");
  return *which;
}

}  // namespace

std::size_t prf_size(std::uint16_t prf) {
  const auto which = hash_of(prf);
  return which ? openssl::hash_size(*which) : 0;
}

secret compute_prf(std::uint16_t prf, byte_view key, std::initializer_list<byte_view> parts) {
  const auto which = known_hash_of(prf);
  openssl::hmac mac(which, key);
  for (const auto part : parts) mac.add(part);
  openssl::scratch out(openssl::hash_size(which));
  mac.finish(out);
  return secret(out);
}

// RFC 7296 2.13: T1 | T2 | ..., where T1 = prf(K, S | 0x01) and Tn = prf(K, T(n-1) | S | n).
secret compute_prf_plus(std::uint16_t prf, byte_view key, std::initializer_list<byte_view> seed, std::size_t length) {
  const auto which = known_hash_of(prf);
  const auto size = openssl::hash_size(which);
  openssl::must(length <= 255 * size, "prf+ of more than 255 rounds");
  openssl::hmac mac(which, key);
  openssl::scratch out((length + size - 1) / size * size);
  const std::span all(out);
  std::uint8_t round = 0;
  for (std::size_t done = 0; done < length; done += size) {
    if (round > 0) mac.add(all.subspan(done - size, size));
    for (const auto part : seed) mac.add(part);
    ++round;
    mac.add({&round, 1});
    mac.finish(all.subspan(done, size));
  }
  return secret(all.first(length));
}

}  // namespace trunkgate::ike
