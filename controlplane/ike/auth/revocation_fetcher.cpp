#include "controlplane/ike/auth/revocation_fetcher.hpp"

#include <algorithm>
#include <memory>
#include <utility>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>

#include "controlplane/ike/auth/clock_rule.hpp"
#include "controlplane/ike/auth/ocsp_question.hpp"
#include "controlplane/ike/auth/revocation.hpp"

namespace trunkgate::ike {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using asio::awaitable;
using tcp = asio::ip::tcp;
constexpr std::uint32_t header_limit = 8192;

http::request<http::vector_body<std::uint8_t>> build_request(const ocsp_question& question) {
  http::request<http::vector_body<std::uint8_t>> request(http::verb::post, question.target, 11);
  request.set(http::field::host, question.host);
  request.set(http::field::content_type, "application/ocsp-request");
  request.set(http::field::accept, "application/ocsp-response");
  request.set(http::field::connection, "close");
  request.body() = question.request;
  request.prepare_payload();
  return request;
}

std::unexpected<error> no_answer(const ocsp_question& question, const std::string& why) {
  return failure("the OCSP responder " + question.host + ":" + question.port + " can't be asked: " + why);
}

// A look-up that may outlive the wait for it: the system's resolver can't be stopped.
struct look_up {
  look_up(const asio::any_io_executor& executor, std::chrono::steady_clock::time_point deadline)
      : resolver(executor), done(executor, deadline) {}
  tcp::resolver resolver;
  asio::steady_timer done;  // cancelled when it is
  boost::system::error_code wrong = asio::error::timed_out;
  tcp::resolver::results_type places{};
};

awaitable<std::shared_ptr<look_up>> find(const ocsp_question& question,
                                         std::chrono::steady_clock::time_point deadline) {
  auto search = std::make_shared<look_up>(co_await asio::this_coro::executor, deadline);
  search->resolver.async_resolve(question.host, question.port,
                                 [search](boost::system::error_code wrong, tcp::resolver::results_type places) {
                                   search->wrong = wrong;
                                   search->places = std::move(places);
                                   search->done.cancel();
                                 });
  boost::system::error_code ignored;
  co_await search->done.async_wait(asio::redirect_error(asio::use_awaitable, ignored));
  co_return search;
}

// One question over one connection.
awaitable<result<bytes>> ask(const ocsp_question& question, std::chrono::milliseconds patience, std::size_t limit) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  const auto found = co_await find(question, deadline);
  if (found->wrong) co_return no_answer(question, found->wrong.message());

  boost::system::error_code wrong;
  auto completion = asio::redirect_error(asio::use_awaitable, wrong);
  beast::tcp_stream stream(co_await asio::this_coro::executor);
  stream.expires_at(deadline);
  co_await stream.async_connect(found->places, completion);
  if (wrong) co_return no_answer(question, wrong.message());
  const auto request = build_request(question);
  co_await http::async_write(stream, request, completion);
  if (wrong) co_return no_answer(question, wrong.message());

  beast::flat_buffer buffer(header_limit + limit);
  http::response_parser<http::vector_body<std::uint8_t>> parser;
  parser.header_limit(header_limit);
  parser.body_limit(limit);
  co_await http::async_read(stream, buffer, parser, completion);
  if (wrong) co_return no_answer(question, wrong.message());
  if (parser.get().result() != http::status::ok)
    co_return no_answer(question, "it answered HTTP " + std::to_string(parser.get().result_int()));
  co_return std::move(parser.get().body());
}

// Does it say anything that verify_chain() will believe?
bool is_of_use(byte_view certificate, byte_view issuer, byte_view response, time_point now) {
  const auto subject = parse_certificate(certificate), above = parse_certificate(issuer);
  if (!subject || !above) return false;
  const revocation_question question{.certificate = subject.get(),
                                     .issuer = above.get(),
                                     .now = is_clock_set(now) ? std::optional(now) : std::nullopt};
  return ask_ocsp(question, response).state != revocation_state::unknown;
}

}  // namespace

// A coroutine keeps what it is given: by value, for the caller's may be gone when it goes on.
// cppcheck-suppress passedByValue
awaitable<result<bytes>> revocation_fetcher::fetch_ocsp(bytes certificate, bytes issuer, clock::time_point now) {
  auto question = build_ocsp_question(certificate, issuer);
  if (!question) co_return failure(question.error().reason);
  if (const auto known = memory_.find(question->request); known != memory_.end()) {
    if (now < known->second.until) co_return known->second.response;
    memory_.erase(known);
  }
  auto response = co_await ask(*question, limits_.patience, limits_.response_bytes);
  if (response && is_of_use(certificate, issuer, *response, now))
    remember(std::move(question->request), *response, now);
  co_return response;
}

void revocation_fetcher::remember(bytes question, const bytes& response, clock::time_point now) {
  const auto until = fresh_until(response);
  if (!until || *until <= now) return;
  if (memory_.size() >= limits_.remembered)
    memory_.erase(std::ranges::min_element(memory_, {}, [](const auto& one) { return one.second.until; }));
  memory_.insert_or_assign(std::move(question),
                           remembered{.response = response, .until = std::min(*until, now + limits_.longest_memory)});
}

}  // namespace trunkgate::ike
