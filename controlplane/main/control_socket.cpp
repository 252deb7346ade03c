#include "controlplane/main/control_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <chrono>
#include <set>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>

namespace trunkgate {

namespace asio = boost::asio;

namespace {

using namespace std::chrono_literals;
using stream = asio::local::stream_protocol;
using answer = nlohmann::ordered_json;
constexpr auto without_exceptions = asio::as_tuple(asio::use_awaitable);
constexpr std::chrono::seconds idle_limit = 5min, write_limit = 30s;
constexpr auto pause_without_descriptors = 100ms;

answer error_answer(std::string_view reason) { return {{"error", reason}}; }

// A bug of ours ends the daemon, which its supervisor starts anew.
void rethrow(const std::exception_ptr& thrown) {
  if (thrown) std::rethrow_exception(thrown);
}

struct client {
  explicit client(stream::socket accepted) : socket(std::move(accepted)), patience(socket.get_executor()) {}

  // Cut off unless it is done by then.
  void allow(std::chrono::steady_clock::duration time) {
    patience.expires_after(time);
    patience.async_wait([this](const boost::system::error_code& stopped) {
      if (!stopped) cut();
    });
  }
  void cut() {
    boost::system::error_code ignored;
    (void)socket.close(ignored);
  }

  [[nodiscard]] std::int64_t uid() {
    ucred who{};
    socklen_t size = sizeof who;
    if (::getsockopt(socket.native_handle(), SOL_SOCKET, SO_PEERCRED, &who, &size) != 0) return -1;
    return who.uid;
  }

  stream::socket socket;
  asio::steady_timer patience;
};

}  // namespace

result<nlohmann::json> parse_control_request(std::string_view line) {
  bool too_deep = false;
  const auto depth = [&too_deep](int now, nlohmann::json::parse_event_t, nlohmann::json&) {
    too_deep |= now > control_depth_limit;
    return !too_deep;
  };
  auto request = nlohmann::json::parse(line, depth, false);
  if (too_deep) return failure("the request is nested too deep");
  if (!request.is_object() || !request.contains("verb") || !request["verb"].is_string())
    return failure("the request is no JSON object with a \"verb\"");
  return request;
}

class control_socket::door : public std::enable_shared_from_this<door> {
 public:
  door(asio::io_context& loop, std::string path, control_verb_table verbs)
      : loop_(loop), acceptor_(loop), path_(std::move(path)), verbs_(std::move(verbs)) {}

  result<void> open() {
    sockaddr_un address{};
    if (path_.size() >= sizeof address.sun_path) return failure("socket path too long: " + path_);
    ::unlink(path_.c_str());
    boost::system::error_code error;
    (void)acceptor_.open(stream(), error);
    const mode_t old = ::umask(0117);
    if (!error) (void)acceptor_.bind(stream::endpoint(path_), error);
    ::umask(old);
    if (!error) (void)acceptor_.listen(asio::socket_base::max_listen_connections, error);
    if (error) return failure("listen at " + path_ + ": " + error.message());
    asio::co_spawn(loop_, accept_all(shared_from_this()), rethrow);
    return {};
  }

  void close() {
    boost::system::error_code ignored;
    (void)acceptor_.close(ignored);
    for (auto* one : clients_) one->cut();
    ::unlink(path_.c_str());
  }

 private:
  static asio::awaitable<void> accept_all(std::shared_ptr<door> self) {
    for (;;) {
      auto [error, socket] = co_await self->acceptor_.async_accept(without_exceptions);
      if (!self->acceptor_.is_open()) co_return;
      if (error) {
        asio::steady_timer pause(self->loop_, pause_without_descriptors);
        (void)co_await pause.async_wait(without_exceptions);
        continue;
      }
      if (self->clients_.size() < control_client_limit) {
        asio::co_spawn(self->loop_, serve(self, std::move(socket)), rethrow);
        continue;
      }
      // It fits into the empty buffer of a new socket: nobody waits.
      const auto text = error_answer("too many operators are connected; try again").dump() + "\n";
      boost::system::error_code ignored;
      (void)socket.non_blocking(true, ignored);
      (void)socket.write_some(asio::buffer(text), ignored);
    }
  }

  static asio::awaitable<void> serve(std::shared_ptr<door> self, stream::socket socket) {
    client one(std::move(socket));
    self->clients_.insert(&one);
    std::string received;
    for (;;) {
      one.allow(idle_limit);
      const auto [error, size] = co_await asio::async_read_until(
          one.socket, asio::dynamic_buffer(received, control_request_limit), '\n', without_exceptions);
      if (error && error != asio::error::not_found) break;
      one.patience.cancel();
      const bool too_long = error == asio::error::not_found;
      auto said = too_long ? error_answer("the request is too long")
                           : co_await self->run(std::string_view(received).substr(0, size - 1), one.uid());
      received.erase(0, too_long ? received.size() : size);
      // What is no UTF-8 may stand in names that a peer has sent.
      const auto text = said.dump(-1, ' ', false, answer::error_handler_t::replace) + "\n";
      one.allow(write_limit);
      const auto [failed, written] = co_await asio::async_write(one.socket, asio::buffer(text), without_exceptions);
      if (failed || too_long || !self->acceptor_.is_open()) break;
    }
    self->clients_.erase(&one);
  }

  asio::awaitable<answer> run(std::string_view line, std::int64_t uid) {
    auto request = parse_control_request(line);
    if (!request) co_return error_answer(request.error().reason);
    (*request)["uid"] = uid;
    const auto found = verbs_.find((*request)["verb"].get<std::string>());
    if (found == verbs_.end())
      co_return error_answer("the daemon knows no \"" + (*request)["verb"].get<std::string>() + "\"");
    std::string wrong;
    try {
      co_return co_await found->second(*request);
    } catch (const nlohmann::json::exception& thrown) {
      wrong = thrown.what();
    }
    co_return error_answer("the request is not as it should be: " + wrong);
  }

  asio::io_context& loop_;
  stream::acceptor acceptor_;
  std::string path_;
  control_verb_table verbs_;
  std::set<client*> clients_;
};

result<control_socket> control_socket::listen(asio::io_context& loop, const std::string& path,
                                              control_verb_table verbs) {
  auto own = std::make_shared<door>(loop, path, std::move(verbs));
  if (auto opened = own->open(); !opened) return std::unexpected(opened.error());
  return control_socket(std::move(own));
}

control_socket::~control_socket() {
  if (door_) door_->close();
}

}  // namespace trunkgate
