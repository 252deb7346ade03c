// An OCSP responder on the loopback that answers, lies, hangs and floods.
#include <atomic>
#include <functional>
#include <thread>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/use_future.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <gtest/gtest.h>

#include "controlplane/ike/auth/ocsp_question.hpp"
#include "controlplane/ike/auth/revocation_fetcher.hpp"
#include "tests/unit/ike_auth/test_pki.hpp"

namespace trunkgate::ike {
namespace {

using namespace test;
namespace asio = boost::asio;
namespace http = boost::beast::http;
using tcp = asio::ip::tcp;

// Answers each connection with `answer`, whole and as it is, until it goes.
class responder {
 public:
  explicit responder(std::function<std::string(const http::request<http::string_body>&)> answer)
      : answer_(std::move(answer)), thread_([this] { serve(); }) {}
  ~responder() {
    stopping_ = true;
    asio::io_context loop;
    tcp::socket wake(loop);
    boost::system::error_code ignored;
    wake.connect(acceptor_.local_endpoint(), ignored);
    thread_.join();
  }
  responder(const responder&) = delete;
  responder& operator=(const responder&) = delete;
  [[nodiscard]] std::string url() const {
    return "http://127.0.0.1:" + std::to_string(acceptor_.local_endpoint().port()) + "/status";
  }
  [[nodiscard]] int asked() const { return asked_; }

 private:
  void serve() {
    for (;;) {
      tcp::socket peer(loop_);
      acceptor_.accept(peer);
      if (stopping_) return;
      boost::beast::flat_buffer buffer;
      http::request<http::string_body> request;
      boost::system::error_code ignored;
      http::read(peer, buffer, request, ignored);
      ++asked_;
      const auto text = answer_(request);
      if (text.empty()) {  // hangs until the client closes
        char byte = 0;
        peer.read_some(asio::buffer(&byte, 1), ignored);
      }
      asio::write(peer, asio::buffer(text), ignored);
    }
  }

  asio::io_context loop_;
  tcp::acceptor acceptor_{loop_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)};
  std::function<std::string(const http::request<http::string_body>&)> answer_;
  std::atomic<bool> stopping_ = false;
  std::atomic<int> asked_ = 0;
  std::thread thread_;
};

std::string http_text(const bytes& body, const std::string& status = "200 OK") {
  return "HTTP/1.1 " + status +
         "\r\nContent-Type: application/ocsp-response\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         std::string(body.begin(), body.end());
}

class fetcher : public testing::Test {
 protected:
  identity peer_of(const std::string& url) {
    return issue({.common_name = "peer", .alternative_names = "DNS:b.example", .information_access = "OCSP;URI:" + url},
                 &root);
  }
  result<bytes> fetch(const identity& peer, time_point now = today()) {
    asio::io_context loop;
    auto done = asio::co_spawn(loop, fetcher_.fetch_ocsp(peer.der(), root.der(), now), asio::use_future);
    loop.run();
    return done.get();
  }

  identity root = make_ca("root");
  revocation_fetcher fetcher_{{.patience = 500ms, .response_bytes = 4096}};
};

TEST_F(fetcher, asks_the_certificates_responder_and_remembers) {
  identity peer;
  std::string question, target;
  const responder there([&](const auto& request) {
    question = request.body();
    target = request.target();
    return http_text(make_ocsp(peer, root, root));
  });
  peer = peer_of(there.url());
  const auto response = fetch(peer);
  ASSERT_TRUE(response) << response.error().reason;
  EXPECT_EQ(target, "/status");
  // OpenSSL reads the question.
  using request_ptr = std::unique_ptr<OCSP_REQUEST, freed_by<OCSP_REQUEST_free>>;
  const auto asked = decode_der<request_ptr>(to_bytes(question), d2i_OCSP_REQUEST);
  ASSERT_TRUE(asked);
  const ocsp_id_ptr id(OCSP_cert_to_id(EVP_sha1(), peer.certificate.get(), root.certificate.get()));
  ASSERT_EQ(OCSP_request_onereq_count(asked.get()), 1);
  EXPECT_EQ(OCSP_id_cmp(OCSP_onereq_get0_id(OCSP_request_onereq_get0(asked.get(), 0)), id.get()), 0);

  EXPECT_EQ(*fetch(peer), *response);
  EXPECT_EQ(there.asked(), 1);
  EXPECT_TRUE(fetch(peer, today() + 25h)) << "its nextUpdate is over";
  EXPECT_EQ(there.asked(), 2);
}

TEST_F(fetcher, does_not_remember_what_is_of_no_use) {
  identity peer;
  const responder there([&](const auto&) { return http_text(make_ocsp(peer, root, root, {.next = std::nullopt})); });
  peer = peer_of(there.url());
  EXPECT_TRUE(fetch(peer));
  EXPECT_TRUE(fetch(peer));
  EXPECT_EQ(there.asked(), 2);
}

// Whoever can forge an answer once must not have it stand until its nextUpdate.
TEST_F(fetcher, does_not_remember_a_strangers_answer) {
  identity peer;
  const auto stranger = make_ca("stranger");
  bool is_honest = false;
  const responder there([&](const auto&) { return http_text(make_ocsp(peer, root, is_honest ? root : stranger)); });
  peer = peer_of(there.url());
  EXPECT_TRUE(fetch(peer)) << "it is verify_chain() that says what is wrong with it";
  is_honest = true;
  EXPECT_TRUE(fetch(peer));
  EXPECT_EQ(there.asked(), 2);
  EXPECT_TRUE(fetch(peer));
  EXPECT_EQ(there.asked(), 2);
}

TEST_F(fetcher, gives_up_with_a_reason) {
  const auto refusal = [this](const std::string& answer) {
    const responder there([&answer](const auto&) { return answer; });
    const auto done = fetch(peer_of(there.url()));
    return done ? "(taken)" : done.error().reason;
  };
  const auto begun = std::chrono::steady_clock::now();
  EXPECT_NE(refusal("").find("can't be asked: "), std::string::npos) << "it hangs";
  EXPECT_LT(std::chrono::steady_clock::now() - begun, 2500ms) << "its patience is 500 ms";
  EXPECT_NE(refusal(http_text({}, "503 Busy")).find("it answered HTTP 503"), std::string::npos);
  EXPECT_NE(refusal("nonsense\r\n\r\n").find("can't be asked"), std::string::npos);
  EXPECT_NE(refusal(http_text(bytes(5000))).find("body limit exceeded"), std::string::npos);
  EXPECT_NE(refusal("HTTP/1.1 200 OK\r\nX: " + std::string(20000, 'x') + "\r\n\r\n").find("can't be asked"),
            std::string::npos);
  const auto gone = fetch(peer_of("http://127.0.0.1:1/"));
  EXPECT_EQ(gone.error().reason, "the OCSP responder 127.0.0.1:1 can't be asked: Connection refused");
  EXPECT_FALSE(fetch(peer_of("http://no.such.name.invalid/")));
}

TEST_F(fetcher, asks_nobody_whom_the_certificate_does_not_name) {
  const auto reason = [this](const identity& peer) { return fetch(peer).error().reason; };
  const std::string none = "the certificate O=Example, CN=peer names no OCSP responder that is asked by http";
  EXPECT_EQ(reason(make_peer("b.example", root)), none);
  EXPECT_EQ(reason(peer_of("https://ocsp.example/")), none);
  EXPECT_EQ(reason(peer_of("ldap://ocsp.example/")), none);
  EXPECT_NE(reason(peer_of("http://:99999999/")), "");
  EXPECT_FALSE(build_ocsp_question(to_bytes("x"), root.der()));
}

}  // namespace
}  // namespace trunkgate::ike
