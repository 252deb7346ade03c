// From a configuration to the records that the data plane takes.
#pragma once

#include <vector>

#include "config/model.hpp"
#include "dataplane/api/messages.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

// Move-only: the SA records hold keys, which the destructor wipes.
struct compiled {
  api::gateway_record gateway;
  std::vector<api::port_record> ports;
  std::vector<api::route_record> routes;
  std::vector<api::policy_record> policies;  // a rule with both_ways makes two
  std::vector<api::sa_record> sas;           // per child with keys by hand: outbound, then inbound
  std::vector<api::trap_record> traps;       // per child that IKE keys

  compiled() = default;
  compiled(compiled&&) noexcept = default;
  compiled& operator=(compiled&& other) noexcept;
  compiled(const compiled&) = delete;
  compiled& operator=(const compiled&) = delete;
  ~compiled();
};

// What the configuration says of a child's SAs, whoever keys them: padding, outer header, replay window.
void fill_settings(api::sa_record& sa, const child_settings& child);
[[nodiscard]] api::lifetime_limits limits_of(const lifetime_settings& limits);

// Reads the keys (files, environment, credentials); an error names the path in the configuration.
[[nodiscard]] result<compiled> compile(const configuration& config);

}  // namespace trunkgate
