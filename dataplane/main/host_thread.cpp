#include "dataplane/main/host_thread.hpp"

#include <sys/epoll.h>
#include <unistd.h>

#include "drivers/port/eal.hpp"

namespace trunkgate {
namespace {

constexpr unsigned burst = 64;
constexpr int wait_ms = 200;
constexpr std::uint32_t wake_mark = 0xffff'ffff;  // beside port numbers in epoll's data

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
    present_changes_.store(~std::uint64_t{0});  // whoever waits for this thread need not any more
    present_changes_.notify_all();
  });
}

host_thread::~host_thread() {
  stop_.store(true);
  pipeline_.host_wake.wake();
  thread_.join();
  if (poll_ >= 0) ::close(poll_);
}

void host_thread::set_tap(std::uint16_t port, std::shared_ptr<tap_device> tap) {
  std::uint64_t change = 0;
  {
    const std::lock_guard lock(mutex_);
    taps_[port] = std::move(tap);
    change = changes_.fetch_add(1, std::memory_order_release) + 1;
  }
  pipeline_.host_wake.wake();
  for (auto taken = present_changes_.load(); taken < change; taken = present_changes_.load())
    present_changes_.wait(taken);
}

void host_thread::run() {
  take_over_taps();
  while (!stop_.load()) {
    if (changes_.load(std::memory_order_acquire) != present_changes_) take_over_taps();
    read_taps(write_punted());
  }
}

void host_thread::take_over_taps() {
  std::uint64_t taken = 0;
  {
    const std::lock_guard lock(mutex_);
    taken = changes_.load();
    present_ = taps_;
  }
  if (poll_ >= 0) ::close(poll_);
  poll_ = ::epoll_create1(EPOLL_CLOEXEC);
  const auto add = [this](int descriptor, std::uint32_t mark) {
    epoll_event event{.events = EPOLLIN, .data = {.u32 = mark}};
    ::epoll_ctl(poll_, EPOLL_CTL_ADD, descriptor, &event);
  };
  add(pipeline_.host_wake.descriptor(), wake_mark);
  for (std::uint16_t port = 0; port < port_limit; ++port)
    if (present_[port] != nullptr) add(present_[port]->descriptor(), port);
  present_changes_.store(taken);
  present_changes_.notify_all();
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

bool host_thread::write_punted() {
  std::array<rte_mbuf*, burst> frames;
  const unsigned count = pipeline_.take_punted(frames);
  for (unsigned i = 0; i < count; ++i) {
    const auto* tap = present_[meta(frames[i]).ingress].get();
    if (tap == nullptr || !write_frame(*tap, frames[i]))
      drops[static_cast<std::size_t>(drop_reason::punt_ring_full)].add(1);
    rte_pktmbuf_free(frames[i]);
  }
  return count != 0;
}

void host_thread::read_taps(bool busy) {
  bool work = busy;
  if (!busy) {
    pipeline_.host_wake.announce();
    work = stop_.load() || changes_.load(std::memory_order_acquire) != present_changes_;
    for (const auto& worker : pipeline_.workers()) work = work || worker->punted.count() != 0;
  }
  std::array<epoll_event, burst> ready;
  const int count = ::epoll_wait(poll_, ready.data(), static_cast<int>(ready.size()), work ? 0 : wait_ms);
  if (!busy) pipeline_.host_wake.woke();
  for (int i = 0; i < count; ++i)
    if (const auto port = ready[static_cast<std::size_t>(i)].data.u32; port != wake_mark)
      read_tap(*present_[port], static_cast<std::uint16_t>(port));
}

}  // namespace trunkgate
