#include "controlplane/cli/trace.hpp"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <iostream>

#include "controlplane/cli/text.hpp"
#include "controlplane/cli/watch.hpp"

namespace trunkgate {

namespace {

// Parts of a packet that was cut end one after the other. A neighbour's address is waited for 1.5 seconds, fragments
// for two.
constexpr std::uint64_t quiet_ms = 60, give_up_ms = 3000;

bool is_end(const api::watched& record) {
  return record.event == watch_event::sent || record.event == watch_event::punted ||
         record.event == watch_event::dropped;
}

std::uint64_t now_ms() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::milliseconds(1));
}

}  // namespace

void trace_collector::take(const api::watched& record, std::uint64_t now_ms) {
  if (record.event == watch_event::begun) open_.push_back({.number = ++begun_, .records = {}});
  // Ids may come again in a later trace, but not in one.
  const auto packet = std::ranges::find_if(
      open_, [&](const traced_packet& p) { return p.records.empty() || p.records.front().packet == record.packet; });
  if (packet == open_.end()) return;  // its beginning was lost
  packet->records.push_back(record);
  packet->last_seen_ms = now_ms;
}

std::vector<traced_packet> trace_collector::finished(std::uint64_t now_ms, bool all) {
  std::vector<traced_packet> out;
  std::erase_if(open_, [&](traced_packet& packet) {
    const auto quiet = now_ms - packet.last_seen_ms;
    const bool ended = std::ranges::any_of(packet.records, is_end);
    if (!all && !(ended && quiet >= quiet_ms) && quiet < give_up_ms) return false;
    // Workers are heard one after the other.
    std::ranges::stable_sort(packet.records, {}, &api::watched::unix_ns);
    out.push_back(std::move(packet));
    return true;
  });
  return out;
}

int run_trace(const arguments& given) {
  const auto fail = [](const std::string& reason) {
    std::cerr << "trunkgate trace: " << reason << "\n";
    return exit_failed;
  };
  auto words = parse_watch_words(given.words);
  if (!words) return fail(words.error().reason + " (trunkgate help trace)");
  api::watch_request request;
  request.mode = api::watch_mode::trace;
  request.tunnel = api::name(words->tunnel);
  request.from = words->from;
  request.to = words->to;
  request.count = words->count.value_or(request.count);
  if (request.count > api::trace_limit)
    return fail("at most " + std::to_string(api::trace_limit) + " packets at a time");
  auto channel = connect_to_data_plane(given);
  if (!channel) return fail(channel.error().reason);

  std::signal(SIGPIPE, SIG_IGN);  // a reader that goes ends the trace, in good order
  trace_collector collector;
  std::uint32_t shown = 0;
  const auto show = [&](bool all) {
    for (const auto& packet : collector.finished(now_ms(), all)) {
      ++shown;
      if (given.has("json"))
        std::cout << trace_object(packet).dump(-1, ' ', false, json_object::error_handler_t::replace) << std::endl;
      else
        std::cout << trace_text(packet) << std::endl;
    }
    return shown < request.count && std::cout.good();
  };
  const watch_reader reader{.take =
                                [&](const api::watched& record, std::span<const std::uint8_t>) {
                                  collector.take(record, now_ms());
                                  return true;
                                },
                            .idle = [&] { return show(false); },
                            .output = STDOUT_FILENO};
  const auto lost = watch_packets(*channel, request, "trunkgate trace: waiting for packets; Ctrl-C ends it", reader);
  if (!lost) return fail(lost.error().reason);
  (void)show(true);
  if (*lost != 0) std::cerr << "trunkgate trace: " << *lost << " records were lost: the packets came too fast\n";
  return exit_well;
}

}  // namespace trunkgate
