// Key exchanges with keys that others chose: NIST's, the RFCs', Wycheproof's, and MODP from a script that has the
// primes from their formula.
#include <map>

#include <gtest/gtest.h>
#include <openssl/core_names.h>
#include <openssl/param_build.h>

#include "controlplane/ike/crypto/key_exchange.hpp"
#include "controlplane/ike/crypto/key_exchange_method.hpp"
#include "tests/unit/ike_crypto/vectors.hpp"

namespace trunkgate::ike::test {
namespace {

using namespace transform_id;

const std::map<std::string, std::uint16_t> methods{
    {"ecp256", ecp256}, {"ecp384", ecp384},     {"ecp521", ecp521},     {"x25519", x25519},
    {"x448", x448},     {"mlkem512", mlkem512}, {"mlkem768", mlkem768}, {"mlkem1024", mlkem1024}};
const key_exchange_method& method_of(std::string_view name) { return *find_method(methods.at(std::string(name))); }

openssl::number to_number(const octets& big_endian) {
  return openssl::number(BN_bin2bn(big_endian.data(), static_cast<int>(big_endian.size()), nullptr));
}

openssl::key_pair from_parameters(const char* algorithm, OSSL_PARAM_BLD* builder) {
  OSSL_PARAM* built = OSSL_PARAM_BLD_to_param(builder);
  const openssl::key_context context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  EVP_PKEY* made = nullptr;
  EVP_PKEY_fromdata_init(context.get());
  EXPECT_EQ(EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_KEYPAIR, built), 1);
  OSSL_PARAM_free(built);
  OSSL_PARAM_BLD_free(builder);
  return openssl::key_pair(made);
}

// Without a public value ("") the key can be used for a secret only.
openssl::key_pair ecp_key(const key_exchange_method& method, const octets& exponent, const octets& public_value) {
  auto* builder = OSSL_PARAM_BLD_new();
  const auto number = to_number(exponent);
  auto point = public_value;
  point.insert(point.begin(), 4);
  OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, method.group, 0);
  OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, number.get());
  if (!public_value.empty())
    OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size());
  return from_parameters(method.algorithm, builder);
}

openssl::key_pair raw_key(const key_exchange_method& method, const octets& private_key) {
  return openssl::key_pair(
      EVP_PKEY_new_raw_private_key_ex(nullptr, method.algorithm, nullptr, private_key.data(), private_key.size()));
}

TEST(key_exchange_vectors, rfc_5903) {
  const auto vectors = read_cases("rfc5903.json");
  EXPECT_EQ(vectors.size(), 3u);
  for (const auto& v : vectors) {
    const auto& method = method_of(v["method"].get<std::string>());
    const auto i = unhex(v["public_i"]), r = unhex(v["public_r"]), shared = unhex(v["shared"]);
    const auto own_i = ecp_key(method, unhex(v["private_i"]), i), own_r = ecp_key(method, unhex(v["private_r"]), r);
    EXPECT_EQ(public_value(method, *own_i), i);
    EXPECT_EQ(bytes_of(derive_shared(method, *own_i, r).value()), shared);
    EXPECT_EQ(bytes_of(derive_shared(method, *own_r, i).value()), shared);
  }
}

// Two of the secrets begin with a zero octet, which must not be left out.
TEST(key_exchange_vectors, modp) {
  std::size_t with_zero = 0;
  for (const auto& v : read_cases("ike_modp.json")) {
    const auto& method = *find_method(v["group"]);
    const auto prime = to_number(unhex(v["prime"])), two = to_number({2}), exponent = to_number(unhex(v["private"])),
               power = to_number(unhex(v["public"]));
    auto* builder = OSSL_PARAM_BLD_new();
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_P, prime.get());
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_FFC_G, two.get());
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PRIV_KEY, exponent.get());
    OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_PUB_KEY, power.get());
    const auto own = from_parameters("DH", builder);
    EXPECT_EQ(public_value(method, *own), unhex(v["public"]));
    const auto shared = bytes_of(derive_shared(method, *own, unhex(v["peer"])).value());
    EXPECT_EQ(shared, unhex(v["shared"])) << method.name;
    with_zero += shared.front() == 0;
    // Our own keys are of the same group.
    const auto ours = key_exchange_start::make(method.id).value();
    EXPECT_EQ(bytes_of(ours.finish(unhex(v["public"])).value()),
              bytes_of(derive_shared(method, *own, ours.public_value()).value()));
  }
  EXPECT_GE(with_zero, 2u);
}

void montgomery(const std::string& name, std::size_t expected) {
  const auto& method = method_of(name);
  std::size_t right = 0, refused = 0;
  for (const auto& v : read_cases("wycheproof_" + name + ".json")) {
    const auto shared = derive_shared(method, *raw_key(method, unhex(v["private"])), unhex(v["public"]));
    bool zero = false;
    for (const auto& flag : v["flags"]) zero = zero || flag == "ZeroSharedSecret";
    if (v["result"] == "invalid" || zero) {
      ++refused;
      EXPECT_FALSE(shared) << v;
    } else {
      ++right;
      ASSERT_TRUE(shared) << v;
      EXPECT_EQ(bytes_of(*shared), unhex(v["shared"])) << v;
    }
  }
  EXPECT_EQ(right + refused, expected);
  EXPECT_GE(refused, 20u);
}
TEST(key_exchange_vectors, wycheproof_x25519) { montgomery("x25519", 169); }
TEST(key_exchange_vectors, wycheproof_x448) { montgomery("x448", 147); }

void ecp(const std::string& name, std::size_t expected) {
  const auto& method = method_of(name);
  std::size_t right = 0, refused = 0;
  for (const auto& v : read_cases("wycheproof_" + name + ".json")) {
    const auto point = unhex(v["public"]);
    const auto shared = derive_shared(method, *ecp_key(method, unhex(v["private"]), {}), byte_view(point).subspan(1));
    if (v["result"] == "invalid") {
      ++refused;
      EXPECT_FALSE(shared) << v;
    } else {
      ++right;
      ASSERT_TRUE(shared) << v;
      EXPECT_EQ(bytes_of(*shared), unhex(v["shared"])) << v;
    }
  }
  EXPECT_EQ(right + refused, expected);
  EXPECT_GE(refused, 16u);
}
TEST(key_exchange_vectors, wycheproof_ecp256) { ecp("ecp256", 182); }
TEST(key_exchange_vectors, wycheproof_ecp384) { ecp("ecp384", 162); }
TEST(key_exchange_vectors, wycheproof_ecp521) { ecp("ecp521", 158); }

TEST(key_exchange_vectors, nist_mlkem) {
  std::map<std::string, int> seen;
  for (const auto& v : read_cases("nist_mlkem.json")) {
    const auto& method = method_of(v["method"].get<std::string>());
    const std::string kind = v["kind"];
    ++seen[kind];
    if (kind == "key") {
      auto seed = unhex(v["seed"]);
      auto* builder = OSSL_PARAM_BLD_new();
      OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_ML_KEM_SEED, seed.data(), seed.size());
      const auto own = from_parameters(method.algorithm, builder);
      EXPECT_EQ(public_value(method, *own), unhex(v["public"])) << method.name;
      const auto answer = answer_key_exchange(method.id, unhex(v["public"])).value();
      EXPECT_EQ(bytes_of(derive_shared(method, *own, answer.public_value).value()), bytes_of(answer.shared));
    } else if (kind == "decapsulate") {
      const auto own = raw_key(method, unhex(v["private"]));
      EXPECT_EQ(bytes_of(derive_shared(method, *own, unhex(v["ciphertext"])).value()), unhex(v["shared"]));
    } else {
      EXPECT_FALSE(answer_key_exchange(method.id, unhex(v["public"]))) << method.name;
    }
  }
  EXPECT_EQ(seen["key"], 9);
  EXPECT_EQ(seen["decapsulate"], 12);
  EXPECT_EQ(seen["bad key"], 8);
}

}  // namespace
}  // namespace trunkgate::ike::test
