// A watch over a real worker: what it notes, what it leaves out, and that a full ring costs records and no packets.
#include "dataplane/pipeline/watch.hpp"

#include <gtest/gtest.h>

#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

std::vector<watch_record> taken(watch& from) {
  std::vector<watch_record> out;
  auto& ring = from.of(0).ring;
  for (const auto* record = ring.front(); record != nullptr; record = ring.front()) {
    out.push_back(*record);
    ring.pop();
  }
  return out;
}

std::vector<stage_id> stages(const std::vector<watch_record>& records, std::uint8_t id) {
  std::vector<stage_id> out;
  for (const auto& r : records)
    if (r.event == watch_event::entered && r.trace_id == id) out.push_back(r.stage);
  return out;
}

class watch_test : public testing::Test {
 protected:
  watch_test() {
    gateway_.add_outbound(sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 0x900));
    gateway_.add_inbound(sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 0x901));
  }
  ~watch_test() override {
    gateway_.workers().publish(nullptr);
    gateway_.run();
  }
  std::unique_ptr<watch> start(const watch_options& options) {
    auto made = watch::make(options, 1);
    EXPECT_TRUE(made);
    gateway_.workers().publish(made->get());
    return std::move(*made);
  }
  void send(const char* destination, std::size_t payload = 40) {
    gateway_.receive(inside, udp_packet(between("10.1.0.2", destination), 7, 9, filled(payload)));
  }
  little_gateway gateway_;
};

TEST_F(watch_test, a_packet_into_a_tunnel) {
  const auto watching = start({.filter = {}, .limit = 1});
  send("10.2.0.9");
  send("10.2.0.9");  // the limit is one
  gateway_.run();
  const auto records = taken(*watching);
  ASSERT_FALSE(records.empty());
  const auto& first = records.front();
  EXPECT_EQ(first.event, watch_event::begun);
  EXPECT_EQ(first.addresses.source, address("10.1.0.2"));
  EXPECT_EQ(first.ingress, inside);
  EXPECT_EQ(first.protocol, 17);
  EXPECT_EQ(first.source_port, 7);
  EXPECT_EQ(first.destination_port, 9);
  EXPECT_EQ(first.length, 14u + 28 + 40);
  using enum stage_id;
  EXPECT_EQ(stages(records, 1), (std::vector{classify, stage_id::policy, stage_id::mss_clamp, stage_id::fragment,
                                             stage_id::esp_encapsulate, stage_id::forward, tx}));
  EXPECT_EQ(records.back().event, watch_event::sent);
  EXPECT_EQ(records.back().egress, outside);
  for (const auto& r : records) EXPECT_EQ(r.trace_id, 1);
  EXPECT_EQ(gateway_.sent(outside).size(), 2u);
}

TEST_F(watch_test, only_what_the_filter_names) {
  watch_filter filter;
  filter.pairs[0] = {.one = *parse_ip_prefix("10.2.0.8/32"), .other = {}};
  filter.count = 1;
  const auto watching = start({.filter = filter, .limit = 10});
  send("10.2.0.9");
  send("10.2.0.8");
  send("10.2.0.9");
  gateway_.run();
  const auto records = taken(*watching);
  EXPECT_EQ(watching->begun(), 1u);
  ASSERT_FALSE(records.empty());
  EXPECT_EQ(records.front().addresses.destination, address("10.2.0.8"));
  (void)gateway_.sent(outside);
}

TEST_F(watch_test, what_the_device_does_not_take_was_not_sent) {
  const auto watching = start({.filter = {}, .limit = 1});
  gateway_.wire(outside).blocked = true;
  send("10.2.0.9");
  gateway_.run();
  const auto records = taken(*watching);
  ASSERT_FALSE(records.empty());
  EXPECT_EQ(records.back().event, watch_event::dropped);
  EXPECT_EQ(records.back().drop, drop_reason::transmit_queue_full);
  for (const auto& r : records) EXPECT_NE(r.event, watch_event::sent);
}

TEST_F(watch_test, an_id_of_an_earlier_watch_means_nothing) {
  auto& routes = *gateway_.tables().routes;
  routes.set_neighbour(outside, address("192.0.2.2"), peer_mac, false, false);
  {
    const auto earlier = start({.filter = {}, .limit = 1});
    send("10.2.0.9");
    gateway_.run();
    EXPECT_EQ(taken(*earlier).back().stage, stage_id::forward);  // it waits there for its neighbour
    gateway_.workers().publish(nullptr);
    gateway_.run();
  }
  const auto later = start({.filter = {}, .first_id = 2, .limit = 1});
  routes.set_neighbour(outside, address("192.0.2.2"), peer_mac, true, false);
  send("10.2.0.9");
  gateway_.run();
  EXPECT_EQ(gateway_.sent(outside).size(), 2u);
  for (const auto& r : taken(*later)) EXPECT_EQ(r.trace_id, 2);
}

TEST_F(watch_test, a_capture_holds_both_sides_of_a_tunnel) {
  const auto watching = start({.filter = {}, .capture = true, .wire = true, .inner = true, .captured = 2048});
  const auto inner = udp_packet(between("10.1.0.2", "10.2.0.9"), 7, 9, filled(100));
  gateway_.receive(inside, inner);
  gateway_.run();
  auto& ring = watching->of(0).ring;
  std::vector<std::pair<watch_event, bytes>> seen;
  for (const auto* r = ring.front(); r != nullptr; r = ring.front()) {
    seen.emplace_back(r->event, bytes(watch_ring::bytes_of(r), watch_ring::bytes_of(r) + r->captured));
    ring.pop();
  }
  ASSERT_EQ(seen.size(), 3u);
  EXPECT_EQ(seen[0].first, watch_event::frame_in);
  EXPECT_EQ(bytes(seen[0].second.begin() + 14, seen[0].second.end()), inner);
  EXPECT_EQ(seen[1].first, watch_event::inner_out);
  EXPECT_EQ(bytes(seen[1].second.begin() + 28, seen[1].second.end()), filled(100));
  EXPECT_EQ(seen[2].first, watch_event::frame_out);
  EXPECT_EQ(gateway_.sent_frames(outside), std::vector<bytes>(1, seen[2].second));
}

TEST_F(watch_test, a_full_ring_loses_records_and_no_packets) {
  const auto watching = start({.filter = {}, .capture = true, .wire = true, .captured = 64});
  for (int i = 0; i < 30; ++i) {
    for (int n = 0; n < 50; ++n) send("10.2.0.9");
    gateway_.run();
    EXPECT_EQ(gateway_.sent(outside).size(), 50u);
  }
  const auto records = taken(*watching);
  EXPECT_LT(records.size(), 3000u);
  EXPECT_EQ(records.size() + watching->lost(), 3000u);  // in and out
  for (const auto& r : records) {
    EXPECT_EQ(r.captured, 64u);
    EXPECT_GT(r.length, 64u);
  }
  EXPECT_EQ(gateway_.all_drops(), 0u);
}

TEST(watch_ring, slots_are_reused_and_shown_only_when_published) {
  alignas(64) static std::uint8_t memory[4 * watch_ring::slot_size(0)];
  watch_ring ring(memory, 4, 0);
  std::uint32_t written = 0, seen = 0;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i) {
      auto* record = ring.stage();
      ASSERT_NE(record, nullptr);
      record->spi = written + static_cast<std::uint32_t>(i);
    }
    EXPECT_EQ(ring.stage(), nullptr);
    EXPECT_EQ(ring.front(), nullptr);
    ring.publish(3);  // the fourth is forgotten
    written += 3;
    for (int i = 0; i < 3; ++i) {
      const auto* record = ring.front();
      ASSERT_NE(record, nullptr);
      EXPECT_EQ(record->spi, seen++);
      ring.pop();
    }
    EXPECT_EQ(ring.front(), nullptr);
  }
  EXPECT_EQ(ring.lost.get(), 10u);
}

}  // namespace
}  // namespace trunkgate
