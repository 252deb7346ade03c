// IKE in the daemon: the engine on real sockets, a real clock, the key process and the data plane.
#pragma once

#include <memory>
#include <string>

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>

#include "config/model.hpp"
#include "config/plan.hpp"
#include "controlplane/ike/engine/engine.hpp"
#include "controlplane/installer/installed_sas.hpp"
#include "controlplane/main/ike_memory.hpp"
#include "controlplane/main/ike_sockets.hpp"
#include "controlplane/monitor/key_export.hpp"

namespace trunkgate {

class ike_service final : public ike::environment {
 public:
  ike_service(boost::asio::io_context& loop, installed_sas& sas, std::string keystore_socket);
  ~ike_service() override;

  // Reads what the tunnels need (certificates, trust anchors), and asks the key process for their keys' other halves.
  // What it returns goes to apply(); an error names the word in the configuration.
  using profiles = std::vector<ike::profile_pointer>;
  [[nodiscard]] boost::asio::awaitable<result<profiles>> read(const configuration& from);
  // Runs `wanted` from now on. Only the tunnels that `changes` names are touched, each as its impact says.
  void apply(profiles wanted, const plan& changes);

  // Once, before the first apply(): what an earlier process left in memory and in the data plane. False: the data plane
  // does not say what it has.
  [[nodiscard]] boost::asio::awaitable<bool> inherit();
  // Takes leave of all peers; done when they have answered, or after `limit`.
  [[nodiscard]] boost::asio::awaitable<void> close_all(std::chrono::milliseconds limit);

  [[nodiscard]] ike::engine& engine() { return *engine_; }
  [[nodiscard]] exporting_sink& exports() { return exports_; }

  // ---- ike::environment ----
  ike::timer_clock::time_point now() const override { return ike::timer_clock::now(); }
  std::chrono::system_clock::time_point wall_time() const override { return std::chrono::system_clock::now(); }
  void random(std::span<std::uint8_t> into) override;
  void send(const ike::ike_path& path, ike::byte_view datagram) override;
  void send_keepalive(const ike::ike_path& path) override { sockets_.send_keepalive(path); }
  std::optional<ip_address> source_for(const ip_address& remote) override { return source_address_for(remote); }
  boost::asio::any_io_executor loop() override { return loop_.get_executor(); }
  std::optional<boost::asio::any_io_executor> pool() override { return pool_.get_executor(); }
  unsigned workers() override { return sas_.workers(); }
  ike::timers& clock() override { return clock_; }
  sa_sink& sink() override { return exports_; }
  keystore& keys() override { return *keys_; }
  ike::revocation_fetcher* revocation() override { return &revocation_; }

 private:
  void wait_for_timers();
  void open_sockets();
  void act(const tunnel_change& change);
  void write_down(const ike::ike_sa_pointer& sa);
  void write_changed();

  boost::asio::io_context& loop_;
  installed_sas& sas_;
  exporting_sink exports_{sas_};
  std::unique_ptr<keystore> keys_;
  ike::revocation_fetcher revocation_;
  // Certificates and slow groups: a flood of handshakes never holds up a liveness check.
  boost::asio::thread_pool pool_{1};
  ike::timers clock_;
  boost::asio::steady_timer wake_;
  boost::asio::steady_timer try_sockets_;
  bool sockets_open_ = false;
  ike_sockets sockets_;
  std::unique_ptr<ike_memory> memory_;
  std::vector<ike::ike_sa_pointer> changed_;  // since the last write_changed()
  bool inherited_ = false;
  std::unique_ptr<ike::engine> engine_;
};

}  // namespace trunkgate
