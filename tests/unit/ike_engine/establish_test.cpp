// How a tunnel comes up, in all the ways that the configuration allows.
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

bool noted(const negotiation_record& record, const std::string& text) {
  return std::ranges::any_of(record.notes, [&](const auto& one) { return one.contains(text); });
}
const record_offer* offer(const negotiation_record& record, const std::string& what) {
  const auto found = std::ranges::find(record.offers, what, &record_offer::what);
  return found == record.offers.end() ? nullptr : &*found;
}
void propose(tunnel_settings& one, const std::vector<std::string>& words) {
  one.ike->proposals.clear();
  for (const auto& word : words) {
    auto read = parse_ike_proposal(word);
    ASSERT_TRUE(read) << read.error().reason;
    one.ike->proposals.push_back(*read);
  }
}
void propose_esp(child_settings& one, const std::vector<std::string>& words) {
  one.esp.clear();
  for (const auto& word : words) one.esp.push_back(*parse_esp_proposal(word));
}

//  left                                            right
//  IKE_SA_INIT  SA, KE, N                    -->
//                                            <--   SA, KE, N
//  IKE_AUTH     IDi, AUTH, SA, TSi, TSr      -->
//                                            <--   IDr, AUTH, SA, TSi, TSr
TEST(Establish, TwoRoundTripsWithAPreSharedKey) {
  world w;
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_EQ(w.sent, 4u);
  EXPECT_EQ(w.left.record().peer_id, "right.example");
  EXPECT_EQ(w.right.record().peer_id, "left.example");
  const auto* out = w.left.sas.leaving("lan");
  EXPECT_EQ(out->suite, esp_suite::aes256gcm16);
  EXPECT_TRUE(out->esn);
  EXPECT_FALSE(out->path.udp_encapsulation);
  EXPECT_TRUE(w.clean(1));
  EXPECT_TRUE(w.left.record().notes.empty());
}

// The same two round trips, with each algorithm.
class Algorithms : public ::testing::TestWithParam<const char*> {};
TEST_P(Algorithms, ComeUpAndRekey) {
  world w;
  w.begin([](auto& a, auto& b) {
    propose(a, {GetParam()});
    propose(b, {GetParam()});
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_EQ(w.left.record().offers.front().chosen, w.right.record().offers.front().chosen);
  const auto before = w.left.sa();
  w.left.t().rekey_ike();
  ASSERT_TRUE(w.run([&] { return w.left.sa() != before && w.right.sa() != nullptr && w.right.sa()->number == 0; }, 5s));
  EXPECT_EQ(w.left.sa()->chosen.transforms, before->chosen.transforms);
  EXPECT_TRUE(w.up());
}
INSTANTIATE_TEST_SUITE_P(Ike, Algorithms,
                         ::testing::Values("aes128gcm16-prfsha256-x25519", "aes256gcm16-prfsha512-x448",
                                           "aes128-sha256-ecp256", "aes256-sha384-ecp384", "aes256-sha512-ecp521",
                                           "chacha20poly1305-prfsha256-modp2048", "aes128gcm16-prfsha384-modp3072",
                                           "aes128gcm16-prfsha256-modp4096", "aes128gcm16-prfsha256-modp6144",
                                           "aes128gcm16-prfsha256-modp8192", "3des-sha1-prfsha1-modp1024",
                                           "aes256gcm16-prfsha384-x25519-ke1_mlkem512",
                                           "aes256gcm16-prfsha384-x25519-ke1_mlkem768",
                                           "aes256gcm16-prfsha384-x25519-ke1_mlkem1024",
                                           "aes256gcm16-prfsha384-x25519-ke1_mlkem768-ke2_ecp384"));

//  IKE_SA_INIT, then for each additional key exchange
//  IKE_INTERMEDIATE  KE(n)                   -->
//                                            <--   KE(n)
//  IKE_AUTH as ever; ML-KEM's public value makes the first one too long for one datagram
TEST(Establish, AnAdditionalKeyExchangeTakesOneExchangeMoreAndIsFragmented) {
  world w;
  w.begin([](auto& a, auto& b) {
    propose(a, {"aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes256gcm16-prfsha384-x25519"});
    propose(b, {"aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes256gcm16-prfsha384-x25519"});
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_GT(w.sent, 6u);
  for (const auto& one : w.log) EXPECT_LE(one.data.size(), 1232u);
  EXPECT_TRUE(std::ranges::any_of(w.left.record().steps, [](const auto& s) { return s.text == "mlkem768"; }));
}

// RFC 9370 2.2.1: a peer without IKE_INTERMEDIATE gets the proposal that needs none.
TEST(Establish, APeerWithoutAdditionalKeyExchangesGetsThePlainProposal) {
  world w;
  w.begin([](auto& a, auto&) {
    propose(a, {"aes256gcm16-prfsha384-x25519-ke1_mlkem768", "aes256gcm16-prfsha384-x25519"});
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_EQ(w.sent, 4u);
}

//  IKE_SA_INIT  KE(x25519)                   -->
//                                            <--   N(INVALID_KE_PAYLOAD, ecp256)
//  IKE_SA_INIT  KE(ecp256)                   -->
TEST(Establish, ThePeerAsksForAnotherGroup) {
  world w;
  w.begin([](auto& a, auto& b) {
    propose(a, {"aes256gcm16-prfsha384-x25519-ecp256"});
    propose(b, {"aes256gcm16-prfsha384-ecp256"});
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_EQ(w.sent, 6u);
  EXPECT_TRUE(w.left.record().steps.front().text.contains("the peer asked for ecp256"));
}

// The same, and the notify comes twice and late: it must not be taken for an answer to the second request.
TEST(Establish, ARepeatedInvalidKePayloadIsNoSecondAnswer) {
  world w;
  w.begin([](auto& a, auto& b) {
    propose(a, {"aes256gcm16-prfsha384-x25519-ecp256"});
    propose(b, {"aes256gcm16-prfsha384-ecp256"});
  });
  int seen = 0;
  w.on_way = [&](packet& one) {
    if (one.from == &w.right && seen++ == 0) {
      auto again = one;
      w.clock.at(w.time + 15ms, [&w, again] { w.left.ike->receive(again.path, again.data); });
    }
    return true;
  };
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_EQ(w.sent, 6u);
}

//  IKE_SA_INIT                               -->
//                                            <--   N(COOKIE)
//  IKE_SA_INIT  N(COOKIE)                    -->
TEST(Establish, UnderLoadOnlyWithACookie) {
  world w({.cookies_above = 0, .cookies_above_of_source = 0});
  w.begin();
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_EQ(w.sent, 6u);
  EXPECT_EQ(w.right.ike->counts().cookies_sent, 1u);
  EXPECT_TRUE(w.clean(1));
}

TEST(Establish, ThePostQuantumPreSharedKeyIsMixedIn) {
  for (const bool required : {true, false}) {
    world w;
    w.write("ppk", "a post-quantum key of many octets\n");
    w.begin([&](auto& a, auto& b) {
      for (auto* one : {&a, &b})
        one->ike->post_quantum_key = {.id = "p", .key = {.name = "ppk", .path = "x"}, .required = required};
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s)) << w.left.failure_of_t().text << w.right.failure_of_t().text;
    EXPECT_TRUE(noted(w.left.record(), "post-quantum"));
    EXPECT_TRUE(noted(w.right.record(), "post-quantum"));
  }
}

// RFC 8784 3: who does not insist goes on without it, by NO_PPK_AUTH.
TEST(Establish, AnOptionalPostQuantumKeyThatThePeerHasNotIsLeftOut) {
  for (const bool left_has : {true, false}) {
    world w;
    w.write("ppk", "a post-quantum key of many octets\n");
    w.begin([&](auto& a, auto& b) {
      (left_has ? a : b).ike->post_quantum_key = {.id = "p", .key = {.name = "ppk", .path = "x"}, .required = false};
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    EXPECT_FALSE(noted(w.left.record(), "post-quantum"));
  }
}
TEST(Establish, DifferentOptionalPostQuantumKeysAreLeftOut) {
  world w;
  w.write("ppk", "a post-quantum key of many octets\n");
  w.begin([&](auto& a, auto& b) {
    a.ike->post_quantum_key = {.id = "p", .key = {.name = "ppk", .path = "x"}, .required = false};
    b.ike->post_quantum_key = {.id = "q", .key = {.name = "ppk", .path = "x"}, .required = false};
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
}

//  IKE_SA_INIT, IKE_AUTH without SA and TS, then CREATE_CHILD_SA with a key exchange
TEST(Establish, ChildlessFirst) {
  world w;
  w.begin([](auto& a, auto&) { a.ike->childless = true; });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_EQ(w.sent, 6u);
  EXPECT_EQ(w.left.sa()->children.front()->key_exchange, transform_id::x25519);
}

TEST(Establish, BehindANat) {
  struct {
    bool left, right;
  } const cases[]{{true, false}, {false, true}, {true, true}};
  for (const auto& one : cases) {
    world w;
    const auto outside_left = *parse_ip_address("203.0.113.1"), outside_right = *parse_ip_address("203.0.113.2");
    if (one.left) w.nats[&w.left] = {.outside = outside_left};
    if (one.right) w.nats[&w.right] = {.outside = outside_right, .shift = 0};
    w.begin([&](auto& a, auto& b) {
      if (one.left) b.peer = outside_left;
      if (one.right) a.peer = outside_right;
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    const auto* out = w.left.sas.leaving("lan");
    EXPECT_TRUE(out->path.udp_encapsulation);
    EXPECT_EQ(out->path.remote.port, 4500);
    EXPECT_EQ(w.right.sas.leaving("lan")->path.remote.port, one.left ? 5500 : 4500);
    EXPECT_EQ(noted(w.left.record(), "in front of us"), one.left);
    EXPECT_EQ(noted(w.left.record(), "in front of the peer"), one.right);
    w.run_for(50s);
    EXPECT_EQ(w.left.keepalives > 0, one.left);
  }
}

TEST(Establish, EncapsulationIsForced) {
  world w;
  w.begin([](auto& a, auto&) { a.ike->force_encapsulation = true; });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  EXPECT_TRUE(w.left.sas.leaving("lan")->path.udp_encapsulation);
  EXPECT_TRUE(w.right.sas.leaving("lan")->path.udp_encapsulation);
}

// RFC 7296 2.9: the responder has less; ADDITIONAL_TS_POSSIBLE says so.
TEST(Establish, SelectorsAreNarrowed) {
  world w;
  w.begin([](auto& a, auto& b) {
    a.children[0].remote = {*parse_ip_range("10.0.0.0/8")};
    b.children[0].local = {*parse_ip_range("10.2.3.0/24")};
    b.children[0].protocol = 6;
    b.children[0].local_ports = {80, 90};
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  const auto& here = w.left.sas.leaving("lan")->selectors;
  EXPECT_EQ(here.remote, std::vector{*parse_ip_range("10.2.3.0/24")});
  EXPECT_EQ(here.protocol, 6);
  EXPECT_EQ(here.remote_ports, (number_range{80, 90}));
  EXPECT_EQ(here.local_ports, (number_range{0, 65535}));
  const auto& there = w.right.sas.leaving("lan")->selectors;
  EXPECT_EQ(there.local, here.remote);
  EXPECT_EQ(there.local_ports, here.remote_ports);
  ASSERT_NE(offer(w.left.record(), "selectors lan"), nullptr);
}

TEST(Establish, TransportMode) {
  for (const bool behind : {false, true}) {
    world w;
    const auto outside = *parse_ip_address("203.0.113.1");
    if (behind) w.nats[&w.left] = {.outside = outside};
    w.begin([&](auto& a, auto& b) {
      if (behind) b.peer = outside;
      for (auto* one : {&a, &b}) {
        one->children[0].mode = child_mode::transport;
        one->children[0].local.clear();
        one->children[0].remote.clear();
      }
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    const auto* out = w.left.sas.leaving("lan");
    EXPECT_EQ(out->mode, child_mode::transport);
    EXPECT_EQ(out->selectors.local, (std::vector<ip_range>{{w.left.address, w.left.address}}));
    EXPECT_EQ(out->selectors.remote, (std::vector<ip_range>{{w.right.address, w.right.address}}));
    const auto* back = w.right.sas.leaving("lan");
    const auto seen = behind ? outside : w.left.address;
    EXPECT_EQ(back->selectors.remote, (std::vector<ip_range>{{seen, seen}}));
    // And by CREATE_CHILD_SA too.
    const auto before = out->outbound_spi;
    w.left.t().rekey_child(0);
    ASSERT_TRUE(w.run([&] { return w.up() && w.left.sas.leaving("lan")->outbound_spi != before; }, 5s));
  }
}

//  IKE_AUTH with the first child, CREATE_CHILD_SA for each of the others
TEST(Establish, SeveralChildren) {
  world w;
  w.begin([](auto& a, auto& b) {
    for (auto* one : {&a, &b})
      for (const auto* name : {"dmz", "voice"}) {
        auto more = one->children[0];
        more.name = name;
        const auto net = std::string(name) == "dmz" ? "192.168.7.0/24" : "192.168.8.0/24";
        (one == &a ? more.local : more.remote).assign(1, *parse_ip_range(net));
        one->children.push_back(more);
      }
  });
  ASSERT_TRUE(w.run([&] { return w.joined("lan") && w.joined("dmz") && w.joined("voice"); }, 5s));
  EXPECT_TRUE(w.clean(3));
}

// RFC 4301 4.1: the same selectors, told apart by the sender's DSCP only: each side makes one of each.
TEST(Establish, ClassesWithTheSameSelectors) {
  world w;
  w.begin([](auto& a, auto& b) {
    for (auto* one : {&a, &b}) {
      one->children.push_back(one->children[0]);
      one->children[1].name = "voice";
      one->children[1].dscp = 1ULL << 46;
    }
  });
  ASSERT_TRUE(w.run([&] { return w.joined("lan") && w.joined("voice"); }, 5s));
  w.run_for(100s);
  EXPECT_TRUE(w.clean(2));
}

// The initiator is content with one child; the responder, which has to keep its tunnel up, makes the other.
TEST(Establish, TheResponderMakesMissingChildren) {
  world w;
  w.begin([](auto&, auto& b) {
    b.ike->start = start_mode::always;
    b.children.push_back(b.children[0]);
    b.children[1].name = "dmz";
    b.children[1].local = {*parse_ip_range("172.16.0.0/16")};
  });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  // The left has no such child: TS_UNACCEPTABLE, said as a warning, and tried again at ever longer intervals.
  w.run_for(8s);
  const auto& warnings = w.right.t().warnings();
  ASSERT_EQ(warnings.size(), 1u) << w.history();
  EXPECT_EQ(warnings[0].what, trouble::selectors_unacceptable);
  EXPECT_EQ(warnings[0].path, "children.dmz.remote");
  EXPECT_EQ(warnings[0].notify, notify::ts_unacceptable);
  auto a = w.settings(w.left, w.right);
  a.children.push_back(a.children[0]);
  a.children[1].name = "dmz";
  a.children[1].remote = {*parse_ip_range("172.16.0.0/16")};
  w.configure(w.left, {a});
  ASSERT_TRUE(w.run([&] { return w.joined("dmz"); }, 600s));
  w.run_for(150s);
  EXPECT_TRUE(w.right.t().warnings().empty());
  EXPECT_TRUE(w.clean(2));
}

TEST(Establish, OutdatedAlgorithmsAreNotedEachTime) {
  world w;
  w.begin([](auto& a, auto& b) {
    for (auto* one : {&a, &b}) {
      propose(*one, {"3des-sha1-prfsha1-modp1024"});
      propose_esp(one->children[0], {"3des-sha1"});
    }
  });
  for (int times = 0; times < 2; ++times) {
    ASSERT_TRUE(w.run([&] { return w.up() && w.left.sa() && w.right.sa(); }, 20s));
    for (const auto* side : {&w.left, &w.right}) {
      EXPECT_TRUE(noted(side->record(), "the IKE SA uses outdated algorithms: 3des"));
      EXPECT_TRUE(noted(side->record(), "child \"lan\" uses outdated algorithms: 3des"));
    }
    w.left.ike->reconnect("t");
    ASSERT_TRUE(w.run([&] { return !w.left.sa(); }, 5s));
  }
}

}  // namespace

}  // namespace trunkgate::ike::test
