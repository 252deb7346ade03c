#include "controlplane/ike/crypto/key_schedule.hpp"

#include <array>

#include "controlplane/ike/crypto/message_cipher.hpp"
#include "controlplane/ike/crypto/openssl.hpp"
#include "dataplane/core/bytes.hpp"

namespace trunkgate::ike {
namespace {

// {SK_d | SK_ai | SK_ar | SK_ei | SK_er | SK_pi | SK_pr} = prf+ (SKEYSEED, Ni | Nr | SPIi | SPIr)
ike_keys spread(const ike_suite& suite, const exchange_context& context, const secret& skeyseed) {
  const std::array spis{be64(context.initiator_spi), be64(context.responder_spi)};
  const byte_view spi_octets(reinterpret_cast<const std::uint8_t*>(spis.data()), sizeof spis);
  const auto prf = prf_size(suite.prf);
  const auto [encryption, integrity] = key_sizes(suite.encryption, suite.integrity);
  const auto stream =
      compute_prf_plus(suite.prf, skeyseed.bytes(), {context.initiator_nonce, context.responder_nonce, spi_octets},
                       3 * prf + 2 * integrity + 2 * encryption);
  auto rest = stream.bytes();
  const auto take = [&rest](std::size_t octets) {
    secret taken(rest.first(octets));
    rest = rest.subspan(octets);
    return taken;
  };
  // A braced list is evaluated from left to right.
  return {.d = take(prf),
          .ai = take(integrity),
          .ar = take(integrity),
          .ei = take(encryption),
          .er = take(encryption),
          .pi = take(prf),
          .pr = take(prf)};
}

// SK(0) | Ni | Nr | SK(1) | ... SK(n); the nonces alone if there was no key exchange.
void append_in_order(openssl::scratch& out, byte_view initiator_nonce, byte_view responder_nonce,
                     std::span<const secret> shared) {
  std::size_t size = initiator_nonce.size() + responder_nonce.size();
  for (const auto& one : shared) size += one.size();
  out.reserve(size);  // growing later would leave copies behind
  const auto add = [&out](byte_view part) { out.insert(out.end(), part.begin(), part.end()); };
  if (!shared.empty()) add(shared.front().bytes());
  add(initiator_nonce);
  add(responder_nonce);
  if (shared.empty()) return;
  for (const auto& one : shared.subspan(1)) add(one.bytes());
}

}  // namespace

// RFC 7296 2.14. Our PRFs take keys of any length, so the nonces are used whole.
ike_keys first_keys(const ike_suite& suite, const exchange_context& context, byte_view shared) {
  openssl::scratch nonces;
  append_in_order(nonces, context.initiator_nonce, context.responder_nonce, {});
  return spread(suite, context, compute_prf(suite.prf, nonces, {shared}));
}

// RFC 9370 2.2.2
ike_keys next_keys(const ike_suite& suite, const exchange_context& context, const secret& sk_d, byte_view shared) {
  return spread(suite, context,
                compute_prf(suite.prf, sk_d.bytes(), {shared, context.initiator_nonce, context.responder_nonce}));
}

// RFC 7296 2.18 and RFC 9370 2.2.4. The old SA's PRF makes SKEYSEED, the new one's the keys.
ike_keys rekeyed_keys(const ike_suite& suite, std::uint16_t old_prf, const secret& old_sk_d,
                      const exchange_context& context, std::span<const secret> shared) {
  openssl::scratch seed;
  append_in_order(seed, context.initiator_nonce, context.responder_nonce, shared);
  return spread(suite, context, compute_prf(old_prf, old_sk_d.bytes(), {seed}));
}

// RFC 7296 2.17 and RFC 9370 2.2.4. The keys of the SA from initiator to responder come first; of one SA the cipher's
// before the authentication's, with the salt behind the cipher's key (RFC 4106 8.1, RFC 3686 5.1, RFC 7634 2).
child_keys derive_child_keys(std::uint16_t prf, const secret& sk_d, byte_view initiator_nonce,
                             byte_view responder_nonce, std::span<const secret> shared, esp_suite suite) {
  openssl::scratch seed;
  append_in_order(seed, initiator_nonce, responder_nonce, shared);
  const std::size_t each = info(suite).key_material();
  const auto stream = compute_prf_plus(prf, sk_d.bytes(), {seed}, 2 * each);
  return {.to_responder = secret(stream.bytes().first(each)), .to_initiator = secret(stream.bytes().subspan(each))};
}

}  // namespace trunkgate::ike
