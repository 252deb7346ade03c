// Message numbers and windows (RFC 7296 2.1 to 2.3).
#include "controlplane/ike/exchange/steps.hpp"
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

class Windows : public ::testing::Test {
 protected:
  void SetUp() override {
    w.begin();
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    w.run_for(60s);
    w.log.clear();
  }
  // An empty INFORMATIONAL of the left with this number, under the right keys.
  [[nodiscard]] bytes request(std::uint32_t id, std::uint64_t iv, const payloads& content = {}) const {
    const auto& sa = *w.left.sa();
    auto cipher = message_cipher::make(sa.suite.encryption, sa.suite.integrity, sa.keys.ei.bytes(), sa.keys.ai.bytes());
    const header head{.initiator_spi = sa.messages->initiator_spi(),
                      .responder_spi = sa.messages->responder_spi(),
                      .exchange = exchange_type::informational,
                      .from_initiator = true,
                      .message_id = id};
    const auto chain = encode_payloads(content);
    auto out = encode_encrypted_front(head, chain.first, cipher->body_size(chain.data.size()));
    cipher->seal(out, chain.data, iv);
    return out;
  }
  void give(const bytes& datagram) {
    w.right.ike->receive({{w.right.address, 500}, {w.left.address, 500}}, datagram);
    w.run_for(1ms);
  }
  [[nodiscard]] std::vector<bytes> answers() const {
    std::vector<bytes> out;
    for (const auto& one : w.log)
      if (one.from == &w.right) out.push_back(one.data);
    return out;
  }
  [[nodiscard]] std::uint32_t next() const { return w.left.sa()->messages->position().next_request; }
  world w;
};

TEST_F(Windows, ARepeatedRequestGetsTheSameOctets) {
  const auto one = request(next(), 1000);
  give(one);
  give(one);
  give(one);
  ASSERT_EQ(answers().size(), 3u);
  EXPECT_EQ(answers()[0], answers()[1]);
  EXPECT_EQ(answers()[0], answers()[2]);
  EXPECT_EQ(w.right.sa()->messages->counts().repeated_requests, 2u);
}

TEST_F(Windows, SeveralRequestsAtOnceInAnyOrder) {
  const auto first = next();
  for (const auto id : {3u, 1u, 2u}) give(request(first + id, 1000 + id));
  EXPECT_TRUE(answers().empty());
  give(request(first, 1000));
  ASSERT_EQ(answers().size(), 4u);
  for (std::uint32_t i = 0; i < 4; ++i) EXPECT_EQ(parse_header(answers()[i])->message_id, first + i);
}

TEST_F(Windows, BeyondTheWindowAndBehindItThereIsSilence) {
  const auto first = next();
  give(request(first + 4, 1000));
  give(request(first + 0x8000'0000, 1001));
  EXPECT_TRUE(answers().empty());
  EXPECT_EQ(w.right.sa()->messages->counts().out_of_window, 2u);
  for (std::uint32_t i = 0; i < 8; ++i) give(request(first + i, 2000 + i));
  const auto before = answers().size();
  give(request(first, 2000));      // too old to be remembered
  give(request(first + 7, 3000));  // another one under a number that is taken
  EXPECT_EQ(answers().size(), before);
}

TEST_F(Windows, WhatIsNotAuthenticChangesNothing) {
  auto wrong = request(next(), 1000);
  wrong.back() ^= 1;
  give(wrong);
  EXPECT_TRUE(answers().empty());
  EXPECT_EQ(w.right.sa()->messages->counts().not_authentic, 1u);
  give(request(next(), 1000));
  EXPECT_EQ(answers().size(), 1u);
}

// RFC 7296 2.21.3: authentic, and not to be understood: INVALID_SYNTAX, and life goes on.
TEST_F(Windows, AuthenticNonsense) {
  const auto& sa = *w.left.sa();
  auto cipher = message_cipher::make(sa.suite.encryption, sa.suite.integrity, sa.keys.ei.bytes(), sa.keys.ai.bytes());
  const auto first = next();
  for (std::uint32_t i = 0; i < 6; ++i) {
    const header head{.initiator_spi = sa.messages->initiator_spi(),
                      .responder_spi = sa.messages->responder_spi(),
                      .exchange = exchange_type::informational,
                      .from_initiator = true,
                      .message_id = first + i};
    const bytes nonsense{0, 0, 0, static_cast<std::uint8_t>(i)};
    auto out = encode_encrypted_front(head, payload_type::notify, cipher->body_size(nonsense.size()));
    cipher->seal(out, nonsense, 1000 + i);
    give(out);
  }
  EXPECT_EQ(answers().size(), 6u);
  give(request(first + 6, 2000));
  EXPECT_EQ(answers().size(), 7u);
  EXPECT_TRUE(w.up());
}

TEST_F(Windows, AnUnknownCriticalPayloadInside) {
  give(request(next(), 1000, {unknown_payload{.type = payload_type{200}, .critical = true}}));
  give(request(next() + 1, 1001, {unknown_payload{.type = payload_type{200}, .critical = false}}));
  EXPECT_EQ(answers().size(), 2u);
  EXPECT_EQ(w.right.sa()->messages->counts().malformed, 1u);
  EXPECT_TRUE(w.up());
}

// RFC 7296 2.2: numbers do not wrap; the IKE SA is replaced before.
TEST_F(Windows, NumbersNearTheirEndMakeARekey) {
  const auto old = w.left.sa();
  w.left.sa()->messages->resume(
      {.at = {.next_request = 0xffff'0000, .expected_request = 5, .next_iv = 1u << 20}, .asked = {}, .answered = {}});
  w.right.sa()->messages->resume(
      {.at = {.next_request = 5, .expected_request = 0xffff'0000, .next_iv = 1u << 20}, .asked = {}, .answered = {}});
  w.left.t().rekey_child(0);
  ASSERT_TRUE(w.run([&] { return w.left.sa() && w.left.sa() != old; }, 60s));
  w.run_for(100s);
  EXPECT_LT(next(), 10u);
  EXPECT_TRUE(w.clean(1));
}

// RFC 7296 2.3: both sides say how much they take at once.
TEST(Window, IsAnnounced) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  for (const auto* side : {&w.left, &w.right}) {
    const auto* from = side == &w.left ? &w.right : &w.left;
    const auto& sa = *side->sa();
    const bool initiator = side == &w.right;
    auto cipher = message_cipher::make(sa.suite.encryption, sa.suite.integrity,
                                       (initiator ? sa.keys.ei : sa.keys.er).bytes(), {});
    bool said = false;
    for (const auto& one : w.log) {
      const auto outer = parse_message(one.data);
      if (one.from != from || !outer || outer->body_offset == 0) continue;
      const auto plain = cipher->open(one.data, outer->body_offset);
      ASSERT_TRUE(plain);
      const auto inside = parse_payloads(outer->first_inside, *plain);
      const auto* size = inside ? find_notify(*inside, notify::set_window_size) : nullptr;
      said = said || (size != nullptr && size->data == bytes{0, 0, 0, 4});
    }
    EXPECT_TRUE(said);
  }
}

}  // namespace

}  // namespace trunkgate::ike::test
