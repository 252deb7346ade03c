// The API server's part of a watch: who watches, and the records on their way to that client.
#include <sys/socket.h>

#include "dataplane/main/server.hpp"

namespace trunkgate {
namespace {

constexpr int send_room = 4 << 20;  // bytes: a burst of records waits here for a client that reads

std::string process_at(int descriptor) {
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 || peer.pid == 0) return "another process";
  return "process " + std::to_string(peer.pid);
}

}  // namespace

result<void> api_server::watch(session& client, const api::message& request) {
  auto wanted = request.as<api::watch_request>();
  if (!wanted) return std::unexpected(wanted.error());
  if (gateway_.watch() == nullptr) return failure("the data plane has no configuration yet");
  if (watching_ != nullptr)
    return failure(process_at(watching_->channel.descriptor()) +
                   " traces or captures already, and only one can: wait until it ends, or end it");
  if (auto started = gateway_.watch()->start(*wanted); !started) return started;
  // May fail where the right is missing: then fewer records fit in one burst.
  (void)::setsockopt(client.channel.descriptor(), SOL_SOCKET, SO_SNDBUFFORCE, &send_room, sizeof send_room);
  watching_ = &client;
  client.watch_request = request.header.request;
  client.unwatch_request = 0;
  return {};
}

result<void> api_server::unwatch(session& client, const api::header& request) {
  if (watching_ != &client) return failure("this connection watches nothing");
  gateway_.watch()->stop();
  client.unwatch_request = std::max(request.request, 1u);
  return {};
}

// A client that does not read fills its socket, then the workers' rings: then records are lost and counted, and nobody
// has waited.
void api_server::pump_watch() {
  if (watching_ == nullptr) return;
  auto& client = *watching_;
  auto& watch = *gateway_.watch();
  api::header head;
  head.type = api::message_type::record;
  head.kind = api::record_kind::watched;
  head.request = client.watch_request;
  watch.drain([&](const api::watched& record, std::span<const std::uint8_t> bytes) {
    const auto sent = client.channel.try_send(head, api::channel::as_bytes(record), bytes);
    return sent && *sent;  // where the client has gone, its descriptor says so
  });
  if (client.unwatch_request == 0 || !watch.drained()) return;
  const auto last = watch.last_word();
  const auto ended = client.channel.try_send(head, api::channel::as_bytes(last), {});
  if (!ended || !*ended) return;  // next time
  watch.abandon();
  watching_ = nullptr;
  api::header answer;
  answer.type = api::message_type::ok;
  answer.request = client.unwatch_request;
  (void)client.channel.send(answer, {}).has_value();
}

}  // namespace trunkgate
