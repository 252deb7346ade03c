#include "controlplane/installer/installer.hpp"

#include <future>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <gtest/gtest.h>

#include "controlplane/installer/installed_sas.hpp"
#include "tests/unit/controlplane/recording_peer.hpp"

namespace trunkgate {
namespace {

using api::message_type;
using outcome = door::outcome;

compiled sample() {
  compiled records;
  records.gateway.gateway_name = api::name("hq");
  records.gateway.workers = 2;
  for (const char* name : {"wan", "lan"}) {
    api::port_record port;
    port.port = api::name(name);
    port.address_count = 1;
    port.addresses[0] = parse_ip_prefix("203.0.113.2/24").value();
    records.ports.push_back(port);
  }
  api::route_record route;
  route.destination = parse_ip_prefix("0.0.0.0/0").value();
  route.via = parse_ip_address("203.0.113.1").value();
  records.routes.push_back(route);
  api::policy_record policy;
  policy.policy = api::name("to-partner");
  policy.action = api::policy_action::bypass;
  records.policies.push_back(policy);
  for (auto direction : {api::sa_direction::outbound, api::sa_direction::inbound}) {
    api::sa_record sa;
    sa.tunnel = api::name("branch");
    sa.direction = direction;
    sa.spi = direction == api::sa_direction::outbound ? 0x1001 : 0x1002;
    sa.key_length = 36;
    sa.key.fill(0x5a);
    records.sas.push_back(sa);
  }
  return records;
}

// What a coroutine gives, run to its end on a loop of its own.
template <class T>
T run(boost::asio::io_context& loop, boost::asio::awaitable<T> what) {
  std::optional<T> got;
  boost::asio::co_spawn(loop, std::move(what), [&](const std::exception_ptr&, T value) {
    got.emplace(std::move(value));
    loop.stop();
  });
  loop.restart();
  loop.run_for(std::chrono::seconds(20));
  if (!got) throw std::runtime_error("no answer came");
  return std::move(*got);
}

// The installer against a peer that answers in another thread.
struct conversation {
  scratch_folder folder;
  std::string path = folder / "dataplane.sock";
  recording_peer peer{path};

  std::pair<installer::report, std::vector<recording_peer::request>> talk(std::optional<message_type> refused = {},
                                                                          std::string_view reason = "") {
    auto served = std::async(std::launch::async, [&] {
      return peer.accept() ? peer.serve_batch(refused, reason) : std::vector<recording_peer::request>{};
    });
    boost::asio::io_context loop;
    door to(loop, path);
    EXPECT_TRUE(to.open());
    auto report = run(loop, installer(to).install(sample()));
    to.close();
    return {report, served.get()};
  }
};

std::vector<message_type> types(const std::vector<recording_peer::request>& requests) {
  std::vector<message_type> out;
  for (const auto& request : requests) out.push_back(request.type);
  return out;
}

TEST(installer, sends_one_batch_in_order) {
  conversation one;
  const auto [report, requests] = one.talk();
  EXPECT_EQ(report.what, outcome::done) << report.reason;
  using enum message_type;
  EXPECT_EQ(types(requests), (std::vector{batch_begin, put_gateway, put_port, put_port, put_route, put_policy, put_sa,
                                          put_sa, batch_commit}));
}

TEST(installer, sends_the_records_byte_for_byte) {
  conversation one;
  const auto [report, requests] = one.talk();
  ASSERT_EQ(requests.size(), 9u);
  const auto sent = sample();
  EXPECT_EQ(requests[0].body, std::vector<std::uint8_t>{1});  // replace
  EXPECT_EQ(requests[1].as<api::gateway_record>(), sent.gateway);
  EXPECT_EQ(requests[2].as<api::port_record>(), sent.ports[0]);
  EXPECT_EQ(requests[3].as<api::port_record>(), sent.ports[1]);
  EXPECT_EQ(requests[4].as<api::route_record>(), sent.routes[0]);
  EXPECT_EQ(requests[5].as<api::policy_record>(), sent.policies[0]);
  EXPECT_EQ(requests[6].as<api::sa_record>(), sent.sas[0]);
  EXPECT_EQ(requests[7].as<api::sa_record>(), sent.sas[1]);
  EXPECT_TRUE(requests[8].body.empty());
}

TEST(installer, gives_the_reason_of_the_first_refusal) {
  conversation one;
  const auto [report, requests] = one.talk(message_type::put_port, "port wan: there is no device eth7");
  EXPECT_EQ(report.what, outcome::refused);
  EXPECT_EQ(report.reason, "port wan: there is no device eth7");
  EXPECT_EQ(requests.size(), 9u);
}

TEST(installer, gives_the_reason_of_a_refused_commit) {
  conversation one;
  const auto [report, requests] =
      one.talk(message_type::batch_commit, "gateway: workers needs a restart of the data plane");
  EXPECT_EQ(report.what, outcome::refused);
  EXPECT_EQ(report.reason, "gateway: workers needs a restart of the data plane");
}

TEST(installer, tells_a_lost_connection_from_a_refusal) {
  scratch_folder folder;
  recording_peer peer(folder / "socket");
  auto served = std::async(std::launch::async, [&] {
    if (peer.accept()) peer.take_one_and_hang_up();
  });
  boost::asio::io_context loop;
  door to(loop, folder / "socket");
  ASSERT_TRUE(to.open());
  const auto report = run(loop, installer(to).install(sample()));
  EXPECT_EQ(report.what, outcome::lost);
  EXPECT_FALSE(report.reason.empty());
}

TEST(installer, reaches_a_data_plane_that_was_started_anew) {
  scratch_folder folder;
  const auto path = folder / "socket";
  boost::asio::io_context loop;
  door to(loop, path);
  EXPECT_FALSE(to.open());
  for (int life = 0; life < 2; ++life) {
    recording_peer peer(path);
    auto served = std::async(std::launch::async, [&] { return peer.accept() ? peer.serve_batch().size() : 0; });
    ASSERT_TRUE(to.open());
    EXPECT_EQ(run(loop, installer(to).install(sample())).what, outcome::done);
    EXPECT_EQ(served.get(), 9u);
  }
}

// What several ask at once goes out whole, one after the other, and each gets its own answers.
TEST(door, keeps_requests_whole_and_in_order) {
  scratch_folder folder;
  recording_peer peer(folder / "socket");
  boost::asio::io_context loop;
  door to(loop, folder / "socket");
  ASSERT_TRUE(to.open());
  auto served = std::async(std::launch::async, [&] {
    std::vector<recording_peer::request> all;
    for (int batch = 0; batch < 3 && (batch != 0 || peer.accept()); ++batch)
      for (auto& request : batch == 1 ? peer.serve_batch(message_type::remove_sa, "there is none") : peer.serve_batch())
        all.push_back(std::move(request));
    return all;
  });
  const auto batch_with = [](message_type type) {
    door_request batch;
    batch.put(message_type::batch_begin, api::batch_begin{.replace = 0});
    for (int i = 0; i < 200; ++i) batch.put(type, api::sa_record{});
    batch.add(message_type::batch_commit);
    return batch;
  };
  std::vector<door::answer> answers;
  for (const auto type : {message_type::put_sa, message_type::remove_sa, message_type::put_sa})
    boost::asio::co_spawn(
        loop,
        [&, type]() -> boost::asio::awaitable<void> {
          answers.push_back(co_await to.ask(batch_with(type)));
          if (answers.size() == 3) loop.stop();
        },
        boost::asio::detached);
  loop.run_for(std::chrono::seconds(20));
  to.close();
  const auto requests = served.get();
  ASSERT_EQ(answers.size(), 3u);
  EXPECT_EQ(answers[0].what, outcome::done);
  EXPECT_EQ(answers[1].what, outcome::refused);
  EXPECT_EQ(answers[1].reason, "there is none");
  EXPECT_EQ(answers[2].what, outcome::done) << answers[2].reason;
  ASSERT_EQ(requests.size(), 3u * 202);
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const auto place = i % 202;
    EXPECT_EQ(requests[i].type == message_type::batch_begin, place == 0) << i;
    EXPECT_EQ(requests[i].type == message_type::batch_commit, place == 201) << i;
  }
}

TEST(door, tells_everybody_who_waits_of_a_loss) {
  scratch_folder folder;
  recording_peer peer(folder / "socket");
  boost::asio::io_context loop;
  door to(loop, folder / "socket");
  ASSERT_TRUE(to.open());
  auto served = std::async(std::launch::async, [&] {
    if (peer.accept()) peer.take_one_and_hang_up();
  });
  unsigned lost = 0;
  for (int i = 0; i < 3; ++i)
    boost::asio::co_spawn(
        loop,
        [&]() -> boost::asio::awaitable<void> {
          const auto answer = co_await to.ask(std::move(door_request().add(message_type::use)));
          lost += answer.what == outcome::lost && !answer.reason.empty() ? 1 : 0;
        },
        boost::asio::detached);
  boost::asio::co_spawn(
      loop,
      [&]() -> boost::asio::awaitable<void> {
        co_await to.lost();
        EXPECT_FALSE(to.is_open());
        const auto answer = co_await to.ask(std::move(door_request().add(message_type::use)));
        EXPECT_EQ(answer.what, outcome::lost);
      },
      boost::asio::detached);
  loop.run_for(std::chrono::seconds(20));
  EXPECT_EQ(lost, 3u);
}

TEST(door, an_answer_to_something_else_ends_the_connection) {
  scratch_folder folder;
  recording_peer peer(folder / "socket");
  boost::asio::io_context loop;
  door to(loop, folder / "socket");
  ASSERT_TRUE(to.open());
  auto served = std::async(std::launch::async, [&] {
    if (!peer.accept()) return;
    api::header head;
    head.type = message_type::ok;
    head.request = 77;
    peer.say(head);
    (void)peer.client_closed();
  });
  const auto answer = run(loop, to.ask(std::move(door_request().add(message_type::use))));
  EXPECT_EQ(answer.what, outcome::lost);
  EXPECT_NE(answer.reason.find("another request"), std::string::npos);
}

api::event event_of(api::event_kind kind, std::uint64_t unix_ns, std::uint32_t pair = 0) {
  api::event event;
  event.kind = kind;
  event.unix_ns = unix_ns;
  event.pair = pair;
  event.tunnel = api::name("branch");
  event.child = api::name("lan");
  return event;
}

TEST(installed_sas, tells_each_event_once_and_no_stale_acquire) {
  boost::asio::io_context loop;
  door to(loop, "/nowhere");
  installed_sas sas(to);
  std::vector<std::string> told;
  sas.tells.acquire = [&](const std::string& tunnel, const std::string& child) {
    told.push_back(tunnel + "/" + child);
  };
  sas.tells.expire = [&](std::uint32_t spi, bool hard) { told.push_back(std::to_string(spi) + (hard ? "!" : "")); };
  const auto now =
      static_cast<std::uint64_t>(std::chrono::system_clock::now().time_since_epoch() / std::chrono::nanoseconds(1));
  constexpr std::uint64_t second = 1'000'000'000;
  using enum api::event_kind;
  const std::vector events{event_of(acquire, now - 60 * second),     event_of(soft_expire, now - 50 * second, 300),
                           event_of(hard_expire, now - 40 * second), event_of(sequence_exhausted, now - second, 301),
                           event_of(sequence_near_end, now, 302),    event_of(acquire, now + 1)};
  for (int connection = 0; connection < 2; ++connection)
    for (const auto& event : events) sas.take(event);
  EXPECT_EQ(told, (std::vector<std::string>{"300", "301!", "302", "branch/lan"}));
}

TEST(installed_sas, reserves_no_spi_twice_and_fails_without_a_data_plane) {
  boost::asio::io_context loop;
  door to(loop, "/nowhere");
  installed_sas sas(to);
  std::set<std::uint32_t> spis;
  for (int i = 0; i < 10'000; ++i) spis.insert(sas.reserve_spi());
  EXPECT_EQ(spis.size(), 10'000u);
  EXPECT_GE(*spis.begin(), 256u);
  EXPECT_FALSE(run(loop, sas.survived()));
  EXPECT_FALSE(run(loop, sas.remove(4711, sa_directions::both)));
}

}  // namespace
}  // namespace trunkgate
