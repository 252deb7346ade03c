// A client of the key process for tests: takes one request a line on standard input, answers with one line each. It
// holds no key and reads no file.
//   public_key KIND NAME            sign KIND NAME SCHEME OCTETS          psk_auth KIND NAME PRF OCTETS
//   mix_ppk KIND NAME PRF D PI PR   reload                                flood KIND NAME COUNT
// KIND is file, env or credential, SCHEME a number; octets are hexadecimal, "-" for none. `flood` computes psk_auth
// COUNT times at once. Answers: "ok HEX...", or "failed REASON".
#include <chrono>
#include <iostream>
#include <sstream>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>

#include "config/ike_proposal.hpp"
#include "controlplane/keystore/client.hpp"

namespace {

using namespace trunkgate;
using boost::asio::awaitable;
using bytes = keystore::bytes;

bytes octets(std::istream& from) {
  std::string digits;
  from >> digits;
  bytes out;
  for (std::size_t i = 0; digits != "-" && i + 1 < digits.size(); i += 2)
    out.push_back(static_cast<std::uint8_t>(std::stoi(digits.substr(i, 2), nullptr, 16)));
  return out;
}

// Everything that ever came, never wiped: a key that comes by mistake is found here.
std::vector<bytes> received;

std::string hex(std::span<const std::uint8_t> from) {
  received.emplace_back(from.begin(), from.end());
  constexpr char digits[] = "0123456789abcdef";
  std::string out;
  for (auto byte : from) out += {digits[byte >> 4], digits[byte & 15]};
  return out;
}

key_reference key(std::istream& from) {
  std::string kind, name;
  from >> kind >> name;
  return {.from = kind == "file"  ? key_reference::kind::file
                  : kind == "env" ? key_reference::kind::environment
                                  : key_reference::kind::credential,
          .name = name,
          .path = "tunnels.t.key"};
}

int number(std::istream& from) {
  int value = 0;
  from >> value;
  return value;
}

std::string shown(const result<bytes>& done) { return done ? "ok " + hex(*done) : "failed " + done.error().reason; }

// Many requests under way at once over the one connection.
awaitable<std::string> flood(boost::asio::io_context& loop, keystore& keys, key_reference wanted, int count) {
  const auto begun = std::chrono::steady_clock::now();
  int good = 0, left = count;
  const bytes what(64);
  const auto executor = co_await boost::asio::this_coro::executor;
  for (int i = 0; i < count; ++i)
    boost::asio::co_spawn(
        executor,
        [&]() -> awaitable<void> {
          if (co_await keys.psk_auth(wanted, transform_id::prf_hmac_sha256, what)) ++good;
        },
        [&left](const std::exception_ptr&) { --left; });
  while (left > 0) co_await boost::asio::post(loop, boost::asio::use_awaitable);
  const auto spent = std::chrono::steady_clock::now() - begun;
  co_return "ok " + std::to_string(good) + " " +
      std::to_string(std::chrono::duration_cast<std::chrono::microseconds>(spent).count());
}

awaitable<std::string> ask(boost::asio::io_context& loop, keystore& keys, std::string line) {
  std::istringstream words(line);
  std::string verb;
  words >> verb;
  if (verb == "reload") {
    const auto done = co_await keys.reload();
    co_return done ? "ok" : "failed " + done.error().reason;
  }
  const auto wanted = key(words);
  if (verb == "public_key") co_return shown(co_await keys.public_key(wanted));
  if (verb == "flood") co_return co_await flood(loop, keys, wanted, number(words));
  const int which = number(words);
  const auto first = octets(words);
  if (verb == "sign") co_return shown(co_await keys.sign(wanted, static_cast<signature_scheme>(which), first));
  const auto prf = static_cast<std::uint16_t>(which);
  if (verb == "psk_auth") {
    const auto done = co_await keys.psk_auth(wanted, prf, first);
    co_return done ? "ok " + hex(done->bytes()) : "failed " + done.error().reason;
  }
  const auto second = octets(words), third = octets(words);
  const auto mixed = co_await keys.mix_ppk(wanted, prf, first, second, third);
  co_return mixed ? "ok " + hex(mixed->d.bytes()) + " " + hex(mixed->pi.bytes()) + " " + hex(mixed->pr.bytes())
                  : "failed " + mixed.error().reason;
}

}  // namespace

int main(int count, char** words) {
  if (count != 2) return 2;
  boost::asio::io_context loop;
  const auto keys = connect_keystore(loop.get_executor(), words[1]);
  for (std::string line; std::getline(std::cin, line);) {
    auto answer = boost::asio::co_spawn(loop, ask(loop, *keys, line), boost::asio::use_future);
    while (answer.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
      loop.restart();
      loop.run_one();
    }
    std::cout << answer.get() << std::endl;
  }
}
