#include "controlplane/main/control_socket.hpp"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <gtest/gtest.h>

#include "controlplane/cli/control_client.hpp"

namespace trunkgate {
namespace {

namespace asio = boost::asio;
using json = nlohmann::ordered_json;
using namespace std::chrono_literals;

// A daemon's loop in a thread of its own, with a few verbs.
class control_server : public ::testing::Test {
 protected:
  control_server() {
    char name[] = "/tmp/trunkgate-XXXXXX";
    folder_ = ::mkdtemp(name);
    control_verb_table verbs;
    verbs["say"] = [](const nlohmann::json& request) -> asio::awaitable<json> {
      co_return json{{"said", request.at("word").get<std::string>()}, {"uid", request.at("uid")}};
    };
    verbs["fill"] = [](const nlohmann::json& request) -> asio::awaitable<json> {
      co_return json{{"text", std::string(request.at("size").get<std::size_t>(), 'x')}};
    };
    // Waits for "free".
    verbs["wait"] = [this](const nlohmann::json&) -> asio::awaitable<json> {
      ++waiting_;
      try {
        co_await gate_.async_wait(asio::use_awaitable);
      } catch (const boost::system::system_error&) {  // opened
      }
      co_return json{{"free", true}};
    };
    verbs["free"] = [this](const nlohmann::json&) -> asio::awaitable<json> {
      const int waiting = waiting_;
      gate_.cancel();
      co_return json{{"waiting", waiting}};
    };
    gate_.expires_at(asio::steady_timer::time_point::max());
    auto made = control_socket::listen(loop_, path(), std::move(verbs));
    EXPECT_TRUE(made) << made.error().reason;
    socket_.emplace(std::move(*made));
    thread_ = std::thread([this] { loop_.run(); });
  }
  ~control_server() override {
    asio::post(loop_, [this] {
      socket_.reset();
      gate_.cancel();
      work_.reset();
    });
    thread_.join();
    std::filesystem::remove_all(folder_);
  }
  [[nodiscard]] std::string path() const { return folder_ + "/control.sock"; }
  [[nodiscard]] control_client client() const {
    auto made = control_client::connect(path());
    EXPECT_TRUE(made);
    return std::move(*made);
  }
  // What comes back for these bytes, until the end of the line or of the connection.
  [[nodiscard]] std::string raw(const std::string& bytes) const {
    const int descriptor = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    std::thread writer([&] {
      for (std::size_t at = 0; at < bytes.size();) {
        const auto sent = ::send(descriptor, bytes.data() + at, bytes.size() - at, MSG_NOSIGNAL);
        if (sent <= 0) break;
        at += static_cast<std::size_t>(sent);
      }
    });
    std::string out;
    char part[4096];
    while (!out.ends_with('\n')) {
      const auto got = ::recv(descriptor, part, sizeof part, 0);
      if (got <= 0) break;
      out.append(part, static_cast<std::size_t>(got));
    }
    ::shutdown(descriptor, SHUT_RDWR);
    writer.join();
    ::close(descriptor);
    return out;
  }

  std::string folder_;
  asio::io_context loop_{1};
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  asio::steady_timer gate_{loop_};
  int waiting_ = 0;
  std::optional<control_socket> socket_;
  std::thread thread_;
};

TEST_F(control_server, answers_one_request_after_the_other) {
  auto one = client();
  for (const auto* word : {"a", "b", "line\nbreak"}) {
    const auto said = one.ask({{"verb", "say"}, {"word", word}});
    ASSERT_TRUE(said) << said.error().reason;
    EXPECT_EQ((*said)["said"], word);
    EXPECT_EQ((*said)["uid"], ::getuid());
  }
}

TEST_F(control_server, nobody_claims_to_be_somebody_else) {
  const auto said = client().ask({{"verb", "say"}, {"word", "a"}, {"uid", 4711}});
  ASSERT_TRUE(said);
  EXPECT_EQ((*said)["uid"], ::getuid());
}

TEST_F(control_server, a_verb_that_waits_holds_up_no_other_client) {
  auto slow = client();
  std::thread other([&] { EXPECT_TRUE(slow.ask({{"verb", "wait"}})); });
  auto quick = client();
  for (int waiting = 0; waiting == 0;) {
    const auto said = quick.ask({{"verb", "free"}});
    ASSERT_TRUE(said);
    waiting = (*said)["waiting"];
  }
  other.join();
}

TEST_F(control_server, a_long_answer_comes_whole) {
  const auto said = client().ask({{"verb", "fill"}, {"size", 20'000'000}});
  ASSERT_TRUE(said) << said.error().reason;
  EXPECT_EQ((*said)["text"].get_ref<const std::string&>().size(), 20'000'000u);
}

TEST_F(control_server, whoever_does_not_read_holds_up_nobody) {
  auto deaf = client();
  std::thread other([&] { EXPECT_FALSE(deaf.ask({{"verb", "fill"}, {"size", 100'000'000}}, 0s)); });
  other.join();
  EXPECT_TRUE(client().ask({{"verb", "say"}, {"word", "a"}}));
}

TEST_F(control_server, tells_what_is_wrong_with_a_request) {
  const struct {
    std::string line, says;
  } cases[] = {
      {"{}", "no JSON object with a \\\"verb\\\""},
      {"{", "no JSON object"},
      {"[1]", "no JSON object"},
      {"", "no JSON object"},
      {R"({"verb": 1})", "no JSON object"},
      {R"({"verb": "fly"})", "knows no \\\"fly\\\""},
      {R"({"verb": "say"})", "the request is not as it should be"},
      {R"({"verb": "say", "word": 1})", "the request is not as it should be"},
      {R"({"verb": "say", "word": )" + std::string(100'000, '[') + "}", "nested too deep"},
      {std::string("{\"verb\": \"say\", \"word\": \"\xff\"}"), "no JSON object"},
  };
  for (const auto& [line, says] : cases) {
    const auto said = raw(line + "\n");
    EXPECT_NE(said.find("\"error\":"), std::string::npos) << line.substr(0, 60) << " -> " << said;
    EXPECT_NE(said.find(says), std::string::npos) << line.substr(0, 60) << " -> " << said;
  }
  EXPECT_TRUE(client().ask({{"verb", "say"}, {"word", "a"}}));
}

TEST_F(control_server, a_request_without_end_is_cut_off) {
  const auto said = raw(std::string(control_request_limit + 1000, ' '));
  EXPECT_NE(said.find("too long"), std::string::npos) << said;
  EXPECT_TRUE(client().ask({{"verb", "say"}, {"word", "a"}}));
}

TEST_F(control_server, the_last_of_too_many_clients_is_told) {
  std::vector<control_client> all;
  for (std::size_t i = 0; i < control_client_limit; ++i) {
    all.push_back(client());
    ASSERT_TRUE(all.back().ask({{"verb", "say"}, {"word", "a"}}));
  }
  const auto said = client().ask({{"verb", "say"}, {"word", "a"}});
  ASSERT_FALSE(said);
  // It may be gone before it is asked.
  EXPECT_TRUE(said.error().reason.contains("too many operators") || said.error().reason.contains("trunkgated"))
      << said.error().reason;
  EXPECT_TRUE(all.front().ask({{"verb", "say"}, {"word", "a"}}));
}

TEST_F(control_server, owner_and_group_may_connect) {
  struct stat got{};
  ASSERT_EQ(::stat(path().c_str(), &got), 0);
  EXPECT_EQ(got.st_mode & 0777u, 0660u);
}

TEST(control_client_alone, says_that_nobody_is_there) {
  const auto made = control_client::connect("/nonexistent/control.sock");
  ASSERT_FALSE(made);
  EXPECT_NE(made.error().reason.find("is it running? (trunkgate run)"), std::string::npos) << made.error().reason;
}

}  // namespace
}  // namespace trunkgate
