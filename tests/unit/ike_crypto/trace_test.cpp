// Real exchanges: two strongSwan gateways, recorded with their secrets. From those we must come to their keys, open
// their messages with them and reach the keys of their child SAs.
#include <gtest/gtest.h>

#include "controlplane/ike/crypto/message_cipher.hpp"
#include "tests/unit/ike_crypto/vectors.hpp"

namespace trunkgate::ike::test {
namespace {

constexpr std::size_t front = 28 + 4;  // IKE's header, and SK's

struct direction_pair {
  message_cipher from_initiator, from_responder;
  direction_pair(const ike_suite& suite, const ike_keys& keys)
      : from_initiator(
            message_cipher::make(suite.encryption, suite.integrity, keys.ei.bytes(), keys.ai.bytes()).value()),
        from_responder(
            message_cipher::make(suite.encryption, suite.integrity, keys.er.bytes(), keys.ar.bytes()).value()) {}
};

// Follows one IKE SA through its key exchanges; the last SK_d.
secret follow(const nlohmann::json& sa, std::uint16_t old_prf, const secret& old_sk_d) {
  const auto suite = suite_of(sa["suite"]);
  const held_context context(sa["nonces"], sa["spis"]);
  std::vector<direction_pair> ciphers;
  secret sk_d;
  for (const auto& step : sa["steps"]) {
    const auto shared = secrets(step["shared"]);
    auto keys = !ciphers.empty()       ? next_keys(suite, context.view(), sk_d, shared[0].bytes())
                : old_sk_d.size() == 0 ? first_keys(suite, context.view(), shared[0].bytes())
                                       : rekeyed_keys(suite, old_prf, old_sk_d, context.view(), shared);
    EXPECT_EQ(hexed(keys), step["keys"]);
    ciphers.emplace_back(suite, keys);
    sk_d = std::move(keys.d);
  }
  for (const auto& message : sa["messages"]) {
    const auto datagram = unhex(message["datagram"]);
    const auto& pair = ciphers.at(message["step"]);
    const bool from_initiator = message["from_initiator"];
    const auto plain = (from_initiator ? pair.from_initiator : pair.from_responder).open(datagram, front);
    EXPECT_EQ(plain.value_or(octets{0xff}), unhex(message["plain"])) << message;
    EXPECT_FALSE((from_initiator ? pair.from_responder : pair.from_initiator).open(datagram, front));
    for (std::size_t i = 0; i < ciphers.size(); ++i)
      EXPECT_EQ(ciphers[i].from_initiator.open(datagram, front).has_value(), from_initiator && i == message["step"]);
  }
  return sk_d;
}

class recorded : public testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(exchange, recorded, testing::Values("gcm", "multi", "chacha", "cbc", "des"),
                         [](const auto& one) { return std::string(one.param); });

TEST_P(recorded, opens_with_keys_made_from_its_secrets) {
  const auto trace = read_vectors("ike_trace_" + std::string(GetParam()) + ".json");
  std::vector<secret> sk_d;
  std::size_t messages = 0;
  for (const auto& sa : trace["sas"]) {
    const auto& old = sa["successor_of"];
    static const secret none;
    sk_d.push_back(old.is_null() ? follow(sa, 0, none)
                                 : follow(sa, trace["sas"][old.get<std::size_t>()]["suite"]["prf"], sk_d.at(old)));
    messages += sa["messages"].size();
  }
  EXPECT_EQ(sk_d.size(), 2u);
  EXPECT_GE(messages, 18u);

  for (const auto& child : trace["children"]) {
    const std::size_t sa = child["sa"];
    const auto i = unhex(child["nonces"][0]), r = unhex(child["nonces"][1]);
    const auto made = derive_child_keys(trace["sas"][sa]["suite"]["prf"], sk_d.at(sa), i, r, secrets(child["shared"]),
                                        find_esp_suite(child["suite"].get<std::string>()).value());
    EXPECT_EQ(bytes_of(made.to_responder), unhex(child["to_responder"]));
    EXPECT_EQ(bytes_of(made.to_initiator), unhex(child["to_initiator"]));
  }
  EXPECT_EQ(trace["children"].size(), 3u);
}

}  // namespace
}  // namespace trunkgate::ike::test
