#include "dataplane/main/server.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "dataplane/main/log.hpp"
#include "dataplane/main/record_check.hpp"

namespace trunkgate {
namespace {

template <class Record, class Into>
result<void> take(const api::message& request, Into& into) {
  auto record = request.as<Record>();
  if (!record) return std::unexpected(record.error());
  if (auto fine = check(*record); !fine) return fine;
  into.push_back(*record);
  if constexpr (std::is_same_v<Record, api::sa_record>) wipe(&*record, sizeof *record);
  return {};
}

}  // namespace

result<std::unique_ptr<api_server>> api_server::listen(const std::string& path, gateway& served) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return failure("socket path too long: " + path);
  path.copy(address.sun_path, path.size());
  const int listener = ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
  if (listener < 0) return system_failure("socket");
  std::unique_ptr<api_server> made(new api_server(listener, path, served));
  ::unlink(path.c_str());
  const mode_t old = ::umask(0117);
  const int bound = ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address);
  ::umask(old);
  if (bound != 0 || ::listen(listener, 16) != 0) return system_failure("listen at " + path);
  return made;
}

api_server::~api_server() {
  ::close(listener_);
  ::unlink(path_.c_str());
}

void api_server::accept_one() {
  const int descriptor = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (descriptor < 0) return;
  // A client that does not read its dump must not hold this thread up.
  const timeval patience{.tv_sec = 2, .tv_usec = 0};
  ::setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  sessions_.push_back({.channel = api::channel(descriptor), .batch = nullptr, .subscribed = false, .last_event = 0});
}

void api_server::each_descriptor(const std::function<void(int)>& visit) const {
  for (const auto& client : sessions_) visit(client.channel.descriptor());
}

void api_server::push_events() {
  api::header head;
  head.type = api::message_type::event;
  for (auto& client : sessions_) {
    const api::event* event = nullptr;
    while (client.subscribed && (event = gateway_.events().next(client.last_event)) != nullptr) {
      // A connection that is gone is seen by serve().
      const auto sent = client.channel.try_send(head, api::channel::as_bytes(*event), {});
      if (!sent || !*sent) break;
      client.last_event = event->number;
    }
  }
}

void api_server::serve(int descriptor) {
  const auto client = std::find_if(sessions_.begin(), sessions_.end(),
                                   [descriptor](const session& s) { return s.channel.descriptor() == descriptor; });
  if (client == sessions_.end()) return;
  api::message request;
  auto got = client->channel.receive(request);
  if (!got) log_event("api", got.error().reason);
  if (!got || !*got) return leave(client);
  auto done = handle(*client, request);
  if (done && request.header.type == api::message_type::unwatch) return;  // pump_watch() answers
  api::header answer;
  answer.request = request.header.request;
  answer.type = done ? api::message_type::ok : api::message_type::failed;
  const api::failed why{.reason = api::text<512>(done ? "" : done.error().reason)};
  const auto sent = client->channel.send(answer, done ? std::span<const std::uint8_t>{} : api::channel::as_bytes(why));
  if (!sent) leave(client);
}

void api_server::leave(std::list<session>::iterator client) {
  if (watching_ == &*client) {
    gateway_.watch()->abandon();
    watching_ = nullptr;
  }
  sessions_.erase(client);
}

result<void> api_server::handle(session& client, const api::message& request) {
  switch (request.header.type) {
    case api::message_type::batch_begin: {
      auto begin = request.as<api::batch_begin>();
      if (!begin) return std::unexpected(begin.error());
      client.batch = std::make_unique<staged_batch>();
      client.batch->replace = begin->replace != 0;
      return {};
    }
    case api::message_type::batch_commit: return commit(client);
    case api::message_type::dump: return dump(client, request.header);
    case api::message_type::shutdown: shutdown_ = true; return {};
    case api::message_type::watch: return watch(client, request);
    case api::message_type::unwatch: return unwatch(client, request.header);
    case api::message_type::subscribe: client.subscribed = true; return {};
    case api::message_type::use: return use(client, request);
    default: return stage(client, request);
  }
}

result<void> api_server::stage(session& client, const api::message& request) {
  if (client.batch == nullptr) return failure("a record came outside of a batch");
  auto done = put(*client.batch, request);
  // What is sent behind it without waiting must not be applied without it.
  if (!done) client.batch.reset();
  return done;
}

result<void> api_server::put(staged_batch& batch, const api::message& request) {
  switch (request.header.type) {
    case api::message_type::put_gateway: {
      auto record = request.as<api::gateway_record>();
      if (!record) return std::unexpected(record.error());
      batch.gateway = *record;
      return {};
    }
    case api::message_type::put_port: return take<api::port_record>(request, batch.ports);
    case api::message_type::put_route: return take<api::route_record>(request, batch.routes);
    case api::message_type::put_policy: return take<api::policy_record>(request, batch.policies);
    case api::message_type::put_sa: return take<api::sa_record>(request, batch.sas);
    case api::message_type::remove_sa: {
      auto record = request.as<api::sa_record>();
      if (!record) return std::unexpected(record.error());
      batch.removed.push_back(*record);
      return {};
    }
    case api::message_type::put_trap:
      if (!batch.replace) return failure("a trap is part of the configuration: a batch that replaces it");
      return take<api::trap_record>(request, batch.traps);
    case api::message_type::move_sa: return take<api::move_record>(request, batch.moved);
    default: return failure("unknown request");
  }
}

result<void> api_server::commit(session& client) {
  if (client.batch == nullptr) return failure("there is no batch to commit");
  const auto batch = std::move(client.batch);
  auto applied = gateway_.apply(*batch);
  if (applied && batch->replace)
    log_event("applied", std::to_string(batch->ports.size()) + " ports, " + std::to_string(batch->policies.size()) +
                             " policies, " + std::to_string(batch->sas.size()) + " SAs, " +
                             std::to_string(batch->traps.size()) + " traps");
  else if (!applied)
    log_event("refused", applied.error().reason);
  return applied;
}

result<void> api_server::use(session& client, const api::message& request) {
  if (request.header.length % sizeof(std::uint32_t) != 0) return failure("pairs are numbers of 32 bits");
  std::vector<std::uint32_t> pairs(request.header.length / sizeof(std::uint32_t));
  if (!pairs.empty()) std::memcpy(pairs.data(), request.body.data(), request.header.length);
  api::header answer;
  answer.type = api::message_type::record;
  answer.kind = api::record_kind::uses;
  answer.request = request.header.request;
  std::vector<api::sa_use> uses;
  result<void> sent;
  const auto flush = [&] {
    if (sent && !uses.empty())
      sent = client.channel.send(
          answer, {reinterpret_cast<const std::uint8_t*>(uses.data()), uses.size() * sizeof(api::sa_use)});
    uses.clear();
  };
  gateway_.use(pairs, [&](const api::sa_use& one) {
    uses.push_back(one);
    if (uses.size() == api::uses_per_message) flush();
  });
  flush();
  return sent;
}

template <class Status>
result<void> api_server::send_all(session& client, const api::header& request) {
  result<void> sent;
  gateway_.report(std::function<void(const Status&)>([&](const Status& status) {
    if (!sent) return;
    api::header answer;
    answer.type = api::message_type::record;
    answer.kind = request.kind;
    answer.request = request.request;
    sent = client.channel.send(answer, api::channel::as_bytes(status));
  }));
  return sent;
}

result<void> api_server::dump(session& client, const api::header& request) {
  switch (request.kind) {
    case api::record_kind::gateway: return send_all<api::gateway_status>(client, request);
    case api::record_kind::ports: return send_all<api::port_status>(client, request);
    case api::record_kind::sas: return send_all<api::sa_status>(client, request);
    case api::record_kind::policies: return send_all<api::policy_status>(client, request);
    case api::record_kind::routes: return send_all<api::route_status>(client, request);
    case api::record_kind::stages: return send_all<api::stage_status>(client, request);
    case api::record_kind::workers: return send_all<api::worker_status>(client, request);
    case api::record_kind::drops: return send_all<api::drop_status>(client, request);
    case api::record_kind::algorithms: return send_all<api::algorithm_status>(client, request);
    case api::record_kind::events: return send_all<api::event>(client, request);
    default: return failure("there is no such dump");
  }
}

}  // namespace trunkgate
