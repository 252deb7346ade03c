#include "controlplane/ike/engine/admission.hpp"

#include <algorithm>
#include <utility>

#include <openssl/crypto.h>

#include "controlplane/ike/exchange/steps.hpp"

namespace trunkgate::ike {

namespace {
constexpr auto secret_life = std::chrono::minutes(2);
constexpr std::size_t cookie_size = 32;  // at most 64 (RFC 7296 2.6)
}  // namespace

bool allowance::take(timer_clock::time_point now) {
  const std::chrono::duration<double> passed = now - std::exchange(asked_, now);
  left_ = std::min(at_once_, left_ + passed.count() * per_second_);
  if (left_ < 1) return false;
  left_ -= 1;
  return true;
}

gatekeeper::gatekeeper(environment& outside, admission_limits limits) : outside_(outside), limits_(limits) {
  outside.random(current_);
  outside.random(previous_);
  renewed_ = outside.now();
}

// A cookie lives for one to two lives of a secret.
void gatekeeper::renew_secret() {
  if (outside_.now() - renewed_ < secret_life) return;
  previous_ = current_;
  outside_.random(current_);
  ++version_;
  renewed_ = outside_.now();
}

bytes gatekeeper::compute(const cookie_secret& key, std::uint8_t version, const ike_path& path, const header& head,
                          byte_view nonce) const {
  // RFC 7296 2.6: Cookie = <VersionIDofSecret> | Hash(Ni | IPi | SPIi | <secret>), the hash keyed.
  const auto spi = spi_bytes(head.initiator_spi);
  const std::array<std::uint8_t, 2> port{static_cast<std::uint8_t>(path.remote.port >> 8),
                                         static_cast<std::uint8_t>(path.remote.port)};
  const auto mac = compute_prf(transform_id::prf_hmac_sha256, key, {nonce, path.remote.address.bytes, port, spi});
  bytes out{version};
  out.insert(out.end(), mac.bytes().begin(), mac.bytes().begin() + cookie_size - 1);
  return out;
}

bytes gatekeeper::cookie_for(const ike_path& path, const header& head, byte_view nonce) {
  renew_secret();
  return compute(current_, version_, path, head, nonce);
}

admission gatekeeper::judge(const ike_path& path, const header& head, const payloads& content) {
  renew_secret();
  const auto found = of_source_.find(path.remote.address);
  const auto of_source = found == of_source_.end() ? 0 : found->second;
  if (half_open_ >= limits_.half_open || of_source >= limits_.half_open_of_source) return admission::refused;
  if (half_open_ < limits_.cookies_above && of_source < limits_.cookies_above_of_source) return admission::welcome;
  const auto* cookie = find_notify(content, notify::cookie);
  const auto* nonce = find<nonce_payload>(content);
  if (nonce == nullptr) return admission::refused;
  if (cookie == nullptr || cookie->data.size() != cookie_size) return admission::needs_cookie;
  const bool is_current = cookie->data[0] == version_;
  const auto expected = compute(is_current ? current_ : previous_, cookie->data[0], path, head, nonce->data);
  return CRYPTO_memcmp(expected.data(), cookie->data.data(), cookie_size) == 0 ? admission::welcome
                                                                               : admission::needs_cookie;
}

void gatekeeper::opened(const ip_address& source) {
  ++half_open_;
  ++of_source_[source];
}

void gatekeeper::settled(const ip_address& source) {
  --half_open_;
  if (const auto found = of_source_.find(source); found != of_source_.end() && --found->second == 0)
    of_source_.erase(found);
}

}  // namespace trunkgate::ike
