// `trunkgate up`, `down`, `rekey`.
#include <chrono>
#include <iostream>
#include <thread>

#include "controlplane/cli/control_client.hpp"
#include "controlplane/cli/tunnel_text.hpp"

namespace trunkgate {

namespace {

using namespace std::chrono_literals;
constexpr std::chrono::milliseconds up_limit = 30s, look_again = 100ms;

int fail(std::string_view verb, const std::string& reason) {
  std::cerr << "trunkgate " << verb << ": " << reason << "\n";
  return exit_failed;
}

struct asked {
  std::optional<control_client> daemon;
  json_object said;
  std::string wrong;  // empty: done
};

asked ask(const arguments& given, const json_object& request) {
  auto daemon = control_client::connect(given);
  if (!daemon) return {.daemon = std::nullopt, .said = {}, .wrong = daemon.error().reason};
  auto said = daemon->ask(request);
  if (!said) return {.daemon = std::nullopt, .said = {}, .wrong = said.error().reason};
  return {.daemon = std::move(*daemon), .said = std::move(*said), .wrong = {}};
}

}  // namespace

int run_up(const arguments& given) {
  const auto& name = given.words.front();
  auto begun = ask(given, {{"verb", "up"}, {"tunnel", name}});
  if (!begun.wrong.empty()) return fail("up", begun.wrong);
  const auto failures = begun.said.value("failures", std::uint64_t{0});
  const auto until = std::chrono::steady_clock::now() + up_limit;
  // Polled: it is seldom, short, and the daemon need not remember who waits.
  for (;;) {
    const auto said = begun.daemon->ask({{"verb", "tunnels"}, {"tunnel", name}});
    if (!said) return fail("up", said.error().reason);
    const auto& tunnel = said->at("tunnels").at(0);
    const auto state = tunnel.value("state", ""), reason = printable(tunnel.value("reason", ""));
    if (state == "up" || state == "degraded") {
      std::cout << name << " is " << state << ": " << (reason.empty() ? tunnel.value("suite", "") : reason) << "\n";
      return exit_well;
    }
    const bool failed = tunnel.value("counts", json_object::object()).value("failures", std::uint64_t{0}) != failures;
    if (failed || std::chrono::steady_clock::now() > until) {
      std::cout << name << " is " << state << ": " << reason << " (trunkgate explain " << name << ")\n";
      return exit_something_down;
    }
    std::this_thread::sleep_for(look_again);
  }
}

int run_down(const arguments& given) {
  const auto& name = given.words.front();
  const auto done = ask(given, {{"verb", "down"}, {"tunnel", name}});
  if (!done.wrong.empty()) return fail("down", done.wrong);
  std::cout << name << " is being closed, until: trunkgate up " << name << "\n";
  return exit_well;
}

int run_rekey(const arguments& given) {
  const auto& name = given.words.front();
  if (given.has("ike") && given.has("child")) return fail("rekey", "--ike or --child, not both");
  const auto done =
      ask(given, {{"verb", "rekey"}, {"tunnel", name}, {"ike", given.has("ike")}, {"child", given.value("child")}});
  if (!done.wrong.empty()) return fail("rekey", done.wrong);
  std::cout << name << ": asked for new keys of "
            << (given.has("ike") ? "the IKE SA" : "child " + words_text(done.said, "children", ", ")) << "\n";
  return exit_well;
}

}  // namespace trunkgate
