#include "controlplane/installer/installer.hpp"

namespace trunkgate {

namespace {

using api::message_type;

door_request batch_of(const compiled& wanted) {
  door_request batch;
  const auto put_all = [&batch](message_type type, const auto& records) {
    for (const auto& record : records) batch.put(type, record);
  };
  batch.put(message_type::batch_begin, api::batch_begin{.replace = 1});
  batch.put(message_type::put_gateway, wanted.gateway);
  put_all(message_type::put_port, wanted.ports);
  put_all(message_type::put_route, wanted.routes);
  put_all(message_type::put_policy, wanted.policies);
  put_all(message_type::put_trap, wanted.traps);
  put_all(message_type::put_sa, wanted.sas);
  batch.add(message_type::batch_commit);
  return batch;
}

}  // namespace

boost::asio::awaitable<installer::report> installer::install(compiled wanted) {
  auto batch = batch_of(wanted);
  wanted = {};
  co_return co_await door_.ask(std::move(batch));
}

}  // namespace trunkgate
