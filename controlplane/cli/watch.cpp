#include "controlplane/cli/watch.hpp"

#include <poll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <charconv>
#include <chrono>
#include <csignal>
#include <iostream>

#include "dataplane/api/run_directory.hpp"

namespace trunkgate {

namespace {

constexpr int idle_ms = 20;
constexpr auto ending_limit = std::chrono::seconds(2);

// Ctrl-C ends the watch in good order instead of this process at once.
class end_signals {
 public:
  end_signals() {
    sigset_t ending;
    sigemptyset(&ending);
    sigaddset(&ending, SIGINT);
    sigaddset(&ending, SIGTERM);
    sigprocmask(SIG_BLOCK, &ending, nullptr);
    descriptor_ = ::signalfd(-1, &ending, SFD_CLOEXEC);
  }
  ~end_signals() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  end_signals(const end_signals&) = delete;
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  int descriptor_ = -1;
};

// Nothing: the watch is over. Else whether the reader wants more.
result<std::optional<bool>> take_message(api::channel& channel, const watch_reader& reader, bool wanted,
                                         std::uint64_t& lost) {
  api::message answer;
  auto got = channel.receive(answer);
  if (!got) return std::unexpected(got.error());
  if (!*got) return failure("the data plane ended");
  if (answer.header.type == api::message_type::ok) return std::nullopt;
  if (answer.header.type != api::message_type::record) return failure("the data plane sent an answer that is none");
  auto front = answer.as_front<api::watched>();
  if (!front) return std::unexpected(front.error());
  const auto& [record, bytes] = *front;
  if (record.captured > bytes.size()) return failure("the data plane sent a packet that is shorter than it says");
  lost = record.lost;
  if (record.event == watch_event::ended || !wanted) return wanted;
  return reader.take(record, bytes.first(record.captured));
}

}  // namespace

result<watch_words> parse_watch_words(std::span<const std::string> words) {
  watch_words out;
  for (std::size_t i = 0; i < words.size(); i += 2) {
    const auto& word = words[i];
    const bool known = word == "tunnel" || word == "from" || word == "to" || word == "count";
    if (!known) return failure("\"" + word + "\" is none of tunnel, from, to, count");
    if (i + 1 == words.size()) return failure("something has to follow \"" + word + "\"");
    const auto& value = words[i + 1];
    if (word == "tunnel") {
      out.tunnel = value;
    } else if (word == "count") {
      std::uint32_t count = 0;
      const auto [end, code] = std::from_chars(value.data(), value.data() + value.size(), count);
      if (code != std::errc() || end != value.data() + value.size() || count == 0)
        return failure("\"" + value + "\" is no number of packets");
      out.count = count;
    } else {
      auto prefix = parse_ip_prefix(value);
      if (!prefix) return std::unexpected(prefix.error());
      (word == "from" ? out.from : out.to) = prefix->masked();
    }
  }
  const bool addresses = out.from.address.family != ip_family::none || out.to.address.family != ip_family::none;
  if (!out.tunnel.empty() && addresses) return failure("either a tunnel or addresses");
  if (out.from.address.family != ip_family::none && out.to.address.family != ip_family::none &&
      out.from.address.family != out.to.address.family)
    return failure("from and to are of different address families");
  return out;
}

result<std::uint64_t> watch_packets(api::channel& channel, const api::watch_request& request,
                                    std::string_view announced, const watch_reader& reader) {
  const end_signals signals;
  if (auto on = channel.request(api::message_type::watch, request); !on) return std::unexpected(on.error());
  std::cerr << announced << std::endl;
  std::uint64_t lost = 0;
  bool wanted = true, ending = false;
  std::chrono::steady_clock::time_point end_by;
  for (;;) {
    pollfd waits[] = {{.fd = channel.descriptor(), .events = POLLIN, .revents = 0},
                      {.fd = signals.descriptor(), .events = static_cast<short>(ending ? 0 : POLLIN), .revents = 0},
                      {.fd = ending ? -1 : reader.output, .events = 0, .revents = 0}};
    ::poll(waits, std::size(waits), idle_ms);
    bool more = wanted && (waits[1].revents & POLLIN) == 0 && (waits[2].revents & POLLERR) == 0;
    if (waits[0].revents != 0) {
      auto taken = take_message(channel, reader, wanted, lost);
      if (!taken) return std::unexpected(taken.error());
      if (!*taken) return lost;
      wanted = **taken;
    }
    if (wanted) wanted = reader.idle();
    more = more && wanted;
    if (!more && !ending) {
      ending = true;
      end_by = std::chrono::steady_clock::now() + ending_limit;
      if (auto sent = channel.send({.type = api::message_type::unwatch, .request = 1}, {}); !sent)
        return std::unexpected(sent.error());
    }
    if (ending && std::chrono::steady_clock::now() > end_by) return lost;
  }
}

result<api::channel> connect_to_data_plane(const arguments& given) {
  auto channel =
      api::channel::connect(given.value("socket", api::socket_in(api::run_directory(given.value("run-dir")))));
  if (!channel) return failure(channel.error().reason + "; is it running? (trunkgate run)");
  return channel;
}

}  // namespace trunkgate
