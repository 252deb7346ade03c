#include "dataplane/api/channel.hpp"

#include <sys/socket.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include <gtest/gtest.h>

namespace trunkgate::api {
namespace {

// Two connected ends: `client` a channel, `raw` a bare descriptor to say wrong things with, or given to a channel.
struct channel_pair : testing::Test {
  channel_pair() {
    int ends[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    client = channel(ends[0]);
    raw = ends[1];
  }
  ~channel_pair() override {
    if (raw >= 0) ::close(raw);
  }
  channel other_end() { return channel(std::exchange(raw, -1)); }
  void say(const void* bytes, std::size_t size) const {
    EXPECT_EQ(::send(raw, bytes, size, 0), static_cast<ssize_t>(size));
  }
  channel client{-1};
  int raw = -1;
};

header head_of(message_type type) {
  header head;
  head.type = type;
  return head;
}

TEST_F(channel_pair, carries_a_record_whole) {
  auto other = other_end();
  route_record route;
  route.port = name("wan");
  route.destination = parse_ip_prefix("10.2.0.0/16").value();
  ASSERT_TRUE(client.send(head_of(message_type::put_route), channel::as_bytes(route)));
  message got;
  auto received = other.receive(got);
  ASSERT_TRUE(received && *received);
  EXPECT_EQ(got.header.type, message_type::put_route);
  EXPECT_EQ(got.as<route_record>().value(), route);
  EXPECT_FALSE(got.as<port_record>()) << "a record of another size was accepted";
}

TEST_F(channel_pair, says_when_the_other_end_closed) {
  { auto gone = other_end(); }
  message got;
  auto received = client.receive(got);
  ASSERT_TRUE(received);
  EXPECT_FALSE(*received);
  EXPECT_FALSE(client.send(head_of(message_type::ok), {})) << "no SIGPIPE, but an error";
}

TEST_F(channel_pair, refuses_what_is_no_message) {
  message got;
  say("x", 1);
  EXPECT_FALSE(client.receive(got)) << "shorter than a header";

  auto wrong = head_of(message_type::ok);
  wrong.magic ^= 1;
  say(&wrong, sizeof wrong);
  EXPECT_FALSE(client.receive(got)) << "wrong magic";

  wrong = head_of(message_type::ok);
  wrong.version = version + 1;
  say(&wrong, sizeof wrong);
  auto answer = client.receive(got);
  ASSERT_FALSE(answer);
  EXPECT_NE(answer.error().reason.find("version"), std::string::npos);

  wrong = head_of(message_type::ok);
  wrong.length = 1;
  say(&wrong, sizeof wrong);
  EXPECT_FALSE(client.receive(got)) << "length larger than what came";

  std::vector<std::uint8_t> large(sizeof(header) + message_limit + 1);
  wrong.length = static_cast<std::uint16_t>(message_limit + 1);
  std::memcpy(large.data(), &wrong, sizeof wrong);
  say(large.data(), large.size());
  EXPECT_FALSE(client.receive(got)) << "longer than the limit";
}

// Client                    Data plane
//   put_route        -->
//                    <--    failed "no such port"
TEST_F(channel_pair, a_refusal_becomes_the_error) {
  std::thread dataplane([other = other_end()]() mutable {
    message asked;
    ASSERT_TRUE(other.receive(asked));
    failed why{text<512>("routes: no port \"wan\"")};
    auto answer = head_of(message_type::failed);
    answer.request = asked.header.request;
    ASSERT_TRUE(other.send(answer, channel::as_bytes(why)));
  });
  auto answer = client.request(message_type::put_route, route_record{});
  dataplane.join();
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().reason, "routes: no port \"wan\"");
}

// Client                    Data plane
//   dump drops       -->
//                    <--    record, record, ok
TEST_F(channel_pair, a_dump_hands_out_every_record) {
  std::thread dataplane([other = other_end()]() mutable {
    message asked;
    ASSERT_TRUE(other.receive(asked));
    EXPECT_EQ(asked.header.kind, record_kind::drops);
    for (std::uint64_t n : {7, 8}) {
      drop_status row;
      row.packets = n;
      ASSERT_TRUE(other.send(head_of(message_type::record), channel::as_bytes(row)));
    }
    ASSERT_TRUE(other.send(head_of(message_type::ok), {}));
  });
  std::vector<std::uint64_t> seen;
  auto done =
      client.dump<drop_status>(record_kind::drops, [&](const drop_status& row) { seen.push_back(row.packets); });
  dataplane.join();
  ASSERT_TRUE(done);
  EXPECT_EQ(seen, (std::vector<std::uint64_t>{7, 8}));
}

TEST_F(channel_pair, try_send_never_waits_for_a_slow_reader) {
  auto other = other_end();
  event told;
  std::uint64_t sent = 0;
  while (sent < 1'000'000) {
    told.number = sent + 1;
    if (!other.try_send(head_of(message_type::event), channel::as_bytes(told), {}).value()) break;
    ++sent;
  }
  EXPECT_GT(sent, 10u);
  ASSERT_LT(sent, 1'000'000u) << "the other end was never full";
  message got;
  for (std::uint64_t n = 1; n <= sent; ++n) {
    ASSERT_TRUE(client.receive(got));
    ASSERT_EQ(got.as<event>()->number, n) << "what did not fit is not there by half";
  }
  EXPECT_TRUE(other.try_send(head_of(message_type::event), channel::as_bytes(told), {}).value());
}

TEST(api_text, cuts_and_ends) {
  EXPECT_EQ(text<4>("abcdef").view(), "abc");
  text<4> full;
  std::memcpy(full.bytes, "wxyz", 4);
  EXPECT_EQ(full.view(), "wxyz") << "a text without its zero ends with its array";
}

TEST(api_connect, names_the_socket_it_cannot_reach) {
  auto none = channel::connect("/nonexistent/dataplane.sock");
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().reason.find("/nonexistent/dataplane.sock"), std::string::npos);
  EXPECT_FALSE(channel::connect(std::string(200, 'x')));
}

}  // namespace
}  // namespace trunkgate::api
