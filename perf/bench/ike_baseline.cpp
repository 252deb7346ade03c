#include "perf/bench/ike_baseline.hpp"

#include <array>
#include <memory>

#include <openssl/evp.h>

#include "controlplane/ike/crypto/key_exchange.hpp"
#include "perf/bench/cpu_clock.hpp"
#include "perf/bench/ike_certificates.hpp"

namespace trunkgate::bench {

namespace {

constexpr unsigned repeats = 40;  // some milliseconds of each kind

// Seconds for each call.
double timed(const auto& operation) {
  const auto begun = thread_seconds();
  for (unsigned i = 0; i < repeats; ++i) operation();
  return (thread_seconds() - begun) / repeats;
}

result<void> add_key_exchange(std::uint16_t method, handshake_baseline& into) {
  const auto once = ike::key_exchange_start::make(method);
  if (!once) return std::unexpected(once.error());
  const auto value = once->public_value();
  const auto answer = ike::answer_key_exchange(method, value);
  if (!answer) return std::unexpected(answer.error());
  bool good = true;
  into.initiator += timed([&] {
    const auto start = ike::key_exchange_start::make(method);
    // The answer is another key's, which takes as long.
    good = good && start && start->finish(answer->public_value).has_value();
  });
  into.responder += timed([&] { good = good && ike::answer_key_exchange(method, value).has_value(); });
  if (!good) return failure("a key exchange failed alone");
  return {};
}

result<void> add_signatures(const std::string& auth, handshake_baseline& into) {
  using digest_context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;
  const auto key = make_key(auth);
  const char* hash = auth == "ed25519" ? nullptr : "SHA256";
  const std::array<std::uint8_t, 64> text{};
  std::array<std::uint8_t, 1024> signature{};
  std::size_t size = 0;
  bool good = key != nullptr;
  const auto sign = timed([&] {
    const digest_context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    size = signature.size();
    good = good && EVP_DigestSignInit_ex(context.get(), nullptr, hash, nullptr, nullptr, key.get(), nullptr) == 1 &&
           EVP_DigestSign(context.get(), signature.data(), &size, text.data(), text.size()) == 1;
  });
  const auto verify = timed([&] {
    const digest_context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    good = good && EVP_DigestVerifyInit_ex(context.get(), nullptr, hash, nullptr, nullptr, key.get(), nullptr) == 1 &&
           EVP_DigestVerify(context.get(), signature.data(), size, text.data(), text.size()) == 1;
  });
  if (!good) return failure("a signature failed alone");
  into.initiator += sign + 2 * verify;
  into.responder += sign + 2 * verify;
  return {};
}

}  // namespace

result<handshake_baseline> measure_baseline(const ike_kind& kind) {
  handshake_baseline out;
  const auto proposal = parse_ike_proposal(ike_proposal_with(kind.key_exchange));
  if (!proposal) return std::unexpected(proposal.error());
  for (const auto& part : proposal->transforms)
    if (part.type == transform_type::key_exchange || part.type >= transform_type::additional_ke1)
      if (auto done = add_key_exchange(part.id, out); !done) return std::unexpected(done.error());
  if (kind.auth != "psk")
    if (auto done = add_signatures(kind.auth, out); !done) return std::unexpected(done.error());
  return out;
}

}  // namespace trunkgate::bench
