// What goes wrong, what both ends say of it, and what goes over the wire.
#include "controlplane/ike/exchange/exchanges.hpp"
#include "controlplane/ike/exchange/steps.hpp"
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

struct expected {
  const char* name;
  std::function<void(tunnel_settings&, tunnel_settings&)> change;
  trouble left, right;
  const char *left_path, *right_path;
  std::uint16_t said;  // by the responder
};
std::ostream& operator<<(std::ostream& to, const expected& one) { return to << one.name; }

class Failure : public ::testing::TestWithParam<expected> {};

//  left                                            right
//  IKE_SA_INIT                               -->
//                                            <--   SA, KE, N         or the error
//  IKE_AUTH                                  -->
//                                            <--   the error
TEST_P(Failure, IsExplainedOnBothEnds) {
  const auto& how = GetParam();
  world w;
  w.write("other.psk", "battery horse\n");
  w.write("ppk", "a post-quantum key of many octets\n");
  w.begin(how.change);
  ASSERT_TRUE(w.run([&] { return w.left.t().last_failure() != nullptr && !w.left.t().sas().size(); }, 70s));
  EXPECT_EQ(name(w.left.failure_of_t().what), name(how.left)) << w.left.failure_of_t().text;
  EXPECT_EQ(w.left.failure_of_t().path, how.left_path);
  EXPECT_EQ(w.left.failure_of_t().notify, how.said);
  EXPECT_FALSE(w.left.failure_of_t().text.empty());
  const auto& right = w.right.ike->find("t") && w.right.t().last_failure() ? w.right.failure_of_t()
                      : !w.right.ike->strangers().empty()                  ? w.right.ike->strangers().back().failure
                                                                           : failed_step{};
  EXPECT_EQ(name(right.what), name(how.right)) << right.text;
  EXPECT_EQ(right.path, how.right_path);
  w.left.t().stop();
  w.run_for(110s);
  EXPECT_TRUE(w.clean(0, 0));
}

post_quantum_key_settings ppk(bool required) {
  return {.id = "p", .key = {.name = "ppk", .path = "x"}, .required = required};
}

INSTANTIATE_TEST_SUITE_P(
    All, Failure,
    ::testing::Values(
        expected{"wrong_psk", [](auto& a, auto&) { a.ike->psk->name = "other.psk"; }, trouble::peer_refused_us,
                 trouble::peer_not_authentic, "local.id", "psk", notify::authentication_failed},
        expected{"wrong_own_id", [](auto& a, auto&) { a.ike->local_id = "third.example"; }, trouble::peer_refused_us,
                 trouble::unknown_peer, "local.id", "remote.id", notify::authentication_failed},
        expected{"wrong_peer_id", [](auto& a, auto&) { a.ike->remote_id = "third.example"; }, trouble::peer_refused_us,
                 trouble::unknown_peer, "local.id", "remote.id", notify::authentication_failed},
        expected{"unknown_peer", [](auto&, auto& b) { b.peer = *parse_ip_address("198.51.100.9"); },
                 trouble::no_common_proposal, trouble::unknown_peer, "ike.proposals", "", notify::no_proposal_chosen},
        expected{"no_common_proposal",
                 [](auto& a, auto&) { a.ike->proposals = {*parse_ike_proposal("aes128-sha256-ecp256")}; },
                 trouble::no_common_proposal, trouble::no_common_proposal, "ike.proposals", "ike.proposals",
                 notify::no_proposal_chosen},
        expected{"post_quantum_key_missing_there", [](auto& a, auto&) { a.ike->post_quantum_key = ppk(true); },
                 trouble::post_quantum_key, trouble::none, "ike.post_quantum_key", "", 0},
        expected{"post_quantum_key_missing_here", [](auto&, auto& b) { b.ike->post_quantum_key = ppk(true); },
                 trouble::peer_refused_us, trouble::post_quantum_key, "local.id", "ike.post_quantum_key",
                 notify::authentication_failed},
        expected{"other_post_quantum_key",
                 [](auto& a, auto& b) {
                   a.ike->post_quantum_key = ppk(true);
                   b.ike->post_quantum_key = ppk(true);
                   b.ike->post_quantum_key->id = "q";
                 },
                 trouble::peer_refused_us, trouble::post_quantum_key, "local.id", "ike.post_quantum_key",
                 notify::authentication_failed}),
    [](const auto& one) { return std::string(one.param.name); });

// The left does not believe the right: it says so in an exchange of its own (RFC 7296 2.21.2).
TEST(FailureOf, AResponderWithAnotherName) {
  world w;
  w.begin([](auto&, auto& b) { b.ike->local_id = {}; });
  ASSERT_TRUE(w.run([&] { return w.left.t().last_failure() && w.right.t().last_failure(); }, 5s));
  EXPECT_EQ(w.left.failure_of_t().what, trouble::peer_not_authentic);
  EXPECT_EQ(w.left.failure_of_t().path, "remote.id");
  EXPECT_EQ(w.right.failure_of_t().what, trouble::peer_refused_us);
  EXPECT_EQ(w.right.failure_of_t().notify, notify::authentication_failed);
}

TEST(FailureOf, APeerThatIsSilent) {
  world w;
  w.on_way = [](packet&) { return false; };
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.left.t().last_failure() != nullptr; }, 90s));
  EXPECT_EQ(w.left.failure_of_t().what, trouble::peer_silent);
  EXPECT_EQ(w.left.failure_of_t().text, "no answer to IKE_SA_INIT (8 requests)");
  EXPECT_TRUE(w.left.t().next_attempt().has_value());
}

// An octet of what the key exchange says is another one when it arrives: each end has keys of its own, and nothing
// that follows IKE_SA_INIT opens.
TEST(FailureOf, EndsThatHaveDifferentKeys) {
  world w;
  w.on_way = [&](packet& one) {
    const auto parsed = parse_message(one.data);
    if (one.from == &w.left || !parsed || parsed->head.exchange != exchange_type::ike_sa_init) return true;
    const auto* ke = find<key_exchange_payload>(parsed->clear);
    if (ke != nullptr) std::ranges::search(one.data, ke->data).front() ^= 1;
    return true;
  };
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.right.t().last_failure() != nullptr; }, 40s));
  EXPECT_EQ(w.right.failure_of_t().what, trouble::peer_silent);
  EXPECT_EQ(
      w.right.failure_of_t().text,
      "what came after IKE_SA_INIT does not open with our keys: the peer has others, or it was changed on the way");
  EXPECT_TRUE(w.left.sas.sas.empty() && w.right.sas.sas.empty());
}

//  IKE_SA_INIT                               -->
//                                            <--   SA, KE, N; and then nothing
TEST(FailureOf, AnInitiatorThatDoesNotGoOn) {
  world w;
  w.on_way = [&](packet& one) {
    const auto parsed = parse_message(one.data);
    return !parsed || parsed->head.exchange == exchange_type::ike_sa_init;
  };
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.right.t().last_failure() != nullptr; }, 40s));
  EXPECT_EQ(w.right.failure_of_t().text, "the peer began with IKE_SA_INIT and did not go on");
}

struct child_failure {
  const char* name;
  std::function<void(tunnel_settings&, tunnel_settings&)> change;
  trouble what;
  const char *left_path, *right_path;
  std::uint16_t said;
};
std::ostream& operator<<(std::ostream& to, const child_failure& one) { return to << one.name; }
class ChildFailure : public ::testing::TestWithParam<child_failure> {};

//  IKE_AUTH   IDi, AUTH, SA, TSi, TSr        -->
//                                            <--   IDr, AUTH, N(the error)
//  The IKE SA is up, the child is not; with `childless` by CREATE_CHILD_SA.
TEST_P(ChildFailure, LeavesTheIkeSaUp) {
  for (const bool childless : {false, true}) {
    const auto& how = GetParam();
    world w;
    w.begin([&](auto& a, auto& b) {
      how.change(a, b);
      a.ike->childless = childless;
    });
    ASSERT_TRUE(w.run([&] { return w.left.ike->find("t") && !w.left.t().warnings().empty(); }, 5s));
    EXPECT_EQ(w.left.t().warnings()[0].what, how.what);
    EXPECT_EQ(w.left.t().warnings()[0].path, how.left_path);
    EXPECT_EQ(w.left.t().warnings()[0].notify, how.said);
    ASSERT_TRUE(w.left.sa() && w.right.sa());
    const auto seen = w.right.t().warnings().empty() ? w.right.record().failure : w.right.t().warnings()[0];
    EXPECT_EQ(seen.what, how.what) << seen.text;
    EXPECT_EQ(seen.path, how.right_path);
    EXPECT_TRUE(w.left.sas.sas.empty() && w.right.sas.sas.empty());
    w.run_for(600s);
    EXPECT_LE(w.sent, 80u) << "it is tried at ever longer intervals";
  }
}
INSTANTIATE_TEST_SUITE_P(
    All, ChildFailure,
    ::testing::Values(
        child_failure{
            "esp", [](auto& a, auto&) { a.children[0].esp = {*parse_esp_proposal("aes128gcm16-x25519-esn")}; },
            trouble::no_common_child_proposal, "children.lan.esp", "children.lan.esp", notify::no_proposal_chosen},
        child_failure{"selectors", [](auto& a, auto&) { a.children[0].remote = {*parse_ip_range("10.9.0.0/16")}; },
                      trouble::selectors_unacceptable, "children.lan.remote", "children", notify::ts_unacceptable}),
    [](const auto& one) { return std::string(one.param.name); });

// ---- a peer that breaks the protocol ----

// Someone at the left's address who goes through IKE_SA_INIT properly and then says what the test wants.
struct stranger {
  explicit stranger(world& around) : w(around) {
    w.configure(w.right, {w.settings(w.right, w.left)});
    auto profile = make_profile(w.settings(w.left, w.right), w.folder.string(), true, {});
    sa = std::make_shared<ike_sa>(w.left, nobody(), ike_path{{w.left.address, 500}, {w.right.address, 500}}, true, 77,
                                  0);
    sa->profile = *profile;
    w.on_way = [this](packet& one) {
      if (one.from != &w.right) return true;
      if (const auto head = parse_header(one.data)) sa->messages->take(one.data, *head, one.path);
      return false;
    };
    spawn(w.left, [](stranger& me) -> asio::awaitable<void> {
      me.why = co_await initiate_sa_init(me.sa);
      me.begun = true;
    }(*this));
    w.run([&] { return begun; }, 5s);
  }
  std::optional<payloads> ask(exchange_type exchange, payloads what) {
    std::optional<payloads> answer;
    bool done = false;
    spawn(w.left,
          [](stranger& me, exchange_type how, payloads all, std::optional<payloads>& out,
             bool& over) -> asio::awaitable<void> {
            auto end = co_await me.sa->messages->request(how, std::move(all));
            if (end.answer) out = std::move(end.answer->content);
            over = true;
          }(*this, exchange, std::move(what), answer, done));
    w.run([&] { return done; }, 90s);
    return answer;
  }
  ~stranger() {
    sa->messages->close();
    w.run_for(100ms);
    w.on_way = nullptr;
  }
  world& w;
  ike_sa_pointer sa;
  outcome why;
  bool begun = false;
};
std::uint16_t error_in(const std::optional<payloads>& answer) {
  const auto* found = answer ? find_error(*answer) : nullptr;
  return found ? found->type : 0;
}

TEST(Broken, IkeAuthWithoutAuth) {
  world w;
  stranger s(w);
  ASSERT_FALSE(s.why);
  EXPECT_EQ(error_in(s.ask(exchange_type::ike_auth, {id_of{.initiator = true, .id = *parse_identity("left.example")}})),
            notify::invalid_syntax);
  EXPECT_EQ(w.right.failure_of_t().what, trouble::protocol_error);
  w.run_for(100s);
  EXPECT_EQ(w.right.ike->ike_sas(), 0u);
}

// Nothing but IKE_AUTH is a way in.
TEST(Broken, OtherExchangesBeforeIkeAuth) {
  for (const auto exchange : {exchange_type::create_child_sa, exchange_type::ike_followup_ke,
                              exchange_type::ike_intermediate, exchange_type::ike_sa_init}) {
    world w;
    stranger s(w);
    const auto answer = s.ask(exchange, {nonce_payload{.data = bytes(32)}});
    EXPECT_NE(error_in(answer), 0) << static_cast<int>(exchange);
    EXPECT_TRUE(w.right.sas.sas.empty());
    EXPECT_EQ(w.right.sa(), nullptr);
  }
}

// RFC 7296 2.5: a critical payload that is not known is refused, and named; another one is left out.
TEST(Broken, UnknownPayloads) {
  world w;
  stranger s(w);
  EXPECT_EQ(s.w.right.ike->half_open(), 1u);
  const auto answer = s.ask(exchange_type::ike_auth, {unknown_payload{.type = payload_type{200}, .critical = true}});
  ASSERT_TRUE(answer);
  const auto* said = find_notify(*answer, notify::unsupported_critical_payload);
  ASSERT_NE(said, nullptr);
  EXPECT_EQ(said->data, bytes{200});
}

bytes critical_in_clear(world& w) {
  const header head{.initiator_spi = 5, .exchange = exchange_type::ike_sa_init, .from_initiator = true};
  (void)w;
  return encode_message(head, {unknown_payload{.type = payload_type{200}, .critical = true}});
}

TEST(Broken, AnUnknownCriticalPayloadInClear) {
  world w;
  w.configure(w.right, {w.settings(w.right, w.left)});
  w.right.ike->receive({{w.right.address, 500}, {w.left.address, 500}}, critical_in_clear(w));
  ASSERT_EQ(w.log.size(), 1u);
  const auto answer = parse_message(w.log[0].data);
  ASSERT_TRUE(answer);
  ASSERT_NE(find_notify(answer->clear, notify::unsupported_critical_payload), nullptr);
  EXPECT_EQ(answer->head.initiator_spi, 5u);
  EXPECT_TRUE(answer->head.response);
}

TEST(Broken, AHigherMajorVersion) {
  world w;
  auto message = critical_in_clear(w);
  message[17] = 0x30;
  w.right.ike->receive({{w.right.address, 500}, {w.left.address, 500}}, message);
  ASSERT_EQ(w.log.size(), 1u);
  const auto answer = parse_message(w.log[0].data);
  ASSERT_TRUE(answer);
  EXPECT_NE(find_notify(answer->clear, notify::invalid_major_version), nullptr);
  // Never to a response: two who do not understand each other would go on for ever.
  message[19] |= 0x20;
  w.right.ike->receive({{w.right.address, 500}, {w.left.address, 500}}, message);
  EXPECT_EQ(w.log.size(), 1u);
}

// While we open an IKE SA nobody may ask us anything: in clear it is anybody.
TEST(Broken, ARequestInClearToAnInitiator) {
  world w;
  bool forged = false;
  w.on_way = [&](packet& one) {
    if (one.from != &w.left || std::exchange(forged, true)) return true;
    const auto head = parse_header(one.data);
    const header fake{.initiator_spi = head->initiator_spi,
                      .responder_spi = 9,
                      .exchange = exchange_type::informational,
                      .from_initiator = false};
    w.left.ike->receive({one.path.remote, one.path.local},
                        encode_message(fake, {delete_payload{.protocol = protocol_id::ike, .spis = {}}}));
    return true;
  };
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_TRUE(forged);
  EXPECT_EQ(w.left.t().counts().attempts, 1u);
}

}  // namespace

}  // namespace trunkgate::ike::test
