// How much of each kind the box itself takes from the wire, so that a flood of one kind can't starve the others.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include <rte_meter.h>

namespace trunkgate {

// IKE by what a stranger must know to get into a class: the SPIs of an IKE SA; that his IKE_SA_INIT was turned away
// before; nothing.
enum class punt_class : std::uint8_t { ike, ike_again, ike_init, ike_other, sip, arp_nd, icmp, path_mtu, rest, count_ };
inline constexpr std::size_t punt_class_count = static_cast<std::size_t>(punt_class::count_);

struct punt_rate {
  punt_class kind;
  std::string_view name;
  std::uint32_t packets_per_second, burst;  // of one worker
};

inline constexpr std::array<punt_rate, punt_class_count> punt_rates{{
    {punt_class::ike, "ike", 20000, 2000},
    {punt_class::ike_again, "ike_again", 5000, 500},
    {punt_class::ike_init, "ike_init", 3000, 500},
    {punt_class::ike_other, "ike_other", 2000, 500},
    {punt_class::sip, "sip", 20000, 4000},
    {punt_class::arp_nd, "arp_nd", 1000, 200},
    {punt_class::icmp, "icmp", 1000, 200},
    {punt_class::path_mtu, "path_mtu", 1000, 200},
    {punt_class::rest, "rest", 20000, 4000},
}};

// Token buckets of one worker (rte_meter, RFC 2697), counting packets.
class punt_policer {
 public:
  punt_policer() {  // after EAL's start: rte_meter asks it for the TSC frequency
    for (const auto& rate : punt_rates) {
      // One "byte" is one packet.
      rte_meter_srtcm_params parameters{.cir = rate.packets_per_second, .cbs = rate.burst, .ebs = 0};
      auto i = static_cast<std::size_t>(rate.kind);
      rte_meter_srtcm_profile_config(&profiles_[i], &parameters);
      rte_meter_srtcm_config(&meters_[i], &profiles_[i]);
    }
  }
  [[nodiscard]] bool admits(punt_class kind, std::uint64_t now_tsc) noexcept {
    auto i = static_cast<std::size_t>(kind);
    return rte_meter_srtcm_color_blind_check(&meters_[i], &profiles_[i], now_tsc, 1) == RTE_COLOR_GREEN;
  }

 private:
  std::array<rte_meter_srtcm_profile, punt_class_count> profiles_{};
  std::array<rte_meter_srtcm, punt_class_count> meters_{};
};

}  // namespace trunkgate
