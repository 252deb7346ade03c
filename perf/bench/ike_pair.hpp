// Two IKE engines in one thread, with loopback between them and a real clock: what each of them costs.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <boost/asio/io_context.hpp>

#include "controlplane/ike/engine/engine.hpp"
#include "controlplane/keystore/client.hpp"
#include "perf/bench/ike_wire.hpp"

namespace trunkgate::bench {

// How the peers prove themselves ("psk", "ecdsa", "rsa", "ed25519"), and the words of their key exchanges ("x25519",
// "x25519-ke1_mlkem768").
struct ike_kind {
  std::string auth = "psk";
  std::string key_exchange = "x25519";
};

// The proposal of such an IKE SA: "aes128gcm16-prfsha256-x25519".
[[nodiscard]] std::string ike_proposal_with(std::string_view key_exchange);

// Takes SAs and says of none that a packet came: each liveness check needs a message.
class blind_sink final : public sa_sink {
 public:
  std::uint32_t reserve_spi() override { return ++last_spi_; }
  void release_spi(std::uint32_t) override {}
  boost::asio::awaitable<result<void>> add(const child_sa& pair, sa_directions which) override;
  boost::asio::awaitable<result<void>> remove(std::uint32_t inbound_spi, sa_directions which) override;
  boost::asio::awaitable<result<void>> move(std::uint32_t inbound_spi, const sa_path& path) override;
  boost::asio::awaitable<result<std::vector<std::optional<sa_use>>>> use(
      const std::vector<std::uint32_t>& inbound_spis) override;
  boost::asio::awaitable<result<std::vector<std::uint32_t>>> survived() override;
  boost::asio::awaitable<result<std::map<std::uint32_t, std::string>>> survivors() override;

 private:
  std::uint32_t last_spi_ = 0x100;
};

class ike_end final : public ike::environment {
 public:
  ike_end(std::unique_ptr<ike_wire> own_wire, const std::string& folder);
  ~ike_end() override;

  ike::timer_clock::time_point now() const override { return ike::timer_clock::now(); }
  std::chrono::system_clock::time_point wall_time() const override { return std::chrono::system_clock::now(); }
  void random(std::span<std::uint8_t> into) override;
  void send(const ike::ike_path& path, ike::byte_view datagram) override;
  void send_keepalive(const ike::ike_path&) override {}
  std::optional<ip_address> source_for(const ip_address&) override { return std::nullopt; }
  boost::asio::any_io_executor loop() override { return io_.get_executor(); }
  ike::timers& clock() override { return timers_; }
  sa_sink& sink() override { return sas_; }
  keystore& keys() override { return *store_; }

  [[nodiscard]] ike::engine& engine() { return *engine_; }
  // It is wanted, from the next step on.
  void want(ike::tunnel& which);
  // Does what there is to do now, and counts the processor's time for it; the heap that it takes, too, if that is
  // wanted. False: there was nothing.
  bool step();
  void begin_counting(bool heap);
  [[nodiscard]] double cpu_seconds() const { return cpu_seconds_; }
  [[nodiscard]] std::int64_t heap_bytes() const { return heap_bytes_; }
  [[nodiscard]] double latest_timer_ms() const { return latest_timer_ms_; }  // how late a timer ran at most

  // The longest time in which nothing came from the peer of a tunnel that is up, since begin_counting(); seconds.
  [[nodiscard]] double longest_silence() const { return longest_silence_; }
  [[nodiscard]] int descriptor() const { return wire_->descriptor(); }

 private:
  void take_what_is_there();
  void note_silence(const ip_address& peer);

  std::unique_ptr<ike_wire> wire_;
  ike::timers timers_;  // outlives what the loop still holds
  blind_sink sas_;
  std::unique_ptr<keystore> store_;
  boost::asio::io_context io_{1};
  std::unique_ptr<ike::engine> engine_;
  bool worked_ = false, count_heap_ = false;
  double cpu_seconds_ = 0, latest_timer_ms_ = 0, longest_silence_ = 0;
  std::int64_t heap_bytes_ = 0;
  std::vector<ike::timer_clock::time_point> last_heard_;  // by the peer's number
};

class ike_pair {
 public:
  // `peers` tunnels, each between two addresses of its own; none is started. Fails if the certificates or the sockets
  // can't be made.
  [[nodiscard]] static result<std::unique_ptr<ike_pair>> make(const ike_kind& kind, std::uint32_t peers,
                                                              const ike_settings& times,
                                                              const lifetime_settings& child);
  ~ike_pair();
  ike_pair(const ike_pair&) = delete;
  ike_pair& operator=(const ike_pair&) = delete;

  [[nodiscard]] ike_end& initiator() { return *initiator_; }
  [[nodiscard]] ike_end& responder() { return *responder_; }
  [[nodiscard]] const std::vector<ike::tunnel*>& tunnels() const { return tunnels_; }  // the initiator's
  // Heap that each tunnel takes at either end while it is only configured.
  [[nodiscard]] double configured_bytes() const { return configured_bytes_; }

  // Until there is nothing to do at this moment.
  void turn();
  // Sleeps until there is, `longest` at most.
  void wait(std::chrono::milliseconds longest);

 private:
  ike_pair(std::filesystem::path folder, std::unique_ptr<ike_wire> left, std::unique_ptr<ike_wire> right);

  std::filesystem::path folder_;
  std::unique_ptr<ike_end> initiator_, responder_;
  std::vector<ike::tunnel*> tunnels_;
  double configured_bytes_ = 0;
};

}  // namespace trunkgate::bench
