// The SA sink whose SAs are in the data plane.
#pragma once

#include <cstdint>
#include <set>
#include <unordered_map>

#include "controlplane/installer/door.hpp"
#include "controlplane/installer/sa_sink.hpp"

namespace trunkgate {

// While there is no connection every call fails. One thread: the loop's.
class installed_sas final : public sa_sink {
 public:
  explicit installed_sas(door& to) : door_(to) {}

  // Who is told; set before the door opens.
  sa_sink_events tells;
  // For each event of the data plane.
  void take(const api::event& event);
  // Once the configuration is in force on a new connection: finds out what is there, and tells of a data plane that is
  // another one than before.
  [[nodiscard]] boost::asio::awaitable<result<void>> meet();

  // Of the data plane that was met last.
  [[nodiscard]] unsigned workers() const { return workers_; }

  [[nodiscard]] std::uint32_t reserve_spi() override;
  void release_spi(std::uint32_t inbound_spi) override { reserved_.erase(inbound_spi); }
  [[nodiscard]] boost::asio::awaitable<result<void>> add(const child_sa& pair, sa_directions which) override;
  [[nodiscard]] boost::asio::awaitable<result<void>> remove(std::uint32_t inbound_spi, sa_directions which) override;
  [[nodiscard]] boost::asio::awaitable<result<void>> move(std::uint32_t inbound_spi, const sa_path& path) override;
  [[nodiscard]] boost::asio::awaitable<result<std::vector<std::optional<sa_use>>>> use(
      const std::vector<std::uint32_t>& inbound_spis) override;
  [[nodiscard]] boost::asio::awaitable<result<std::vector<std::uint32_t>>> survived() override;
  [[nodiscard]] boost::asio::awaitable<result<std::map<std::uint32_t, std::string>>> survivors() override;

 private:
  // All pairs if none is named.
  [[nodiscard]] boost::asio::awaitable<result<std::vector<api::sa_use>>> ask_use(
      std::vector<std::uint32_t> inbound_spis);

  door& door_;
  std::set<std::uint32_t> reserved_;                           // and not installed
  std::unordered_map<std::uint32_t, std::uint8_t> installed_;  // inbound SPI: sa_directions
  unsigned workers_ = 1;
  std::uint64_t instance_ = 0;         // of the data plane; 0: not met yet
  std::uint64_t newest_event_ns_ = 0;  // what is kept comes again with each connection
};

}  // namespace trunkgate
