// What the kernel said about its routes, and from it the one route per destination and metric that counts.
#pragma once

#include <cstddef>
#include <functional>
#include <unordered_map>
#include <vector>

#include "drivers/host/netlink_values.hpp"

namespace trunkgate {

class route_table {
 public:
  using teller = std::function<void(const kernel_route&, bool present)>;
  explicit route_table(teller tell) : tell_(std::move(tell)) {}

  enum class how : std::uint8_t { add, replace };
  // False: which of several routes it concerns can't be told from the message; the family must be read again.
  [[nodiscard]] bool added(table_route route, how how_added);
  void removed(const table_route& route);
  // The family's routes are these and no others.
  void set_all(ip_family family, std::vector<table_route> routes);

 private:
  struct key {
    ip_prefix destination;
    std::uint32_t metric = 0;
    friend bool operator==(const key&, const key&) = default;
  };
  struct key_hash {
    std::size_t operator()(const key& of) const;
  };
  struct record {
    std::vector<table_route> routes;  // in the kernel's order
    kernel_route told;
    bool is_told = false;
  };
  using records = std::unordered_map<key, record, key_hash>;

  void settle(records::iterator position);
  records records_;
  teller tell_;
};

}  // namespace trunkgate
