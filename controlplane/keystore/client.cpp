// The socket is used without blocking from the executor's thread: a request is written at once where the socket takes
// it, and answers are read as they come, so a call costs two system calls and no waiting for other calls.
#include "controlplane/keystore/client.hpp"

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <utility>

#include <boost/asio/any_completion_handler.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/local/seq_packet_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "controlplane/keystore/wire.hpp"

namespace trunkgate {

namespace {

namespace asio = boost::asio;
namespace wire = keystore_wire;
using asio::awaitable;
using protocol = asio::local::seq_packet_protocol;
using clock = std::chrono::steady_clock;

// A key process that is stopped or stuck must not hold an exchange up for ever.
constexpr std::chrono::seconds patience{10};
constexpr std::size_t waiting_limit = 4096;

// What an answer brought. The parts are wiped when they go: some are keys.
struct outcome {
  bool ok = false;
  std::string reason;
  std::array<secret, wire::part_count> parts;
};

outcome failed(std::string reason) { return {.ok = false, .reason = std::move(reason), .parts = {}}; }

// One connection, shared with its handlers that are under way.
class connection : public std::enable_shared_from_this<connection> {
 public:
  connection(const asio::any_io_executor& executor, std::string path)
      : executor_(executor),
        path_(std::move(path)),
        socket_(executor),
        timer_(executor),
        buffer_(wire::message_limit) {}

  awaitable<outcome> call(wire::request request) {
    request.number = next_number();
    auto message = wire::encode(request);
    if (!message) co_return failed(message.error().reason);
    if (waiting_.size() >= waiting_limit) co_return failed("too many requests wait for the key process");
    if (auto ready = connect(); !ready) co_return failed(ready.error().reason);
    const auto number = request.number;
    co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(outcome)>(
        [this, number](auto handler, std::vector<std::uint8_t> bytes) {
          waiting_.emplace(number, waiter{std::move(handler), clock::now() + patience});
          if (waiting_.size() == 1) watch_time();
          unsent_.push_back(std::move(bytes));
          if (unsent_.size() == 1) send_what_fits();
        },
        asio::use_awaitable, std::move(*message));
  }

  void close(const std::string& why) {
    boost::system::error_code ignored;
    ignored = socket_.close(ignored);  // ends the waits of an earlier connection, which the generation tells apart
    ++generation_;
    connected_ = false;
    timer_.cancel();
    for (auto& bytes : unsent_) wipe(bytes.data(), bytes.size());
    unsent_.clear();
    for (auto& [number, one] : std::exchange(waiting_, {})) finish(std::move(one.handler), failed(why));
  }

 private:
  using handler_type = asio::any_completion_handler<void(outcome)>;
  struct waiter {
    handler_type handler;
    clock::time_point until;
  };

  // 0 is the number of a message that could not be read.
  std::uint32_t next_number() {
    do ++last_number_;
    while (last_number_ == 0 || waiting_.contains(last_number_));
    return last_number_;
  }

  // Later, not here: whoever waits may call again, or destroy the client.
  void finish(handler_type handler, outcome what) {
    asio::post(executor_, [handler = std::move(handler), what = std::move(what)]() mutable {
      std::move(handler)(std::move(what));
    });
  }

  // At once: a Unix socket's other end is there or not.
  result<void> connect() {
    if (connected_) return {};
    boost::system::error_code wrong;
    socket_ = protocol::socket(executor_);
    wrong = socket_.open(protocol(), wrong);
    if (!wrong) wrong = socket_.non_blocking(true, wrong);
    if (!wrong)
      wrong = socket_.set_option(asio::socket_base::send_buffer_size(2 * static_cast<int>(wire::message_limit)), wrong);
    if (!wrong && path_.size() >= 108) return failure("the key process's socket has too long a path: " + path_);
    if (!wrong) wrong = socket_.connect(protocol::endpoint(path_), wrong);
    if (wrong)
      return failure("the key process can't be reached at " + path_ + ": " + wrong.message() +
                     " (does trunkgate-keystore run?)");
    connected_ = true;
    wait_for_answers();
    return {};
  }

  void send_what_fits() {
    while (!unsent_.empty()) {
      auto& bytes = unsent_.front();
      if (::send(socket_.native_handle(), bytes.data(), bytes.size(), MSG_NOSIGNAL) < 0) {
        if (errno == EINTR) continue;
        if (errno != EAGAIN) return close("the key process went away: " + system_failure("send").error().reason);
        return socket_.async_wait(protocol::socket::wait_write,
                                  [self = shared_from_this(), now = generation_](boost::system::error_code) {
                                    if (now == self->generation_) self->send_what_fits();
                                  });
      }
      wipe(bytes.data(), bytes.size());
      unsent_.pop_front();
    }
  }

  void wait_for_answers() {
    socket_.async_wait(protocol::socket::wait_read,
                       [self = shared_from_this(), now = generation_](boost::system::error_code) {
                         if (now == self->generation_) self->read_answers();
                       });
  }

  void read_answers() {
    for (;;) {
      const auto got = ::recv(socket_.native_handle(), buffer_.data(), buffer_.size(), MSG_TRUNC | MSG_DONTWAIT);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0 && errno == EAGAIN) return wait_for_answers();
      if (got <= 0) return close("the key process went away");
      const auto size = static_cast<std::size_t>(got);
      if (size > buffer_.size()) return close("the key process sent a message that is too long");
      const bool understood = take(std::span(buffer_).first(size));
      wipe(buffer_.data(), size);
      if (!understood) return;
    }
  }

  bool take(std::span<const std::uint8_t> message) {
    auto answer = wire::parse_answer(message);
    if (!answer) {
      close("the key process sent " + answer.error().reason);
      return false;
    }
    auto one = waiting_.extract(answer->number);
    if (one.empty()) return true;
    outcome what{.ok = answer->ok, .reason = {}, .parts = {}};
    if (answer->ok)
      for (std::size_t i = 0; i < wire::part_count; ++i) what.parts[i] = secret(answer->parts[i]);
    else
      what.reason.assign(answer->parts[0].begin(), answer->parts[0].end());
    finish(std::move(one.mapped().handler), std::move(what));
    if (waiting_.empty()) timer_.cancel();
    return true;
  }

  // Answers come in the requests' order, so the oldest is the one with the lowest number but for the wrap: any will do.
  void watch_time() {
    timer_.expires_after(patience);
    timer_.async_wait([self = shared_from_this(), now = generation_](boost::system::error_code cancelled) {
      if (cancelled || now != self->generation_ || self->waiting_.empty()) return;
      for (const auto& [number, one] : self->waiting_)
        if (one.until <= clock::now())
          return self->close("the key process did not answer for " + std::to_string(patience.count()) + " s");
      self->watch_time();
    });
  }

  asio::any_io_executor executor_;
  std::string path_;
  protocol::socket socket_;
  asio::steady_timer timer_;
  std::vector<std::uint8_t> buffer_;
  std::map<std::uint32_t, waiter> waiting_;
  std::deque<std::vector<std::uint8_t>> unsent_;
  std::uint32_t last_number_ = 0;
  std::uint64_t generation_ = 0;  // of the connection: a handler of an older one does nothing
  bool connected_ = false;
};

class socket_keystore final : public keystore {
 public:
  socket_keystore(const asio::any_io_executor& executor, std::string path)
      : connection_(std::make_shared<connection>(executor, std::move(path))) {}
  ~socket_keystore() override { connection_->close("the connection to the key process was closed"); }
  socket_keystore(const socket_keystore&) = delete;
  socket_keystore& operator=(const socket_keystore&) = delete;

  awaitable<result<bytes>> public_key(const key_reference& key) override {
    co_return first_part(co_await ask({.type = wire::message_type::public_key, .key = key}));
  }
  awaitable<result<bytes>> sign(const key_reference& key, signature_scheme scheme, byte_view octets) override {
    co_return first_part(co_await ask(
        {.type = wire::message_type::sign, .key = key, .scheme = scheme, .parts = {octets, byte_view(), byte_view()}}));
  }
  awaitable<result<secret>> psk_auth(const key_reference& key, std::uint16_t prf, byte_view octets) override {
    auto got = co_await ask(
        {.type = wire::message_type::psk_auth, .key = key, .prf = prf, .parts = {octets, byte_view(), byte_view()}});
    if (!got.ok) co_return failure(got.reason);
    co_return std::move(got.parts[0]);
  }
  awaitable<result<mixed_keys>> mix_ppk(const key_reference& key, std::uint16_t prf, byte_view sk_d, byte_view sk_pi,
                                        byte_view sk_pr) override {
    auto got =
        co_await ask({.type = wire::message_type::mix_ppk, .key = key, .prf = prf, .parts = {sk_d, sk_pi, sk_pr}});
    if (!got.ok) co_return failure(got.reason);
    co_return mixed_keys{.d = std::move(got.parts[0]), .pi = std::move(got.parts[1]), .pr = std::move(got.parts[2])};
  }
  awaitable<result<void>> reload() override {
    auto got = co_await ask({.type = wire::message_type::reload});
    if (!got.ok) co_return failure(got.reason);
    co_return result<void>();
  }

 private:
  // A copy of the pointer lives in the coroutine: this object may go while it waits.
  [[nodiscard]] awaitable<outcome> ask(wire::request request) const {
    const auto kept = connection_;
    co_return co_await kept->call(std::move(request));
  }
  static result<bytes> first_part(const outcome& got) {
    if (!got.ok) return failure(got.reason);
    const auto part = got.parts[0].bytes();
    return bytes(part.begin(), part.end());
  }

  std::shared_ptr<connection> connection_;
};

}  // namespace

std::unique_ptr<keystore> connect_keystore(const asio::any_io_executor& executor, std::string socket_path) {
  return std::make_unique<socket_keystore>(executor, std::move(socket_path));
}

}  // namespace trunkgate
