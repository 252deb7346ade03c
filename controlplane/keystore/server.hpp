// The key process's end of the socket: answers requests in their order, one at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <vector>

#include "controlplane/keystore/key_ring.hpp"
#include "controlplane/keystore/wire.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

class keystore_server {
 public:
  // `report` gets what belongs in the log: a stable event id, and the text.
  using report = std::function<void(std::string_view event, const std::string& text)>;

  // Takes ownership of `listener`, a SEQPACKET socket that listens. `signals` is a signalfd, borrowed: SIGHUP reloads,
  // any other signal ends.
  keystore_server(int listener, int signals, key_ring& keys, report to_log);
  ~keystore_server();
  keystore_server(const keystore_server&) = delete;
  keystore_server& operator=(const keystore_server&) = delete;

  // Returns when a signal asks for the end; fails when it can't wait any more.
  [[nodiscard]] result<void> run();

 private:
  struct client {
    int descriptor = -1;
    std::vector<std::uint8_t> unsent{};  // an answer that the socket did not take yet: no more is read until it has
  };

  void accept_one();
  // false: the client is gone.
  [[nodiscard]] bool serve(client& one);
  [[nodiscard]] bool send(client& one, std::vector<std::uint8_t> message);
  [[nodiscard]] std::vector<std::uint8_t> answer(std::span<const std::uint8_t> message);
  [[nodiscard]] std::vector<std::uint8_t> compute(const keystore_wire::request& wanted);
  [[nodiscard]] std::vector<std::uint8_t> finish(std::uint32_t number, const result<void>& done,
                                                 const std::array<keystore_wire::byte_view, 3>& parts);
  void take_signals();
  void reload();

  int listener_, signals_;
  key_ring& keys_;
  report report_;
  std::list<client> clients_;
  std::vector<std::uint8_t> buffer_;
  std::uint64_t answered_ = 0, refused_ = 0;
  bool ending_ = false;
};

// Listens at `path`, which only this user may open; a socket that is left over there is removed.
[[nodiscard]] result<int> listen_keystore(const std::string& path);

}  // namespace trunkgate
