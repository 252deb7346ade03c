// The API's server: connections on the SEQPACKET socket, each with a batch of its own in the making.
#pragma once

#include <list>
#include <memory>
#include <string>

#include "dataplane/api/channel.hpp"
#include "dataplane/main/gateway.hpp"

namespace trunkgate {

// Control thread.
class api_server {
 public:
  // Listens at the path (an old socket there is replaced). Only the owner and group may connect.
  [[nodiscard]] static result<std::unique_ptr<api_server>> listen(const std::string& path, gateway& served);
  ~api_server();

  [[nodiscard]] int descriptor() const { return listener_; }
  void accept_one();
  void each_descriptor(const std::function<void(int)>& visit) const;
  // One request of the connection with this descriptor is answered.
  void serve(int descriptor);
  // What subscribers have not got yet, as far as they take it: one that reads slowly gets it later, or a gap.
  void push_events();
  [[nodiscard]] bool shutdown_requested() const { return shutdown_; }
  // A client watches packets: call pump_watch() every few milliseconds. It never waits for the client.
  [[nodiscard]] bool watching() const { return watching_ != nullptr; }
  void pump_watch();

 private:
  struct session {
    api::channel channel;
    std::unique_ptr<staged_batch> batch;
    std::uint32_t watch_request = 0;    // of the request that the records answer
    std::uint32_t unwatch_request = 0;  // 0: the watch goes on
    bool subscribed = false;
    std::uint64_t last_event = 0;  // its number
  };
  api_server(int listener, std::string path, gateway& served)
      : listener_(listener), path_(std::move(path)), gateway_(served) {}
  [[nodiscard]] result<void> handle(session& client, const api::message& request);
  [[nodiscard]] result<void> stage(session& client, const api::message& request);
  [[nodiscard]] result<void> commit(session& client);
  [[nodiscard]] result<void> watch(session& client, const api::message& request);
  [[nodiscard]] result<void> unwatch(session& client, const api::header& request);
  void leave(std::list<session>::iterator client);
  [[nodiscard]] static result<void> put(staged_batch& batch, const api::message& request);
  [[nodiscard]] result<void> use(session& client, const api::message& request);
  [[nodiscard]] result<void> dump(session& client, const api::header& request);
  template <class Status>
  [[nodiscard]] result<void> send_all(session& client, const api::header& request);

  int listener_;
  std::string path_;
  gateway& gateway_;
  std::list<session> sessions_;
  session* watching_ = nullptr;  // one of `sessions_`
  bool shutdown_ = false;
};

}  // namespace trunkgate
