// The control plane's place beside a real data plane, for tests: installs a configuration and drives the SA sink by
// commands, one JSON object a line on standard input; one line is answered, events are lines of their own.
//
//   sink_tool SOCKET
//   {"do":"connect"}                               opens the door, subscribes
//   {"do":"install","file":F,"children":[...]}     the file's configuration, and children that IKE would key
//   {"do":"reserve"} {"do":"survived"} {"do":"use","spis":[...]}
//   {"do":"add","child":{...},"in":N,"out":N,"in_key":HEX,"out_key":HEX,"which":"both","path":{...}}
//   {"do":"remove","spi":N,"which":"outbound"} {"do":"move","spi":N,"path":{...}}
//
// A child: {"tunnel":T,"name":C,"local":RANGE,"remote":RANGE,"interface":NAME or absent}. A path:
// {"local":A,"remote":A, "udp":[local port, remote port] or absent,"follow":bool}.
#include <unistd.h>

#include <iostream>
#include <map>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <nlohmann/json.hpp>

#include "config/load.hpp"
#include "controlplane/installer/installed_sas.hpp"
#include "controlplane/installer/installer.hpp"

namespace {

using namespace trunkgate;
using nlohmann::json;
namespace asio = boost::asio;

void say(const json& line) { std::cout << line.dump() << std::endl; }

ip_address address_of(const json& text) { return parse_ip_address(text.get<std::string>()).value(); }

// A prefix.
ip_range range_of(const json& text) { return parse_ip_prefix(text.get<std::string>()).value(); }

secret key_of(const json& hex) {
  const auto text = hex.get<std::string>();
  std::vector<std::uint8_t> bytes;
  for (std::size_t at = 0; at + 1 < text.size(); at += 2)
    bytes.push_back(static_cast<std::uint8_t>(std::stoul(text.substr(at, 2), nullptr, 16)));
  return secret(bytes);
}

sa_directions which_of(const json& command) {
  const auto text = command.value("which", "both");
  return text == "both" ? sa_directions::both : text == "inbound" ? sa_directions::inbound : sa_directions::outbound;
}

sa_path path_of(const json& path) {
  sa_path out{.local = {.address = address_of(path["local"]), .port = 0},
              .remote = {.address = address_of(path["remote"]), .port = 0},
              .udp_encapsulation = path.contains("udp"),
              .follow_peer = path.value("follow", false)};
  if (out.udp_encapsulation) {
    out.local.port = path["udp"][0];
    out.remote.port = path["udp"][1];
  }
  return out;
}

tunnel_settings tunnel_of(const json& child) {
  tunnel_settings tunnel;
  tunnel.name = child["tunnel"];
  tunnel.ike.emplace();
  if (child.contains("interface"))
    tunnel.interface = tunnel_interface_settings{.name = child["interface"], .addresses = {}};
  child_settings inner;
  inner.name = child["name"];
  inner.replay_window = 4096;
  for (std::size_t i = 0; i < inner.outer.dscp.size(); ++i) inner.outer.dscp[i] = static_cast<std::uint8_t>(i);
  inner.local = {range_of(child["local"])};
  inner.remote = {range_of(child["remote"])};
  tunnel.children.push_back(inner);
  return tunnel;
}

class tool {
 public:
  tool(asio::io_context& loop, const std::string& socket) : door_(loop, socket), sas_(door_), input_(loop, ::dup(0)) {
    door_.on_event([this](const api::event& event) { sas_.take(event); });
    sas_.tells = {
        .acquire = [](const auto& tunnel,
                      const auto& child) { say({{"event", "acquire"}, {"tunnel", tunnel}, {"child", child}}); },
        .expire = [](std::uint32_t spi, bool hard) { say({{"event", "expire"}, {"spi", spi}, {"hard", hard}}); },
        .peer_moved =
            [](std::uint32_t spi, const sa_endpoint& to) {
              say({{"event", "peer_moved"}, {"spi", spi}, {"address", to_string(to.address)}, {"port", to.port}});
            },
        .restarted = [] { say({{"event", "restarted"}}); }};
  }

  asio::awaitable<void> serve() {
    for (std::string text;;) {
      const auto [error, size] = co_await asio::async_read_until(input_, asio::dynamic_buffer(text), '\n',
                                                                 asio::as_tuple(asio::use_awaitable));
      if (error) co_return;
      const auto command = json::parse(text.substr(0, size));
      text.erase(0, size);
      say(co_await obey(command));
    }
  }

 private:
  static json told(const result<void>& done) {
    return done ? json{{"ok", true}} : json{{"ok", false}, {"reason", done.error().reason}};
  }

  asio::awaitable<json> obey(const json& command) {
    const auto what = command["do"].get<std::string>();
    if (what == "connect") co_return co_await connect();
    if (what == "install") co_return co_await install(command);
    if (what == "reserve") co_return json{{"ok", true}, {"spi", sas_.reserve_spi()}};
    if (what == "survived") {
      const auto spis = co_await sas_.survived();
      if (!spis) co_return told(std::unexpected(spis.error()));
      co_return json{{"ok", true}, {"spis", *spis}};
    }
    if (what == "use") co_return co_await use(command["spis"]);
    if (what == "add") co_return co_await add(command);
    const std::uint32_t spi = command["spi"];
    if (what == "remove") co_return told(co_await sas_.remove(spi, which_of(command)));
    if (what == "move") co_return told(co_await sas_.move(spi, path_of(command["path"])));
    co_return json{{"ok", false}, {"reason", "no such command"}};
  }

  asio::awaitable<json> connect() {
    if (auto opened = door_.open(); !opened) co_return told(opened);
    door_request subscription;
    subscription.add(api::message_type::subscribe);
    const auto answer = co_await door_.ask(std::move(subscription));
    co_return json{{"ok", answer.what == door::outcome::done}, {"reason", answer.reason}};
  }

  asio::awaitable<json> install(const json& command) {
    auto read = load_configuration(command["file"].get<std::string>());
    if (!read.config) co_return json{{"ok", false}, {"reason", format_diagnostics(read)}};
    for (const auto& child : command["children"]) read.config->tunnels.push_back(tunnel_of(child));
    auto records = compile(*read.config);
    if (!records) co_return told(std::unexpected(records.error()));
    const auto answer = co_await installer(door_).install(std::move(*records));
    if (answer.what != door::outcome::done) co_return json{{"ok", false}, {"reason", answer.reason}};
    co_return told(co_await sas_.meet());
  }

  asio::awaitable<json> add(const json& command) {
    const auto tunnel = tunnel_of(command["child"]);
    child_sa pair;
    pair.tunnel = &tunnel;
    pair.child = &tunnel.children[0];
    pair.inbound_spi = command["in"];
    pair.outbound_spi = command["out"];
    pair.suite = esp_suite::aes256gcm16;
    pair.path = path_of(command["path"]);
    pair.selectors = {.local = pair.child->local, .remote = pair.child->remote, .local_ports = {}, .remote_ports = {}};
    pair.inbound_key = key_of(command["in_key"]);
    pair.outbound_key = key_of(command["out_key"]);
    co_return told(co_await sas_.add(pair, which_of(command)));
  }

  asio::awaitable<json> use(const json& spis) {
    const auto uses = co_await sas_.use(spis.get<std::vector<std::uint32_t>>());
    if (!uses) co_return told(std::unexpected(uses.error()));
    json out{{"ok", true}, {"uses", json::array()}};
    for (const auto& one : *uses) {
      if (one)
        out["uses"].push_back(
            {{"in", one->inbound_packets}, {"out", one->outbound_packets}, {"idle", one->inbound_idle_ms}});
      else
        out["uses"].push_back(nullptr);
    }
    co_return out;
  }

  door door_;
  installed_sas sas_;
  asio::posix::stream_descriptor input_;
};

}  // namespace

int main(int count, char** words) {
  if (count != 2) return 2;
  asio::io_context loop;
  tool one(loop, words[1]);
  asio::co_spawn(loop, one.serve(), [&loop](const std::exception_ptr& thrown) {
    loop.stop();
    if (thrown) std::rethrow_exception(thrown);
  });
  loop.run();
}
