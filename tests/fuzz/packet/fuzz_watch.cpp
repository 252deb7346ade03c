// Hostile frames through a worker that is watched: by a trace or a capture, with a filter or without. The first byte
// says which; the rest is a list of frames, each behind one byte for the port and two for its length.
#include <algorithm>
#include <cstdlib>

#include "dataplane/packet/watch_filter.hpp"
#include "tests/fuzz/packet/settle.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::test;

little_gateway& gateway() {
  static auto* made = [] {
    auto* g = new little_gateway;
    g->add_outbound(sa_between(api::sa_direction::outbound, esp_suite::aes256gcm16, 0x1000));
    g->add_inbound(sa_between(api::sa_direction::inbound, esp_suite::aes256gcm16, 0x2000));
    g->add_rule("10.1.0.0/16", "10.5.0.0/16", api::policy_action::bypass);
    g->add_rule("10.1.0.0/16", "10.1.0.1/32", api::policy_action::bypass);
    g->tables().ports[inside].mtu = 1280;
    return g;
  }();
  return *made;
}

void check(bool held) {
  if (!held) std::abort();
}

constexpr std::uint32_t captured = 512;

watch_options options_from(std::uint8_t choice) {
  watch_options options;
  options.capture = (choice & 1) != 0;
  options.wire = (choice & 2) != 0;
  options.inner = (choice & 4) != 0;
  options.limit = 200;
  options.captured = captured;
  if ((choice & 8) != 0) {
    options.filter.pairs[0].one = *parse_ip_prefix("10.0.0.0/8");
    options.filter.pairs[1].other = *parse_ip_prefix("fd00::/8");
    options.filter.count = 2;
  }
  return options;
}

// What a record says fits itself.
void judge(watch& watching, const watch_options& options) {
  auto& ring = watching.of(0).ring;
  for (const auto* record = ring.front(); record != nullptr; record = ring.front()) {
    check(record->trace_id != 0);
    check(record->captured <= record->length && record->captured <= (options.capture ? captured : 0));
    check(static_cast<std::size_t>(record->stage) < stage_count && record->path < path_count);
    check((record->event == watch_event::dropped) <= (record->drop != drop_reason::none));
    ring.pop();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  auto& g = gateway();
  const auto options = options_from(data[0]);
  auto watching = watch::make(options, 1);
  check(watching.has_value());
  g.workers().publish(watching->get());
  for (std::size_t at = 1; at + 3 < size;) {
    const std::uint16_t port = (data[at] & 1) != 0 ? outside : inside;
    const std::size_t wanted = static_cast<std::size_t>(data[at + 1]) << 8 | data[at + 2];
    at += 3;
    const std::size_t length = std::min({wanted, size - at, std::size_t{1518}});
    if (length != 0) {
      const bytes frame(data + at, data + at + length);  // of the exact size: one byte too far is seen
      (void)addresses_of_frame(frame);
      (void)addresses_of_ip(frame);
      g.receive_frame(port, frame);
    }
    at += length;
  }
  g.run();
  for (const std::uint16_t port : {inside, outside}) (void)g.sent_frames(port);
  settle(g);
  judge(**watching, options);
  g.workers().publish(nullptr);
  g.run();
  return 0;
}
