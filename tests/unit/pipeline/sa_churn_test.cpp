// SAs and rules come and go while packets flow: nothing is lost that need not be, and nobody uses what was freed.
#include <map>
#include <set>

#include <gtest/gtest.h>

#include "dataplane/main/sa_set.hpp"
#include "tests/unit/pipeline/traffic.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

constexpr std::size_t packets = 6000, packets_per_change = 20;
#ifdef __SANITIZE_THREAD__
constexpr std::uint32_t storm_sas = 10'000;  // ThreadSanitizer is ten times slower
#elif defined(__SANITIZE_ADDRESS__)
constexpr std::uint32_t storm_sas = 20'000;
#else
constexpr std::uint32_t storm_sas = 100'000;
#endif

class sa_churn : public testing::Test {
 protected:
  ~sa_churn() override { gateway_.workers().stop(); }

  void change(std::deque<api::sa_record> wanted, const std::vector<api::sa_record>& removed) {
    auto prepared = sas_.prepare({.sas = wanted, .removed = removed, .moved = {}});
    ASSERT_TRUE(prepared) << prepared.error().reason;
    sas_.commit(**prepared);
    gateway_.rcu().reclaim();
  }
  static api::sa_record outbound_record(std::uint32_t spi) {
    return sa_between(api::sa_direction::outbound, esp_suite::aes128gcm16, spi);
  }
  static bytes outbound_packet(std::size_t n) {
    return udp_packet(between("10.1.0.2", "10.2.0.3"), static_cast<std::uint16_t>(1 + n % 50), 2, be(n, 8));
  }

  little_gateway gateway_{{.workers = 2}};
  sa_set sas_{gateway_.tables(),       engines(), gateway_.store(), 2, [](std::string_view) { return no_port; },
              [](const api::event&) {}};
};

TEST_F(sa_churn, a_rekeyed_tunnel_loses_no_packet) {
  std::uint32_t spi = 1000;
  change({outbound_record(spi)}, {});
  gateway_.workers().start();
  const auto send = [&](std::size_t n) {
    if (n % packets_per_change == 0) {
      change({outbound_record(spi + 1)}, {outbound_record(spi)});
      ++spi;
    }
    gateway_.receive(inside, outbound_packet(n), n % 2);
  };
  std::set<std::uint64_t> numbers;
  std::map<std::uint64_t, std::set<std::uint64_t>> sequences;
  const auto arrived = [&](const bytes& frame) {
    const bytes outer(frame.begin() + 14, frame.end());
    const auto by = read_be(outer, 20, 4);
    const auto got = open_at_peer(outbound_record(static_cast<std::uint32_t>(by)), outer);
    EXPECT_TRUE(numbers.insert(read_be(got.inner, 28, 8)).second);
    EXPECT_TRUE(sequences[by].insert(got.sequence).second);
  };
  EXPECT_EQ(run_through(gateway_, outside, packets, send, arrived), packets);
  EXPECT_EQ(gateway_.all_drops(), 0u);
  EXPECT_EQ(numbers.size(), packets);
}

TEST_F(sa_churn, other_selectors_for_the_same_sa_go_on_with_its_numbers) {
  auto record = outbound_record(1000);
  change({record}, {});
  gateway_.workers().start();
  const auto send = [&](std::size_t n) {
    if (n % packets_per_change == 0) {
      record = outbound_record(1000);
      record.order = static_cast<std::uint32_t>(n);
      change({record}, {});
    }
    gateway_.receive(inside, outbound_packet(n), n % 2);
  };
  std::set<std::uint64_t> sequences;
  const auto arrived = [&](const bytes& frame) {
    EXPECT_TRUE(sequences.insert(read_be(frame, 14 + 24, 4)).second) << "a number was used twice";
  };
  const auto out = run_through(gateway_, outside, packets, send, arrived);
  // In between there is a moment without the SA: then nothing passes in clear.
  EXPECT_EQ(out + gateway_.drops(drop_reason::no_policy) + gateway_.drops(drop_reason::no_sa), packets);
  EXPECT_EQ(gateway_.all_drops(), packets - out);
  EXPECT_GT(out, packets / 2);
}

// It is the peer who chooses the SPI: each knows only its own.
TEST_F(sa_churn, two_peers_may_choose_the_same_spi) {
  auto other = outbound_record(1000);
  other.remote = address("192.0.2.3");
  set_prefixes(other, {"10.1.0.0/16"}, {"10.3.0.0/16"});
  change({outbound_record(1000), other}, {});
  const auto destination_of_esp_to = [this](const char* host) {
    gateway_.receive(inside, udp_packet(between("10.1.0.2", host), 1, 2, {}));
    gateway_.run();
    const auto out = gateway_.sent(outside);
    return out.size() == 1 ? read_be(out[0], 16, 4) : 0;
  };
  const auto knows = [this](const char* peer) {
    return gateway_.tables().outbound.find({address(peer), 1000}) != nullptr;
  };
  EXPECT_EQ(destination_of_esp_to("10.2.0.3"), 0xc0000202u);
  EXPECT_EQ(destination_of_esp_to("10.3.0.3"), 0xc0000203u);
  EXPECT_TRUE(knows("192.0.2.2") && knows("192.0.2.3"));
  change({}, {other});
  EXPECT_EQ(destination_of_esp_to("10.2.0.3"), 0xc0000202u);
  EXPECT_EQ(destination_of_esp_to("10.3.0.3"), 0u);
  EXPECT_TRUE(knows("192.0.2.2"));
  EXPECT_FALSE(knows("192.0.2.3"));
}

TEST_F(sa_churn, sas_that_vanish_leave_no_packet_behind) {
  gateway_.workers().start();
  bool there = false;
  const auto in_record = sa_between(api::sa_direction::inbound, esp_suite::aes128gcm16, 2000);
  const auto send = [&](std::size_t n) {
    if (n % packets_per_change == 0) {
      if (there)
        change({}, {outbound_record(1000), in_record});
      else
        change({outbound_record(1000), in_record}, {});
      there = !there;
    }
    if (n % 2 == 0) return gateway_.receive(inside, outbound_packet(n), n / 2 % 2);
    // Into the tunnel's own other direction: what comes in goes out again.
    gateway_.receive(
        outside, esp_from_peer(in_record, udp_packet(between("10.2.0.3", "10.1.0.2"), 1, 2, be(n, 8)), {.sequence = n}),
        n / 2 % 2);
  };
  std::size_t inside_out = 0;
  const auto count_inside = [&] {
    while (auto* frame = gateway_.wire(inside).take()) {
      rte_pktmbuf_free(frame);
      ++inside_out;
    }
  };
  std::size_t sent = 0, outside_out = 0;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (std::chrono::steady_clock::now() < deadline) {
    const auto done = inside_out + outside_out + gateway_.all_drops();
    if (sent == packets && done == packets) break;
    if (sent < packets && sent - done < 200) send(sent++);
    count_inside();
    while (auto* frame = gateway_.wire(outside).take()) {
      EXPECT_EQ(content_of(frame).at(14 + 9), 50) << "left in clear";
      ++outside_out;
    }
    std::this_thread::yield();
  }
  EXPECT_EQ(inside_out + outside_out + gateway_.all_drops(), packets);
  EXPECT_GT(inside_out, 0u);
  EXPECT_GT(outside_out, 0u);
  // Nothing but what the SAs' absence explains. One that comes back takes what its elder accepted for seen, and with it
  // everything before: packets that two queues brought out of order are late then.
  std::uint64_t explained = 0;
  for (const auto reason : {drop_reason::no_policy, drop_reason::no_sa, drop_reason::esp_unknown_spi,
                            drop_reason::cleartext_must_be_protected, drop_reason::esp_replayed})
    explained += gateway_.drops(reason);
  EXPECT_EQ(gateway_.all_drops(), explained);
}

// 100,000 SAs come and go in batches, a tunnel is rekeyed with each batch, and the operator's rules are swapped: what
// flows through two tunnels both ways and by a rule in clear arrives whole, all of it.
class sa_storm : public sa_churn {
 protected:
  static constexpr std::uint32_t pairs_per_batch = 25, batches = storm_sas / 2 / pairs_per_batch;
  static constexpr std::size_t packets_per_batch = 20, streams = 4;

  ~sa_storm() override {
    gateway_.workers().stop();
    gateway_.tables().rules.store(nullptr);
  }

  static api::sa_record with_sites(api::sa_direction direction, std::uint32_t spi, const std::string& remote) {
    auto record = sa_between(direction, spi % 2 == 0 ? esp_suite::aes256gcm16 : esp_suite::aes128cbc_sha256, spi);
    set_prefixes(record, {"10.1.0.0/16"}, {remote.c_str()});
    return record;
  }
  static std::string passing_site(std::uint32_t number) {
    return "10." + std::to_string(100 + number % 100) + "." + std::to_string(number / 100 % 250) + ".0/24";
  }
  static api::sa_record rekeyed(std::uint32_t batch) {
    return with_sites(api::sa_direction::outbound, 0x1000 + batch, "10.3.0.0/16");
  }
  static api::sa_record passing(std::uint32_t number, api::sa_direction direction) {
    return with_sites(direction, 0x100000 + number, passing_site(number));
  }

  // Batch n brings its SAs, takes those of batch n - 2 away, and has the tunnel's next key.
  void change_batch(std::uint32_t batch) {
    std::deque<api::sa_record> wanted{rekeyed(batch)};
    std::vector<api::sa_record> removed;
    if (batch > 0) removed.push_back(rekeyed(batch - 1));
    for (std::uint32_t i = 0; i < pairs_per_batch; ++i)
      for (const auto direction : {api::sa_direction::outbound, api::sa_direction::inbound}) {
        wanted.push_back(passing(batch * pairs_per_batch + i, direction));
        if (batch >= 2) removed.push_back(passing((batch - 2) * pairs_per_batch + i, direction));
      }
    change(std::move(wanted), removed);
  }

  // What the control thread does when the operator's rules change: every other set has one more in front.
  void swap_rules(std::uint32_t batch) {
    std::vector<operator_rules::rule> wanted;
    const auto rule = [&](const char* destination, api::policy_action action) {
      api::policy_record record;
      record.policy = api::name("rule");
      record.destination = parse_ip_prefix(destination).value();
      record.action = action;
      wanted.push_back({.record = record, .from = no_port, .to = no_port, .flows = &flows_});
    };
    if (batch % 2 != 0) rule("10.6.0.0/16", api::policy_action::discard);
    rule("10.5.0.0/16", api::policy_action::bypass);
    auto built = operator_rules::build(wanted);
    ASSERT_TRUE(built) << built.error().reason;
    gateway_.tables().rules.store(built->get(), std::memory_order_release);
    gateway_.tables().generation.fetch_add(1, std::memory_order_release);
    if (rules_ != nullptr) gateway_.rcu().retire(std::move(rules_));
    rules_ = std::move(*built);
  }

  void send(std::size_t n) {
    const auto queue = static_cast<std::uint16_t>(n / streams % 2);
    const auto port = static_cast<std::uint16_t>(1 + n % 50);
    if (n % streams == 3) {
      const auto inner = udp_packet(between("10.2.0.3", "10.1.0.2"), port, 2, be(n, 8));
      return gateway_.receive(outside, esp_from_peer(inbound_, inner, {.sequence = n / streams + 1}), queue);
    }
    const char* const sites[] = {"10.2.0.3", "10.3.0.3", "10.5.0.3"};
    gateway_.receive(inside, udp_packet(between("10.1.0.2", sites[n % streams]), port, 2, be(n, 8)), queue);
  }

  // The number inside what left; the frame must be what its stream's packets become.
  void judge_outside(const bytes& frame) {
    const bytes outer(frame.begin() + 14, frame.end());
    if (outer.at(9) == 17) return judge_inner(outer, 2);
    const auto spi = static_cast<std::uint32_t>(read_be(outer, 20, 4));
    const auto record = spi == steady_.spi ? steady_ : rekeyed(spi - 0x1000);
    const auto got = open_at_peer(record, outer);
    EXPECT_TRUE(sequences_[spi].insert(got.sequence).second) << "a sequence number was used twice";
    judge_inner(got.inner, spi == steady_.spi ? 0 : 1);
  }
  void judge_inner(const bytes& inner, std::size_t stream) {
    EXPECT_TRUE(checksums_hold(inner));
    const auto number = read_be(inner, 28, 8);
    EXPECT_EQ(number % streams, stream);
    EXPECT_TRUE(numbers_.insert(number).second) << "packet " << number << " came twice";
  }

  void take_all() {
    while (auto* frame = gateway_.wire(outside).take()) judge_outside(content_of(frame));
    while (auto* frame = gateway_.wire(inside).take()) {
      const auto content = content_of(frame);
      judge_inner({content.begin() + 14, content.end()}, 3);
    }
  }

  const api::sa_record steady_ = with_sites(api::sa_direction::outbound, 0x900, "10.2.0.0/16");
  const api::sa_record inbound_ = with_sites(api::sa_direction::inbound, 0x901, "10.2.0.0/16");
  counter flows_;
  std::unique_ptr<operator_rules> rules_;
  std::set<std::uint64_t> numbers_;
  std::map<std::uint32_t, std::set<std::uint64_t>> sequences_;
};

TEST_F(sa_storm, sas_and_rules_by_the_hundred_thousand) {
  change({steady_, inbound_}, {});
  change_batch(0);
  swap_rules(0);
  gateway_.workers().start();
  const std::size_t total = std::size_t{batches} * packets_per_batch;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::minutes(3);
  for (std::size_t sent = 0; numbers_.size() < total && std::chrono::steady_clock::now() < deadline;) {
    if (HasFailure() || gateway_.all_drops() != 0) break;
    if (sent < total && sent - numbers_.size() < 200) {
      const auto batch = static_cast<std::uint32_t>(sent / packets_per_batch);
      if (batch > 0 && sent % packets_per_batch == 0) change_batch(batch);
      if (batch > 0 && sent % (4 * packets_per_batch) == 0) swap_rules(batch / 4);
      send(sent++);
    } else {
      std::this_thread::yield();
    }
    take_all();
  }
  EXPECT_EQ(numbers_.size(), total);
  for (const auto& row : drop_reasons) EXPECT_EQ(gateway_.drops(row.reason), 0u) << row.name;
}

}  // namespace
}  // namespace trunkgate
