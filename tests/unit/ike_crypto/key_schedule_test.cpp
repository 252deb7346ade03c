// The key schedule against an independent one: an IKE SA with two additional key exchanges, its children, its
// successor.
#include <gtest/gtest.h>

#include "tests/unit/ike_crypto/vectors.hpp"

namespace trunkgate::ike::test {
namespace {

TEST(key_schedule, chain_children_and_successor) {
  const auto vectors = read_cases("ike_key_schedule.json");
  EXPECT_EQ(vectors.size(), 23u);
  for (const auto& v : vectors) {
    const auto suite = suite_of(v["suite"]);
    const held_context context(v["nonces"], v["spis"]), next(v["new_nonces"], v["new_spis"]);
    const auto shared = secrets(v["shared"]), new_shared = secrets(v["new_shared"]);

    auto keys = first_keys(suite, context.view(), shared[0].bytes());
    EXPECT_EQ(hexed(keys), v["chain"][0]) << v["suite"];
    for (std::size_t i = 1; i < shared.size(); ++i) {
      keys = next_keys(suite, context.view(), keys.d, shared[i].bytes());
      EXPECT_EQ(hexed(keys), v["chain"][i]) << v["suite"] << i;
    }

    for (const auto& child : v["children"]) {
      const auto exchanges = std::span(new_shared).first(child["exchanges"].get<std::size_t>());
      const auto esp = find_esp_suite(child["suite"].get<std::string>()).value();
      const auto made =
          derive_child_keys(suite.prf, keys.d, next.initiator_nonce, next.responder_nonce, exchanges, esp);
      EXPECT_EQ(bytes_of(made.to_responder), unhex(child["to_responder"])) << child["suite"];
      EXPECT_EQ(bytes_of(made.to_initiator), unhex(child["to_initiator"])) << child["suite"];
    }

    auto new_suite = suite;
    new_suite.prf = v["new_prf"];
    for (const std::size_t i : {0, 1}) {
      const auto exchanges = std::span(new_shared).first(i == 0 ? 1 : 3);
      EXPECT_EQ(hexed(rekeyed_keys(new_suite, suite.prf, keys.d, next.view(), exchanges)), v["rekeyed"][i]);
    }
  }
}

}  // namespace
}  // namespace trunkgate::ike::test
