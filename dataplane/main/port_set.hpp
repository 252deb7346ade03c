// The operator's ports: each a device or a VLAN of one, its TAP, and the guard that keeps the kernel off the netdev; or
// a tunnel's interface: a TUN device alone.
#pragma once

#include <functional>
#include <list>
#include <memory>
#include <string>

#include "dataplane/api/messages.hpp"
#include "dataplane/main/host_thread.hpp"
#include "dataplane/main/kernel_sync.hpp"
#include "dataplane/pipeline/pipeline.hpp"
#include "drivers/host/netdev_guard.hpp"

namespace trunkgate {

// Control thread.
class port_set {
 public:
  port_set(pipeline& workers, host_thread& host, kernel_sync& kernel)
      : pipeline_(workers), host_(host), kernel_(kernel) {}

  // Opens device, TAP and guard. The port's index, or why not (then nothing of it is left).
  [[nodiscard]] result<std::uint16_t> open(const api::port_record& record);
  // Lets packets in on every port: once the rules and SAs that judge them are in force.
  void start_receiving();
  // Tunnels' interfaces follow their SAs: up while there is one, with the MTU that it leaves. Call after SAs changed,
  // and now and then, for routes and paths change too.
  void refresh_tunnels();
  // Gives everything back to the kernel.
  void close(std::string_view port);
  // Index, or no_port.
  [[nodiscard]] std::uint16_t find(std::string_view port) const;
  [[nodiscard]] std::string name_of(std::uint16_t index) const;
  [[nodiscard]] int tap_of(std::string_view port) const;  // link index; 0: none
  void each(const std::function<void(const api::port_record&)>& visit) const;
  void report(const std::function<void(const api::port_status&)>& visit) const;
  // Looks after devices that went or came back; call every second and when a link changed.
  void refresh();
  void link_changed(const kernel_link& link, bool present);

 private:
  struct open_device {
    std::string key;
    std::uint16_t index = 0;
    unsigned users = 0;
    std::unique_ptr<netdev_guard> guard;
    bool was_up = true;
  };
  struct entry {
    api::port_record record;
    std::uint16_t index = no_port;
    open_device* device = nullptr;  // nullptr: a tunnel's interface
    std::shared_ptr<tap_device> tap;
  };
  [[nodiscard]] result<open_device*> use_device(const api::port_record& record);
  void drop_device(open_device* device, const api::port_record* last);
  [[nodiscard]] result<void> bring_up(entry& port);
  [[nodiscard]] result<void> bring_up_tunnel(entry& port);
  [[nodiscard]] result<void> publish(entry& port);
  [[nodiscard]] std::uint16_t free_index(bool tunnel) const;
  void refresh_tunnel(const entry& port);
  void report_device(const entry& port, api::port_status& status) const;
  void follow_device(entry& port);
  void refresh_device(open_device& device);

  pipeline& pipeline_;
  host_thread& host_;
  kernel_sync& kernel_;
  std::list<open_device> devices_;
  std::list<entry> ports_;
};

}  // namespace trunkgate
