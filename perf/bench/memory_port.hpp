// A port whose wire is this process's memory: the bench puts frames in and takes what comes out.
#pragma once

#include <array>
#include <span>

#include "drivers/port/port.hpp"

namespace trunkgate::bench {

class memory_port final : public port_driver {
 public:
  static constexpr std::size_t room = 4096;  // frames between two clear()s

  memory_port(const mac_address& mac, std::uint16_t mtu);

  // Frames that receive() gives next; they stay the caller's to name until all are taken.
  void offer(std::span<rte_mbuf* const> frames) noexcept { offered_ = frames; }
  [[nodiscard]] bool all_taken() const noexcept { return offered_.empty(); }
  // What was transmitted since clear(): the caller's to free.
  [[nodiscard]] std::span<rte_mbuf* const> sent() const noexcept { return {sent_.data(), sent_count_}; }
  void clear() noexcept { sent_count_ = 0; }

  std::uint16_t receive(std::uint16_t queue, rte_mbuf** frames, std::uint16_t limit) noexcept override;
  std::uint16_t transmit(std::uint16_t queue, rte_mbuf** frames, std::uint16_t count) noexcept override;
  [[nodiscard]] int wait_descriptor(std::uint16_t) const noexcept override { return -1; }
  void refresh() override {}
  [[nodiscard]] bool up() const noexcept override { return true; }
  [[nodiscard]] const port_description& description() const noexcept override { return description_; }
  [[nodiscard]] port_counters counters() const noexcept override { return {}; }

 private:
  port_description description_;
  std::span<rte_mbuf* const> offered_;
  std::array<rte_mbuf*, room> sent_;
  std::size_t sent_count_ = 0;
};

}  // namespace trunkgate::bench
