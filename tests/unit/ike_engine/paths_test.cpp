// Addresses that change under a tunnel.
#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

const ip_address outside = *parse_ip_address("203.0.113.1");
const ip_address elsewhere = *parse_ip_address("198.51.100.7");

//  the left's address changes
//  INFORMATIONAL  N(UPDATE_SA_ADDRESSES), N(NAT_DETECTION...)   -->    from the new one
//                                                               <--    N(NAT_DETECTION...)
TEST(Paths, MobikeMovesTheTunnel) {
  for (const bool rekeyed_by_the_right : {false, true}) {
    world w;
    w.begin([](auto& a, auto& b) {
      a.local = {};
      b.peer = {};
    });
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    EXPECT_TRUE(w.left.sa()->mobike);
    // RFC 4555 1.3: who began the first IKE SA moves it, also when the peer has rekeyed it since.
    if (rekeyed_by_the_right) {
      w.right.t().rekey_ike();
      w.run_for(5s);
      EXPECT_FALSE(w.left.sa()->initiator);
    }
    traffic t(w);
    w.left.address = elsewhere;
    w.left.ike->check_paths();
    w.run_for(5s);
    EXPECT_EQ(w.left.sas.leaving("lan")->path.local.address, elsewhere);
    EXPECT_EQ(w.right.sas.leaving("lan")->path.remote.address, elsewhere);
    EXPECT_EQ(w.right.sa()->path().remote.address, elsewhere);
    EXPECT_EQ(t.lost, 0u);
    w.right.t().rekey_child(0);
    w.run_for(10s);
    EXPECT_TRUE(w.up());
    EXPECT_EQ(t.lost, 0u);
  }
}

// The responder does not choose (RFC 4555 3.5).
TEST(Paths, TheResponderDoesNotMove) {
  world w;
  w.begin([](auto&, auto& b) { b.local = {}; });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(60s);
  const auto before = w.sent;
  w.right.address = elsewhere;
  w.right.ike->check_paths();
  w.run_for(2s);
  EXPECT_EQ(w.sent, before);
}

void without_mobike(tunnel_settings& a, tunnel_settings& b) {
  a.ike->mobike = b.ike->mobike = false;
  b.peer = outside;
}

// The NAT in front of the left gives it another port; the data plane sees it by a packet, IKE by a request.
TEST(Paths, ANewNatMappingIsFollowed) {
  for (const bool by_traffic : {true, false}) {
    world w;
    w.nats[&w.left] = {.outside = outside};
    w.begin(without_mobike);
    ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
    EXPECT_TRUE(w.right.sas.leaving("lan")->path.follow_peer);
    EXPECT_FALSE(w.left.sas.leaving("lan")->path.follow_peer);
    w.run_for(60s);
    w.nats[&w.left].shift = 2000;
    const auto spi = w.right.sa()->children.front()->inbound_spi;
    if (by_traffic)
      w.right.ike->sink_events().peer_moved(spi, {outside, 6500});
    else
      w.left.t().rekey_child(0);
    w.run_for(5s);
    EXPECT_EQ(w.right.sa()->path().remote, (sa_endpoint{outside, 6500}));
    EXPECT_EQ(w.right.sas.leaving("lan")->path.remote.port, 6500);
    // It is us who are behind the NAT: what we are told of the peer is not believed (RFC 7296 2.23).
    const auto own = w.left.sa()->children.front()->inbound_spi;
    w.left.ike->sink_events().peer_moved(own, {elsewhere, 4500});
    w.run_for(1s);
    EXPECT_EQ(w.left.sa()->path().remote.address, w.right.address);
  }
}

// Without a NAT a packet from elsewhere is no reason either.
TEST(Paths, NobodyMovesWithoutANat) {
  world w;
  w.begin([](auto& a, auto& b) { a.ike->mobike = b.ike->mobike = false; });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.right.ike->sink_events().peer_moved(w.right.sa()->children.front()->inbound_spi, {elsewhere, 4500});
  w.run_for(1s);
  EXPECT_EQ(w.right.sa()->path().remote.address, w.left.address);
}

// Under MOBIKE only the initiator says where it is: it finds the new mapping by its question for life.
TEST(Paths, UnderMobikeANewNatMappingIsToldByTheInitiator) {
  world w;
  w.left.sas.idle_ms = w.right.sas.idle_ms = 1'000'000;
  w.nats[&w.left] = {.outside = outside};
  w.begin([](auto&, auto& b) { b.peer = outside; });
  ASSERT_TRUE(w.run([&] { return w.up(); }, 5s));
  w.run_for(120s);
  w.right.ike->sink_events().peer_moved(w.right.sa()->children.front()->inbound_spi, {elsewhere, 4500});
  w.run_for(100ms);
  EXPECT_EQ(w.right.sa()->path().remote.address, outside);
  w.nats[&w.left].shift = 2000;
  ASSERT_TRUE(w.run([&] { return w.right.sa()->path().remote.port == 6500; }, 120s));
  w.run_for(5s);
  EXPECT_EQ(w.right.sas.leaving("lan")->path.remote.port, 6500);
}

}  // namespace

}  // namespace trunkgate::ike::test
