// Many operator's rules, each for flows of its own, and a last one that lets everything else pass.
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "dataplane/state/spd.hpp"

namespace trunkgate::bench {

class rule_set {
 public:
  explicit rule_set(std::uint32_t count);  // with the last one; at least 1
  [[nodiscard]] std::span<const operator_rules::rule> rules() const { return rules_; }
  // A flow for which this rule is the first that matches.
  [[nodiscard]] flow_key key_for(std::uint32_t rule) const;

 private:
  std::unique_ptr<counter[]> flows_;
  std::vector<operator_rules::rule> rules_;
};

}  // namespace trunkgate::bench
