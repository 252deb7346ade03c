// Children for workers (RFC 9611), limits, floods, and what a peer costs.
#include <malloc.h>

#include "tests/unit/ike_engine/two_ends.hpp"

namespace trunkgate::ike::test {

namespace {

std::multiset<int> workers_of(const remembering_sink& sink) {
  std::multiset<int> out;
  for (const auto& [spi, one] : sink.sas) out.insert(one.worker ? *one.worker : -1);
  return out;
}
void for_each_worker(tunnel_settings& a, tunnel_settings& b) {
  a.children[0].per_worker = b.children[0].per_worker = true;
}

//  IKE_AUTH         ..., N(SA_RESOURCE_INFO)      -->
//                                                 <--   ..., N(SA_RESOURCE_INFO)
//  CREATE_CHILD_SA  SA, N(SA_RESOURCE_INFO), ...  -->   one for each worker
TEST(Workers, EachHasAChildOfItsOwn) {
  world w;
  w.left.worker_count = 3;
  w.right.worker_count = 3;
  w.begin(for_each_worker);
  w.run_for(5s);
  EXPECT_EQ(workers_of(w.left.sas), (std::multiset<int>{-1, 0, 1, 2}));
  EXPECT_EQ(workers_of(w.right.sas), (std::multiset<int>{-1, 0, 1, 2}));
  w.run_for(100s);
  EXPECT_TRUE(w.clean(4));
  // A rekey keeps the worker.
  w.left.t().rekey_child(0);
  w.run_for(20s);
  EXPECT_EQ(workers_of(w.left.sas), (std::multiset<int>{-1, 0, 1, 2}));
  EXPECT_TRUE(w.clean(4));
  // One that is lost comes back, for the same worker.
  for (const auto& pair : std::vector(w.left.sa()->children))
    if (pair->worker == 1) w.left.ike->sink_events().expire(pair->inbound_spi, true);
  w.run_for(20s);
  EXPECT_EQ(workers_of(w.left.sas), (std::multiset<int>{-1, 0, 1, 2}));
}

// What the initiator made is in use by the responder soon: there is no old one whose delete would be waited for.
TEST(Workers, OfTheResponderSendByTheirOwn) {
  world w;
  w.left.worker_count = w.right.worker_count = 3;
  w.begin(for_each_worker);
  ASSERT_TRUE(w.run([&] { return w.right.sas.sas.size() == 4; }, 5s));
  w.run_for(3s);
  for (const auto& [spi, one] : w.right.sas.sas) EXPECT_TRUE(one.outbound) << spi;
}

TEST(Workers, OfBothSidesNeedNotBeAsMany) {
  world w;
  w.left.worker_count = 2;
  w.right.worker_count = 4;
  w.begin([](auto& a, auto& b) {
    for_each_worker(a, b);
    b.ike->start = start_mode::always;
  });
  w.run_for(200s);
  const auto right = workers_of(w.right.sas);
  for (int i = 0; i < 4; ++i) EXPECT_GE(right.count(i), 1u);
  EXPECT_GE(workers_of(w.left.sas).count(0), 1u);
  EXPECT_GE(workers_of(w.left.sas).count(1), 1u);
  EXPECT_TRUE(w.clean(w.left.sas.sas.size()));
}

// A peer that does not answer SA_RESOURCE_INFO has one child, for all.
TEST(Workers, ShareOneChildWithAPeerThatDoesNotKnow) {
  for (const bool switched_off : {true, false}) {
    world w;
    w.left.worker_count = 3;
    w.right.worker_count = switched_off ? 3 : 1;
    w.begin([&](auto& a, auto& b) {
      a.children[0].per_worker = true;
      b.children[0].per_worker = !switched_off;
    });
    w.run_for(60s);
    EXPECT_EQ(workers_of(w.left.sas), (std::multiset<int>{-1}));
    EXPECT_TRUE(w.clean(1));
  }
}

// RFC 9611: TS_MAX_QUEUE: no more of them; what is there works.
TEST(Workers, StopAtTheLimitOfThePeer) {
  world w;
  w.left.worker_count = 100;
  w.right.worker_count = 2;
  w.begin(for_each_worker);
  w.run_for(60s);
  EXPECT_EQ(w.right.sas.sas.size(), 66u);
  EXPECT_TRUE(w.left.sa()->no_more_queues);
  EXPECT_TRUE(w.left.t().warnings().empty());
  const auto before = w.sent;
  w.run_for(20s);
  EXPECT_LT(w.sent, before + 10);
}

// ---- limits ----

// IKE_SA_INIT from everywhere: bounded, and whoever returns a cookie comes up all the same.
TEST(Flood, OfFirstMessagesIsBounded) {
  world w;
  auto b = w.settings(w.right, w.left);
  b.peer = {};
  w.configure(w.right, {b});
  bytes first;
  w.on_way = [&](packet& one) {
    if (one.from == &w.left && first.empty()) first = one.data;
    return false;
  };
  auto a = w.settings(w.left, w.right);
  w.configure(w.left, {a});
  w.run_for(100ms);
  ASSERT_FALSE(first.empty());
  w.on_way = [&](packet& one) { return one.path.local.address == w.left.address || one.from == &w.left; };
  for (unsigned i = 0; i < 20'000; ++i) {
    for (int octet = 0; octet < 8; ++octet)
      first[static_cast<std::size_t>(octet)] = static_cast<std::uint8_t>(w.chance());
    ip_address from = *parse_ip_address("100.64.0.0");
    from.bytes[2] = static_cast<std::uint8_t>(i >> 8);
    from.bytes[3] = static_cast<std::uint8_t>(i);
    w.right.ike->receive({{w.right.address, 500}, {from, 500}}, first);
  }
  EXPECT_EQ(w.right.ike->ike_sas(), 64u);
  EXPECT_EQ(w.right.ike->counts().cookies_sent, 20'000u - 64);
  ASSERT_TRUE(w.run([&] { return w.up(); }, 3s));
  w.run_for(150s);
  EXPECT_TRUE(w.clean(1));
}

// ---- memory ----

TEST(Memory, OfAThousandPeers) {
  constexpr int peers = 1000;
  auto w = std::make_unique<world>(admission_limits{
      .cookies_above = 5000, .cookies_above_of_source = 5000, .half_open = 5000, .half_open_of_source = 5000});
  std::vector<profile_pointer> left, right;
  for (int i = 0; i < peers; ++i) {
    auto a = w->settings(w->left, w->right), b = w->settings(w->right, w->left);
    const auto number = std::to_string(i);
    a.name = b.name = "t" + number;
    a.ike->local_id = b.ike->remote_id = "left" + number + ".example";
    a.ike->remote_id = b.ike->local_id = "right" + number + ".example";
    left.push_back(*make_profile(a, w->folder.string(), true, {}));
    right.push_back(*make_profile(b, w->folder.string(), true, {}));
  }
  w->right.ike->configure(right);
  w->on_way = [&](packet&) {
    w->log.clear();
    return true;
  };
  const auto before = mallinfo2();
  w->left.ike->configure(left);
  w->run_for(120s);  // the probes are over
  w->log.clear();
  w->log.shrink_to_fit();
  malloc_trim(0);
  ASSERT_EQ(w->left.sas.sas.size(), static_cast<std::size_t>(peers));
  // The remembering sinks are the test's.
  const auto sinks = static_cast<std::size_t>(2 * peers) * (sizeof(remembering_sink::installed) + 48 + 2 * 64 + 6 * 32);
  const auto all = mallinfo2().uordblks + mallinfo2().hblkhd - before.uordblks - before.hblkhd;
  const auto each = (all - std::min(all, sinks)) / (2 * peers);
  std::cout << "heap: " << each
            << " octets of IKE for each peer with one child (sinks left out: " << sinks / (2 * peers) << ")\n";
  RecordProperty("octets_each", static_cast<int>(each));
  EXPECT_LE(each, 8192u);
}

}  // namespace

}  // namespace trunkgate::ike::test
