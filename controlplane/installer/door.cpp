#include "controlplane/installer/door.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <deque>
#include <map>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/associated_cancellation_slot.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace trunkgate {

namespace asio = boost::asio;

namespace {

// The data plane answers a put at once and a commit within the time that opening ports and reserving memory takes.
constexpr std::chrono::seconds answer_limit{30};

using answer_handler = asio::any_completion_handler<void(door::answer)>;
using loss_handler = asio::any_completion_handler<void()>;

}  // namespace

door_request& door_request::add(api::message_type type, std::span<const std::uint8_t> body, api::record_kind kind) {
  api::header head;
  head.type = type;
  head.kind = kind;
  head.length = static_cast<std::uint16_t>(body.size());
  std::array<std::uint8_t, api::message_limit> bytes;
  std::memcpy(bytes.data(), &head, sizeof head);
  if (!body.empty()) std::memcpy(bytes.data() + sizeof head, body.data(), body.size());
  messages_.emplace_back(std::span(bytes).first(sizeof head + body.size()));
  wipe(bytes.data(), bytes.size());
  return *this;
}

// Kept alive by what waits for the socket, so that it may be replaced at any time.
class door::connection : public std::enable_shared_from_this<connection> {
 public:
  connection(asio::io_context& loop, api::channel channel, event_function on_event)
      : loop_(loop),
        channel_(std::move(channel)),
        ready_(loop, ::dup(channel_.descriptor())),
        patience_(loop),
        on_event_(std::move(on_event)) {
    ::fcntl(channel_.descriptor(), F_SETFL, ::fcntl(channel_.descriptor(), F_GETFL) | O_NONBLOCK);
  }

  void start() { wait_readable(); }

  void ask(std::vector<secret> messages, answer_handler handler) {
    waiting_.push_back({next_request_, static_cast<std::uint32_t>(messages.size()), 0, {}, std::move(handler)});
    for (auto& message : messages) unsent_.push_back(std::move(message));
    next_request_ += waiting_.back().count;
    if (waiting_.size() == 1) {
      deadline_ = asio::steady_timer::clock_type::now() + answer_limit;
      watch_answers();
    }
    send();
  }
  std::uint64_t on_loss(loss_handler handler) {
    loss_.emplace(++loss_count_, std::move(handler));
    return loss_count_;
  }
  void stop_waiting(std::uint64_t number) {
    if (auto found = loss_.extract(number)) asio::post(loop_, std::move(found.mapped()));
  }

  // Everybody who waits is told.
  void fail(const std::string& why) {
    if (failed_) return;
    failed_ = true;
    boost::system::error_code ignored;
    (void)ready_.close(ignored);
    patience_.cancel();
    unsent_.clear();
    for (auto& one : waiting_) complete(std::move(one.handler), {.what = outcome::lost, .reason = why, .records = {}});
    waiting_.clear();
    for (auto& [number, one] : loss_) asio::post(loop_, std::move(one));
    loss_.clear();
    on_event_ = {};
  }
  [[nodiscard]] bool failed() const { return failed_; }

 private:
  struct waiting {
    std::uint32_t first, count, answered;  // numbers of its messages
    answer so_far;
    answer_handler handler;
  };

  void complete(answer_handler handler, answer done) {
    asio::post(loop_, [handler = std::move(handler), done = std::move(done)]() mutable {
      std::move(handler)(std::move(done));
    });
  }

  void send() {
    while (!failed_ && !sending_ && !unsent_.empty()) {
      const auto bytes = unsent_.front().bytes();
      api::header head;
      std::memcpy(&head, bytes.data(), sizeof head);
      head.request = next_sent_;
      const auto sent = channel_.try_send(head, bytes.subspan(sizeof head), {});
      if (!sent) return fail(sent.error().reason);
      if (!*sent) return wait_writable();
      ++next_sent_;
      unsent_.pop_front();
    }
  }

  void wait_writable() {
    sending_ = true;
    ready_.async_wait(asio::posix::descriptor_base::wait_write,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        self->sending_ = false;
                        if (!error) self->send();
                      });
  }

  void wait_readable() {
    ready_.async_wait(asio::posix::descriptor_base::wait_read,
                      [self = shared_from_this()](const boost::system::error_code& error) {
                        if (!error) self->receive();
                      });
  }

  // What is there, but no more than so much at a time: others use the loop too.
  void receive() {
    constexpr int at_a_time = 64;
    for (int i = 0; i < at_a_time && !failed_; ++i) {
      api::message message;
      errno = 0;
      const auto got = channel_.receive(message);
      if (!got && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
      if (!got) return fail(got.error().reason);
      if (!*got) return fail("the data plane closed the connection");
      take(message);
    }
    if (!failed_) wait_readable();
  }

  void take(const api::message& message) {
    if (message.header.type == api::message_type::event) {
      if (const auto event = message.as<api::event>(); event && on_event_) on_event_(*event);
      return;
    }
    if (waiting_.empty() || message.header.request != waiting_.front().first + waiting_.front().answered)
      return fail("the data plane answered another request");
    auto& first = waiting_.front();
    deadline_ = asio::steady_timer::clock_type::now() + answer_limit;
    switch (message.header.type) {
      case api::message_type::record:
        first.so_far.records.insert(first.so_far.records.end(), message.body.begin(),
                                    message.body.begin() + message.header.length);
        return;
      case api::message_type::ok: break;
      case api::message_type::failed: {
        const auto why = message.as<api::failed>();
        if (!why) return fail("the data plane sent an answer that is none");
        if (first.so_far.what == outcome::done)
          first.so_far = {.what = outcome::refused, .reason = std::string(why->reason.view()), .records = {}};
        break;
      }
      default: return fail("the data plane sent an answer that is none");
    }
    if (++first.answered != first.count) return;
    complete(std::move(first.handler), std::move(first.so_far));
    waiting_.pop_front();
    if (waiting_.empty()) patience_.cancel();
  }

  void watch_answers() {
    patience_.expires_at(deadline_);
    patience_.async_wait([self = shared_from_this()](const boost::system::error_code& error) {
      if (error || self->waiting_.empty()) return;
      if (asio::steady_timer::clock_type::now() >= self->deadline_) return self->fail("the data plane does not answer");
      self->watch_answers();
    });
  }

  asio::io_context& loop_;
  api::channel channel_;
  asio::posix::stream_descriptor ready_;
  asio::steady_timer patience_;
  asio::steady_timer::time_point deadline_;
  event_function on_event_;
  std::deque<secret> unsent_;
  std::deque<waiting> waiting_;
  std::map<std::uint64_t, loss_handler> loss_;  // by a number of their own
  std::uint64_t loss_count_ = 0;
  std::uint32_t next_request_ = 1, next_sent_ = 1;
  bool sending_ = false, failed_ = false;
};

door::door(asio::io_context& loop, std::string socket_path) : loop_(loop), socket_path_(std::move(socket_path)) {}

door::~door() { close(); }

result<void> door::open() {
  close();
  auto channel = api::channel::connect(socket_path_);
  if (!channel) return std::unexpected(channel.error());
  connection_ = std::make_shared<connection>(loop_, std::move(*channel), on_event_);
  connection_->start();
  return {};
}

bool door::is_open() const { return connection_ != nullptr && !connection_->failed(); }

void door::close() {
  if (connection_ != nullptr) connection_->fail("the connection to the data plane was closed");
  connection_.reset();
}

asio::awaitable<door::answer> door::ask(door_request request) {
  if (!is_open()) co_return answer{.what = outcome::lost, .reason = "the data plane is not there", .records = {}};
  const auto here = connection_;
  co_return co_await asio::async_initiate<decltype(asio::use_awaitable), void(answer)>(
      [&here, &request](auto handler) { here->ask(std::move(request.messages_), answer_handler(std::move(handler))); },
      asio::use_awaitable);
}

// Whoever waits for something else as well may stop waiting for this.
asio::awaitable<void> door::lost() {
  if (!is_open()) co_return;
  const auto here = connection_;
  co_await asio::async_initiate<decltype(asio::use_awaitable), void()>(
      [&here](auto handler) {
        auto slot = asio::get_associated_cancellation_slot(handler);
        const auto number = here->on_loss(loss_handler(std::move(handler)));
        if (slot.is_connected())
          slot.assign([weak = std::weak_ptr(here), number](asio::cancellation_type) {
            if (const auto still = weak.lock()) still->stop_waiting(number);
          });
      },
      asio::use_awaitable);
}

}  // namespace trunkgate
