// The tunnels with their children, rates and totals as JSON with stable names (docs/operating.md).
#pragma once

#include <string>
#include <unordered_map>

#include <boost/asio/awaitable.hpp>
#include <nlohmann/json.hpp>

#include "controlplane/ike/engine/engine.hpp"

namespace trunkgate {

class tunnel_reporter {
 public:
  tunnel_reporter(ike::engine& all, ike::environment& outside) : all_(all), outside_(outside) {}

  // {"tunnels": [...], "data_plane": "why there are no figures"}; `wanted` empty: all. {"error"} of a name that is
  // none.
  [[nodiscard]] boost::asio::awaitable<nlohmann::ordered_json> tunnels(std::string wanted);

 private:
  struct rates {
    double in = 0, out = 0;  // bit/s
  };
  struct sample {
    ike::timer_clock::time_point at;
    sa_use use;
    rates last;
  };
  using uses = std::unordered_map<std::uint32_t, sa_use>;  // by inbound SPI

  [[nodiscard]] nlohmann::ordered_json report(const ike::tunnel& one, const uses& use);
  [[nodiscard]] nlohmann::ordered_json children(const ike::tunnel& one, const uses& use, rates& sum);
  // Since the last query that is a second old, or over the SA's life.
  [[nodiscard]] rates rates_of(const ike::child& pair, const sa_use& use);

  ike::engine& all_;
  ike::environment& outside_;
  std::unordered_map<std::uint32_t, sample> samples_;
};

}  // namespace trunkgate
