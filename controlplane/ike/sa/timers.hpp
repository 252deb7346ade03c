// Many timers on one clock, which is the daemon's monotonic one or a test's.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <utility>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace trunkgate::ike {

using timer_clock = std::chrono::steady_clock;

class timer;

// One thread. What is due runs in run_due(), in order of time.
class timers {
 public:
  // Holds an object and a weak pointer without an allocation: there are several for every tunnel.
  using function = std::move_only_function<void()>;
  using key = std::pair<timer_clock::time_point, std::uint64_t>;

  // `changed` is called when the earliest time may have changed.
  explicit timers(std::function<void()> changed = {}) : changed_(std::move(changed)) {}
  timers(const timers&) = delete;
  timers& operator=(const timers&) = delete;
  ~timers();

  key at(timer_clock::time_point when, function run) { return add(when, {.run = std::move(run), .owner = nullptr}); }
  key at(timer_clock::time_point when, function run, timer& owner) {
    return add(when, {.run = std::move(run), .owner = &owner});
  }
  void cancel(const key& which);  // one that ran or was cancelled is no error
  [[nodiscard]] std::optional<timer_clock::time_point> next() const;
  void run_due(timer_clock::time_point now);
  [[nodiscard]] std::size_t size() const { return waiting_.size(); }

 private:
  struct entry {
    function run;
    timer* owner = nullptr;  // is told before it runs
  };
  key add(timer_clock::time_point when, entry what);

  std::map<key, entry> waiting_;
  std::uint64_t count_ = 0;
  std::function<void()> changed_;
};

// A timer that goes with its owner.
class timer {
 public:
  timer() = default;
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  ~timer() { cancel(); }

  void set(timers& clock, timer_clock::time_point when, timers::function run) {
    cancel();
    clock_ = &clock;
    key_ = clock.at(when, std::move(run), *this);
  }
  void cancel() {
    if (clock_ != nullptr) std::exchange(clock_, nullptr)->cancel(key_);
  }
  [[nodiscard]] bool waiting() const { return clock_ != nullptr; }
  [[nodiscard]] timer_clock::time_point when() const { return key_.first; }  // only while it waits

 private:
  friend class timers;
  timers* clock_ = nullptr;
  timers::key key_;
};

// Something that one coroutine waits for and another piece of the loop says once. The coroutine goes on from the loop,
// never within say().
template <class Value>
class answer_slot {
 public:
  explicit answer_slot(boost::asio::any_io_executor loop) : loop_(std::move(loop)) {}

  [[nodiscard]] boost::asio::awaitable<Value> wait() {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void(Value)>(
        [this](auto handler) { handler_ = std::move(handler); }, boost::asio::use_awaitable);
  }
  void say(Value value) {
    if (!handler_) return;
    boost::asio::post(loop_, [handler = std::exchange(handler_, nullptr), value = std::move(value)]() mutable {
      std::move(handler)(std::move(value));
    });
  }

 private:
  boost::asio::any_io_executor loop_;
  boost::asio::any_completion_handler<void(Value)> handler_;
};

}  // namespace trunkgate::ike
