#include "dataplane/main/host_thread.hpp"

#include <poll.h>

#include "drivers/port/eal.hpp"

namespace trunkgate {
namespace {

constexpr unsigned burst = 64;
constexpr int wait_ms = 200;

bool write_frame(const tap_device& tap, const rte_mbuf* frame) {
  if (frame->nb_segs == 1)
    return tap.write({rte_pktmbuf_mtod(frame, const std::uint8_t*), rte_pktmbuf_data_len(frame)});
  std::vector<std::uint8_t> whole(rte_pktmbuf_pkt_len(frame));  // a large datagram that came in fragments
  const auto* bytes = rte_pktmbuf_read(frame, 0, static_cast<std::uint32_t>(whole.size()), whole.data());
  return tap.write({static_cast<const std::uint8_t*>(bytes), whole.size()});
}

}  // namespace

host_thread::host_thread(pipeline& workers) : pipeline_(workers) {
  thread_ = std::thread([this] {
    if (register_thread()) run();
  });
}

host_thread::~host_thread() {
  stop_.store(true);
  pipeline_.host_wake.wake();
  thread_.join();
}

void host_thread::set_tap(std::uint16_t port, std::shared_ptr<tap_device> tap) {
  {
    const std::lock_guard lock(mutex_);
    taps_[port] = std::move(tap);
  }
  pipeline_.host_wake.wake();
}

void host_thread::run() {
  while (!stop_.load()) {
    taps now;
    {
      const std::lock_guard lock(mutex_);
      now = taps_;
    }
    const bool busy = write_punted(now);
    for (std::uint16_t port = 0; port < port_limit; ++port)
      if (now[port] != nullptr) read_tap(*now[port], port);
    if (!busy) wait(now);
  }
}

void host_thread::read_tap(const tap_device& tap, std::uint16_t port) {
  for (unsigned i = 0; i < burst; ++i) {
    auto* frame = rte_pktmbuf_alloc(pipeline_.options().pool);
    if (frame == nullptr) {
      // Taken and lost, not left: a frame that stays in the TAP would keep this thread awake.
      std::array<std::uint8_t, 1> lost;
      if (tap.read(lost) == 0) return;
      drops[static_cast<std::size_t>(drop_reason::mempool_empty)].add(1);
      continue;
    }
    const std::size_t size = tap.read({rte_pktmbuf_mtod(frame, std::uint8_t*), rte_pktmbuf_tailroom(frame)});
    if (size == 0) {
      rte_pktmbuf_free(frame);
      return;
    }
    rte_pktmbuf_append(frame, static_cast<std::uint16_t>(size));
    from_box[port].add(1);
    if (!pipeline_.inject(frame, port)) {
      drops[static_cast<std::size_t>(drop_reason::punt_ring_full)].add(1);
      rte_pktmbuf_free(frame);
    }
  }
}

bool host_thread::write_punted(const taps& now) {
  std::array<rte_mbuf*, burst> frames;
  const unsigned count = pipeline_.take_punted(frames);
  for (unsigned i = 0; i < count; ++i) {
    const auto* tap = now[meta(frames[i]).ingress].get();
    if (tap == nullptr || !write_frame(*tap, frames[i]))
      drops[static_cast<std::size_t>(drop_reason::punt_ring_full)].add(1);
    rte_pktmbuf_free(frames[i]);
  }
  return count != 0;
}

void host_thread::wait(const taps& now) {
  std::array<pollfd, port_limit + 1> waits;
  nfds_t count = 0;
  waits[count++] = {.fd = pipeline_.host_wake.descriptor(), .events = POLLIN, .revents = 0};
  for (const auto& tap : now)
    if (tap != nullptr) waits[count++] = {.fd = tap->descriptor(), .events = POLLIN, .revents = 0};
  pipeline_.host_wake.announce();
  bool work = stop_.load();
  for (const auto& worker : pipeline_.workers()) work = work || worker->punted.count() != 0;
  if (!work) ::poll(waits.data(), count, wait_ms);
  pipeline_.host_wake.woke();
}

}  // namespace trunkgate
