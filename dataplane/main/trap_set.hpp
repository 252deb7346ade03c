// The traps of the configuration: the children that IKE keys, and where each stands.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "dataplane/state/tables.hpp"

namespace trunkgate {

// Control thread.
class trap_set {
 public:
  // `port_of`: the index of a tunnel's interface by its name, or no_port.
  using port_finder = std::function<std::uint16_t(std::string_view)>;
  trap_set(forwarding_tables& tables, port_finder port_of) : tables_(tables), port_of_(std::move(port_of)) {}
  ~trap_set();  // workers are gone by now

  using child_key = std::pair<std::string, std::string>;  // tunnel and child
  using order_map = std::map<child_key, std::uint32_t>;
  template <class Record>
  [[nodiscard]] static child_key key_of(const Record& record) {
    return {std::string(record.tunnel.view()), std::string(record.child.view())};
  }

  // Where each will stand; fails with a child that is named twice.
  [[nodiscard]] static result<order_map> orders_of(const std::vector<api::trap_record>& wanted);
  // These and no others. What does not change is not touched; no child is without its trap meanwhile.
  void replace(const std::vector<api::trap_record>& wanted);
  // Tunnels' interfaces were opened anew.
  void rebind_interfaces();
  // The order of the child that this SA is of, if the configuration has it.
  [[nodiscard]] std::optional<std::uint32_t> order_of(const api::sa_record& record) const;

 private:
  void insert(trap& made);
  void take_out(trap& old);

  forwarding_tables& tables_;
  port_finder port_of_;
  std::map<child_key, std::unique_ptr<trap>> installed_;
};

}  // namespace trunkgate
