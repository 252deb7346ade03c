#include "controlplane/installer/installer.hpp"

#include <sys/socket.h>
#include <sys/time.h>

#include <cerrno>

namespace trunkgate {

namespace {

using api::message_type;

// The data plane answers a put at once and a commit within the time that opening ports and reserving memory takes.
constexpr timeval answer_limit{.tv_sec = 30, .tv_usec = 0};

bool is_installed(const installer::report& report) { return report.what == installer::outcome::installed; }

}  // namespace

result<installer> installer::connect(const std::string& socket_path, event_function on_event) {
  auto channel = api::channel::connect(socket_path);
  if (!channel) return std::unexpected(channel.error());
  for (int option : {SO_RCVTIMEO, SO_SNDTIMEO})
    if (::setsockopt(channel->descriptor(), SOL_SOCKET, option, &answer_limit, sizeof answer_limit) != 0)
      return system_failure("limit the wait for the data plane");
  return installer(std::move(*channel), std::move(on_event));
}

bool installer::pass_on(const api::message& message) const {
  if (message.header.type != message_type::event) return false;
  if (const auto event = message.as<api::event>(); event && on_event_) on_event_(*event);
  return true;
}

bool installer::take_event() {
  api::message message;
  const auto got = channel_.receive(message);
  return got && *got && pass_on(message);
}

installer::report installer::subscribe() { return ask(message_type::subscribe, {}); }

installer::report installer::ask(message_type type, std::span<const std::uint8_t> body) {
  api::header head;
  head.type = type;
  head.request = next_request_++;
  if (auto sent = channel_.send(head, body); !sent) return {outcome::lost, sent.error().reason};
  api::message answer;
  do {
    errno = 0;
    auto got = channel_.receive(answer);
    if (!got) return {outcome::lost, errno == EAGAIN ? "the data plane does not answer" : got.error().reason};
    if (!*got) return {outcome::lost, "the data plane closed the connection"};
  } while (pass_on(answer));  // events come between answers
  if (answer.header.request != head.request) return {outcome::lost, "the data plane answered another request"};
  if (answer.header.type == message_type::ok) return {};
  auto why = answer.as<api::failed>();
  if (answer.header.type != message_type::failed || !why)
    return {outcome::lost, "the data plane sent an answer that is none"};
  return {outcome::refused, std::string(why->reason.view())};
}

template <class Record>
installer::report installer::put_all(message_type type, const std::vector<Record>& records) {
  for (const auto& record : records)
    if (auto answer = put(type, record); !is_installed(answer)) return answer;
  return {};
}

// cppcheck-suppress passedByValue ; its keys are wiped when this returns
installer::report installer::install(compiled wanted) {
  report answer = put(message_type::batch_begin, api::batch_begin{.replace = 1});
  if (is_installed(answer)) answer = put(message_type::put_gateway, wanted.gateway);
  if (is_installed(answer)) answer = put_all(message_type::put_port, wanted.ports);
  if (is_installed(answer)) answer = put_all(message_type::put_route, wanted.routes);
  if (is_installed(answer)) answer = put_all(message_type::put_policy, wanted.policies);
  if (is_installed(answer)) answer = put_all(message_type::put_sa, wanted.sas);
  if (is_installed(answer)) answer = ask(message_type::batch_commit, {});  // must be last
  return answer;
}

}  // namespace trunkgate
