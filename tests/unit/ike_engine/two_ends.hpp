// Two whole IKE engines in one process: time, network and chance are the test's.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <random>
#include <set>
#include <string>

#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "controlplane/ike/engine/engine.hpp"
#include "controlplane/ike/profile.hpp"
#include "controlplane/ike/wire/notify.hpp"
#include "controlplane/keystore/local.hpp"

namespace trunkgate::ike::test {

using namespace std::chrono_literals;

// Takes SAs as the data plane would, and remembers them.
class remembering_sink : public sa_sink {
 public:
  struct installed {
    std::uint32_t outbound_spi = 0;
    std::string tunnel, child;
    esp_suite suite{};
    bool esn = false;
    child_mode mode{};
    sa_path path;
    sa_selectors selectors;
    std::optional<std::uint16_t> worker;
    std::vector<std::uint8_t> inbound_key, outbound_key;
    bool inbound = false, outbound = false;
    std::uint64_t order = 0;  // of the outbound SA's coming
  };

  std::uint32_t reserve_spi() override { return ++last_spi_; }
  void release_spi(std::uint32_t spi) override { released.insert(spi); }
  asio::awaitable<result<void>> add(const child_sa& pair, sa_directions which) override {
    if (refuse) co_return failure("no room");
    EXPECT_NE(pair.tunnel, nullptr);
    auto& one = sas[pair.inbound_spi];
    one.outbound_spi = pair.outbound_spi;
    one.tunnel = pair.tunnel->name;
    one.child = pair.child->name;
    one.suite = pair.suite;
    one.esn = pair.esn;
    one.mode = pair.mode;
    one.path = pair.path;
    one.selectors = pair.selectors;
    one.worker = pair.worker;
    if (which != sa_directions::outbound)
      one.inbound_key.assign(pair.inbound_key.bytes().begin(), pair.inbound_key.bytes().end());
    if (which != sa_directions::inbound)
      one.outbound_key.assign(pair.outbound_key.bytes().begin(), pair.outbound_key.bytes().end());
    if (which != sa_directions::outbound) one.inbound = true;
    if (which != sa_directions::inbound) one.outbound = true, one.order = ++order_;
    co_return result<void>();
  }
  asio::awaitable<result<void>> remove(std::uint32_t spi, sa_directions which) override {
    const auto found = sas.find(spi);
    if (found == sas.end()) co_return failure("not there");
    if (which != sa_directions::outbound) found->second.inbound = false;
    if (which != sa_directions::inbound) found->second.outbound = false;
    if (!found->second.inbound && !found->second.outbound) sas.erase(found);
    co_return result<void>();
  }
  asio::awaitable<result<void>> move(std::uint32_t spi, const sa_path& path) override {
    if (const auto found = sas.find(spi); found != sas.end()) found->second.path = path;
    co_return result<void>();
  }
  asio::awaitable<result<std::vector<std::optional<sa_use>>>> use(const std::vector<std::uint32_t>& spis) override {
    std::vector<std::optional<sa_use>> out;
    for (const auto spi : spis)
      out.push_back(sas.contains(spi) ? std::optional(sa_use{.inbound_idle_ms = idle_ms}) : std::nullopt);
    co_return out;
  }
  asio::awaitable<result<std::vector<std::uint32_t>>> survived() override {
    std::vector<std::uint32_t> out;
    for (const auto& [spi, one] : sas) out.push_back(spi);
    co_return out;
  }

  asio::awaitable<result<std::map<std::uint32_t, std::string>>> survivors() override {
    std::map<std::uint32_t, std::string> out;
    for (const auto& [spi, one] : sas) out[spi] = one.tunnel;
    co_return out;
  }

  // The one that packets of this child leave by.
  [[nodiscard]] const installed* leaving(const std::string& child_name) const {
    const installed* newest = nullptr;
    for (const auto& [spi, one] : sas)
      if (one.outbound && one.child == child_name && (newest == nullptr || one.order > newest->order)) newest = &one;
    return newest;
  }
  [[nodiscard]] const installed* arriving(std::uint32_t spi) const {
    const auto found = sas.find(spi);
    return found != sas.end() && found->second.inbound ? &found->second : nullptr;
  }

  std::map<std::uint32_t, installed> sas;  // by inbound SPI
  std::set<std::uint32_t> released;
  std::uint64_t idle_ms = 0;
  bool refuse = false;
  explicit remembering_sink(std::uint32_t first_spi) : last_spi_(first_spi) {}

 private:
  std::uint32_t last_spi_;
  std::uint64_t order_ = 0;
};

class world;

class end : public environment {
 public:
  end(world& around, std::string address_text, const std::string& folder, std::uint32_t first_spi,
      admission_limits limits);

  timer_clock::time_point now() const override;
  std::chrono::system_clock::time_point wall_time() const override;
  void random(std::span<std::uint8_t> into) override;
  void send(const ike_path& path, byte_view datagram) override;
  void send_keepalive(const ike_path& path) override;
  std::optional<ip_address> source_for(const ip_address&) override { return address; }
  asio::any_io_executor loop() override;
  timers& clock() override;
  sa_sink& sink() override { return before_sas != nullptr ? *before_sas : sas; }
  keystore& keys() override { return *store; }
  unsigned workers() override { return worker_count; }

  [[nodiscard]] tunnel& t() const { return *ike->find("t"); }
  [[nodiscard]] ike_sa_pointer sa() const { return t().current(); }
  [[nodiscard]] const negotiation_record& record() const { return sa()->record; }
  [[nodiscard]] const failed_step& failure_of_t() const {
    static const failed_step none;
    return t().last_failure() ? t().last_failure()->failure : none;
  }

  world& around;
  ip_address address;
  remembering_sink sas;
  sa_sink* before_sas = nullptr;  // what stands between the engine and them
  std::unique_ptr<keystore> store;
  std::unique_ptr<engine> ike;
  unsigned keepalives = 0, worker_count = 1;
  std::function<void()> before_send;
};

// A NAT in front of an end: outside it has another address, and ports of its own.
struct nat {
  ip_address outside;
  std::uint16_t shift = 1000;  // of the ports
};

struct packet {
  end* from = nullptr;
  ike_path path;  // as the receiver sees it
  bytes data;
};

class world {
 public:
  explicit world(admission_limits limits = {});
  ~world();

  // Runs until `done` or until `limit` of simulated time has passed; returns done().
  bool run(const std::function<bool()>& done, std::chrono::seconds limit = 120s);
  void run_for(std::chrono::milliseconds time);
  void deliver(packet one);

  void write(const std::string& file, const std::string& text) const { std::ofstream(folder / file) << text; }
  // A tunnel's settings, PSK, both sides alike but for addresses and ids.
  [[nodiscard]] tunnel_settings settings(const end& here, const end& there) const;
  void configure(end& here, const std::vector<tunnel_settings>& all) const;
  // Both ends with one tunnel "t" and its child "lan"; `change` may alter either.
  void begin(const std::function<void(tunnel_settings& left, tunnel_settings& right)>& change = {});

  [[nodiscard]] bool up() const;  // child "lan" is installed at both ends, and the ends agree on it
  // What leaves either end by `child` arrives at the other one under the same key.
  [[nodiscard]] bool joined(const std::string& child = "lan") const;
  // IKE packets are lost, come twice or come late, each with this chance.
  void disturb(unsigned percent, std::uint64_t seed);
  void calm() { percent_ = 0; }
  // Both sinks have the same pairs, of them `pairs`, and nothing piles up in the engines.
  [[nodiscard]] std::string history() const;  // of both, for whoever looks for what went wrong
  [[nodiscard]] ::testing::AssertionResult clean(std::size_t pairs, std::size_t ike_sas = 1) const;

  std::filesystem::path folder;
  asio::io_context io{1};
  timer_clock::time_point time{std::chrono::hours(1)};
  std::chrono::system_clock::time_point wall;
  timers clock;
  std::mt19937_64 chance{4711};
  std::chrono::milliseconds delay = 10ms;
  // May drop (false) or change what is under way.
  std::function<bool(packet&)> on_way;
  unsigned sent = 0;
  std::vector<packet> log;  // of what was sent
  end left, right;
  std::map<end*, nat> nats;

 private:
  void hand_in(const packet& one, std::chrono::milliseconds after);
  void translate(packet& one) const;
  unsigned percent_ = 0;
  std::mt19937_64 trouble_chance_;
};

// 200 packets a second each way. One leaves by the newest outbound SA and must find its inbound SA with the same key at
// the other end 10 ms later.
class traffic {
 public:
  explicit traffic(world& around, std::string child = "lan");
  ~traffic() { *running_ = false; }
  unsigned sent = 0, lost = 0;
  std::string first_loss;  // what was there at that moment

 private:
  void lose(const end& from, std::uint32_t spi);
  void tick();
  void one_way(end& from, end& to);
  world& around_;
  std::string child_;
  std::shared_ptr<bool> running_ = std::make_shared<bool>(true);
};

}  // namespace trunkgate::ike::test
