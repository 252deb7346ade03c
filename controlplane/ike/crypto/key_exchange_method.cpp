#include "controlplane/ike/crypto/key_exchange_method.hpp"

#include <string>

#include <openssl/core_names.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/param_build.h>
#include <openssl/params.h>

#include "config/ike_proposal.hpp"

namespace trunkgate::ike {
namespace {

using namespace transform_id;

constexpr key_exchange_method modp(std::uint16_t id, const char* name, const char* group, std::size_t bits,
                                   int private_bits) {
  return {id, method_family::modp, name, "DH", group, bits / 8, bits / 8, bits / 8, private_bits};
}
constexpr key_exchange_method ecp(std::uint16_t id, const char* name, const char* group, std::size_t field) {
  return {id, method_family::ecp, name, "EC", group, 2 * field, 2 * field, field, 0};
}
constexpr key_exchange_method montgomery(std::uint16_t id, const char* name, const char* algorithm, std::size_t size) {
  return {id, method_family::montgomery, name, algorithm, nullptr, size, size, size, 0};
}
constexpr key_exchange_method mlkem(std::uint16_t id, const char* name, const char* algorithm, std::size_t key,
                                    std::size_t ciphertext) {
  return {id, method_family::mlkem, name, algorithm, nullptr, key, ciphertext, 32, 0};  // FIPS 203, table 3
}

// MODP exponents have twice the bits of the group's strength at least (SP 800-56A 5.6.1.1.1) and lie in RFC 3526 8's
// ranges: a longer one costs time and adds nothing.
constexpr std::array methods{
    modp(modp1024, "modp1024", nullptr, 1024, 192),
    modp(modp2048, "modp2048", "modp_2048", 2048, 225),
    modp(modp3072, "modp3072", "modp_3072", 3072, 275),
    modp(modp4096, "modp4096", "modp_4096", 4096, 325),
    modp(modp6144, "modp6144", "modp_6144", 6144, 375),
    modp(modp8192, "modp8192", "modp_8192", 8192, 400),
    ecp(ecp256, "ecp256", "P-256", 32),
    ecp(ecp384, "ecp384", "P-384", 48),
    ecp(ecp521, "ecp521", "P-521", 66),
    montgomery(x25519, "x25519", "X25519", 32),
    montgomery(x448, "x448", "X448", 56),
    mlkem(mlkem512, "mlkem512", "ML-KEM-512", 800, 768),
    mlkem(mlkem768, "mlkem768", "ML-KEM-768", 1184, 1088),
    mlkem(mlkem1024, "mlkem1024", "ML-KEM-1024", 1568, 1568),
};

using parameter_builder = std::unique_ptr<OSSL_PARAM_BLD, openssl::freer<OSSL_PARAM_BLD_free>>;
using parameters = std::unique_ptr<OSSL_PARAM, openssl::freer<OSSL_PARAM_free>>;

// A key object that has the group's parameters and no key.
openssl::key_pair make_group(const key_exchange_method& method) {
  const parameter_builder builder(OSSL_PARAM_BLD_new());
  const openssl::number prime(BN_get_rfc2409_prime_1024(nullptr)), generator(BN_new());  // RFC 7296 B.2
  openssl::must(builder && prime && generator && BN_set_word(generator.get(), 2) == 1, method.name);
  if (method.group != nullptr)
    openssl::must(OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, method.group, 0) == 1,
                  method.name);
  else
    openssl::must(OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_FFC_P, prime.get()) == 1 &&
                      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_FFC_G, generator.get()) == 1,
                  method.name);
  const parameters built(OSSL_PARAM_BLD_to_param(builder.get()));
  const openssl::key_context context(EVP_PKEY_CTX_new_from_name(nullptr, method.algorithm, nullptr));
  EVP_PKEY* group = nullptr;
  openssl::must(built && context && EVP_PKEY_fromdata_init(context.get()) == 1 &&
                    EVP_PKEY_fromdata(context.get(), &group, EVP_PKEY_KEY_PARAMETERS, built.get()) == 1,
                method.name);
  return openssl::key_pair(group);
}

openssl::key_pair make_any_key(const key_exchange_method& method) {
  const openssl::key_context context(EVP_PKEY_CTX_new_from_name(nullptr, method.algorithm, nullptr));
  EVP_PKEY* made = nullptr;
  openssl::must(context && EVP_PKEY_keygen_init(context.get()) == 1 && EVP_PKEY_keygen(context.get(), &made) == 1,
                method.name);
  return openssl::key_pair(made);
}

// For each method a key object from which others are made: to look a curve or a prime up by its name costs more than
// some of the arithmetic. Where there are no parameters it is a key pair that nobody uses.
struct patterns {
  std::array<openssl::key_pair, methods.size()> keys;
  patterns() {
    for (std::size_t i = 0; i < methods.size(); ++i)
      keys[i] = methods[i].family == method_family::modp || methods[i].family == method_family::ecp
                    ? make_group(methods[i])
                    : make_any_key(methods[i]);
  }
};

EVP_PKEY* pattern(const key_exchange_method& method) {
  static const patterns all;
  return all.keys[static_cast<std::size_t>(&method - methods.data())].get();
}

std::string prefix(const key_exchange_method& method) { return "key exchange " + std::string(method.name) + ": "; }

// The key object of a peer's value, whose length has been checked; null: it is none. OpenSSL takes a number only if
// 1 < y < p - 1 (RFC 6989 2.1; with a safe prime no other is of a small subgroup), a point only if both coordinates are
// below the prime and it lies on the curve (RFC 6989 2.3; ours have no small subgroup), and an encapsulation key only
// if its coefficients are below q (FIPS 203 7.2). The tests hold it to that.
openssl::key_pair read_peer(const key_exchange_method& method, byte_view value) {
  auto* from = pattern(method);
  openssl::key_pair peer(EVP_PKEY_new());
  openssl::must(peer && EVP_PKEY_copy_parameters(peer.get(), from) == 1, method.name);
  std::vector<std::uint8_t> point;
  if (method.family == method_family::ecp) {
    point.reserve(1 + value.size());
    point.push_back(POINT_CONVERSION_UNCOMPRESSED);
    point.insert(point.end(), value.begin(), value.end());
    value = point;
  }
  if (EVP_PKEY_set1_encoded_public_key(peer.get(), value.data(), value.size()) != 1) return nullptr;
  return peer;
}

std::unexpected<error> wrong_length(const key_exchange_method& method, std::size_t got, std::size_t wanted) {
  return failure(prefix(method) + "the peer's value has " + std::to_string(got) + " octets instead of " +
                 std::to_string(wanted));
}

std::unexpected<error> no_element(const key_exchange_method& method) {
  return failure(prefix(method) + "the peer's value is no element of the group");
}

openssl::key_context context_of(const EVP_PKEY& key) {
  openssl::key_context context(EVP_PKEY_CTX_new_from_pkey(nullptr, const_cast<EVP_PKEY*>(&key), nullptr));
  openssl::must(context != nullptr, "a key's context");
  return context;
}

result<secret> diffie_hellman(const key_exchange_method& method, const EVP_PKEY& own, EVP_PKEY& peer) {
  const auto context = context_of(own);
  openssl::must(EVP_PKEY_derive_init(context.get()) == 1, method.name);
  // RFC 7296 2.14: leading zeros count.
  if (method.family == method_family::modp) openssl::must(EVP_PKEY_CTX_set_dh_pad(context.get(), 1) == 1, method.name);
  openssl::scratch shared(method.shared);
  auto size = shared.size();
  // The peer's value was checked when it was read: OpenSSL's check here would multiply by the group's order once more.
  // RFC 7748 6: OpenSSL refuses an X25519 or X448 secret of zeros. (On an ECP curve zero is a good point's coordinate.)
  if (EVP_PKEY_derive_set_peer_ex(context.get(), &peer, 0) != 1 ||
      EVP_PKEY_derive(context.get(), shared.data(), &size) != 1 || size != shared.size())
    return failure(prefix(method) + "the peer's value gives a trivial secret");
  return secret(shared);
}

// A ciphertext that was tampered with gives another secret, not an error (FIPS 203 7.3): AUTH will not fit.
result<secret> decapsulate(const key_exchange_method& method, const EVP_PKEY& own, byte_view ciphertext) {
  const auto context = context_of(own);
  openssl::scratch shared(method.shared);
  auto size = shared.size();
  if (EVP_PKEY_decapsulate_init(context.get(), nullptr) != 1 ||
      EVP_PKEY_decapsulate(context.get(), shared.data(), &size, ciphertext.data(), ciphertext.size()) != 1 ||
      size != shared.size())
    return failure(prefix(method) + "the peer's ciphertext cannot be decapsulated");
  return secret(shared);
}

answered encapsulate(const key_exchange_method& method, const EVP_PKEY& peer) {
  const auto context = context_of(peer);
  openssl::scratch shared(method.shared);
  std::vector<std::uint8_t> ciphertext(method.responder);
  auto size = ciphertext.size(), shared_size = shared.size();
  openssl::must(EVP_PKEY_encapsulate_init(context.get(), nullptr) == 1 &&
                    EVP_PKEY_encapsulate(context.get(), ciphertext.data(), &size, shared.data(), &shared_size) == 1 &&
                    size == ciphertext.size() && shared_size == shared.size(),
                method.name);
  return {std::move(ciphertext), secret(shared)};
}

}  // namespace

const key_exchange_method* find_method(std::uint16_t id) {
  for (const auto& method : methods)
    if (method.id == id) return &method;
  return nullptr;
}

openssl::key_pair generate_key_pair(const key_exchange_method& method) {
  const auto context = context_of(*pattern(method));
  openssl::must(EVP_PKEY_keygen_init(context.get()) == 1, method.name);
  if (method.private_bits != 0) {
    int bits = method.private_bits;
    const std::array<OSSL_PARAM, 2> length{OSSL_PARAM_construct_int(OSSL_PKEY_PARAM_DH_PRIV_LEN, &bits),
                                           OSSL_PARAM_construct_end()};
    openssl::must(EVP_PKEY_CTX_set_params(context.get(), length.data()) == 1, method.name);
  }
  EVP_PKEY* made = nullptr;
  openssl::must(EVP_PKEY_keygen(context.get(), &made) == 1, method.name);
  return openssl::key_pair(made);
}

std::vector<std::uint8_t> public_value(const key_exchange_method& method, const EVP_PKEY& key) {
  const std::size_t format = method.family == method_family::ecp ? 1 : 0;  // the octet that says "uncompressed"
  std::vector<std::uint8_t> value(format + method.initiator);
  std::size_t size = 0;
  openssl::must(EVP_PKEY_get_octet_string_param(&key, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, value.data(), value.size(),
                                                &size) == 1 &&
                    size == value.size(),
                method.name);
  value.erase(value.begin(), value.begin() + static_cast<std::ptrdiff_t>(format));
  return value;
}

result<secret> derive_shared(const key_exchange_method& method, const EVP_PKEY& own, byte_view answer) {
  if (answer.size() != method.responder) return wrong_length(method, answer.size(), method.responder);
  const openssl::quiet_errors quiet;
  if (method.family == method_family::mlkem) return decapsulate(method, own, answer);
  const auto peer = read_peer(method, answer);
  if (!peer) return no_element(method);
  return diffie_hellman(method, own, *peer);
}

result<answered> answer_value(const key_exchange_method& method, byte_view from_initiator) {
  if (from_initiator.size() != method.initiator) return wrong_length(method, from_initiator.size(), method.initiator);
  const openssl::quiet_errors quiet;
  const auto peer = read_peer(method, from_initiator);
  if (method.family == method_family::mlkem) {
    if (!peer) return failure(prefix(method) + "the peer's value is no encapsulation key");
    return encapsulate(method, *peer);
  }
  if (!peer) return no_element(method);
  const auto own = generate_key_pair(method);
  auto shared = diffie_hellman(method, *own, *peer);
  if (!shared) return std::unexpected(std::move(shared.error()));
  return answered{public_value(method, *own), std::move(*shared)};
}

}  // namespace trunkgate::ike
