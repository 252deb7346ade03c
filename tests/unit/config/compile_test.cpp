// From a configuration to the records that the data plane takes, keys included.
#include "controlplane/policy/compile.hpp"

#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "tests/unit/config/base.hpp"

namespace trunkgate {

namespace {

using test::base;
using test::edited;

constexpr std::size_t cbc_sha256_key = 64;

std::string hexadecimal(std::size_t bytes, char digit) { return std::string(bytes * 2, digit); }

class compile_test : public testing::Test {
 protected:
  compile_test() {
    std::string pattern = (std::filesystem::temp_directory_path() / "compile_test.XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    write("out.key", hexadecimal(cbc_sha256_key, '1') + "\n");
    write("in.key", hexadecimal(cbc_sha256_key, 'A'));
  }
  ~compile_test() override { std::filesystem::remove_all(folder_); }

  void write(const std::string& name, const std::string& text) const {
    std::ofstream(folder_ + "/" + name) << text;
    chmod((folder_ + "/" + name).c_str(), 0600);
  }
  [[nodiscard]] configuration load(const std::string& text) const {
    auto result = load_configuration_text(folder_ + "/trunkgate.yaml", text);
    EXPECT_TRUE(result.config.has_value()) << format_diagnostics(result);
    return result.config.value_or(configuration{});
  }
  [[nodiscard]] std::string reason(const std::string& text) const {
    auto records = compile(load(text));
    return records ? "compiled" : records.error().reason;
  }
  std::string folder_;
};

ip_prefix prefix(const char* text) { return parse_ip_prefix(text).value(); }

TEST_F(compile_test, gateway_and_ports) {
  auto text = edited(base, "name: hq", "name: hq, workers: 2, busy_poll: always, hugepages: never, buffers: 2048");
  auto records = compile(load(edited(text, "device: eth0", "mtu: 9000, vlan: 20, driver: tap, device: eth0")));
  ASSERT_TRUE(records) << records.error().reason;
  api::gateway_record gateway;
  gateway.gateway_name = api::name("hq");
  gateway.workers = 2;
  gateway.busy_poll = 1;
  gateway.hugepages = 0;
  gateway.max_mtu = 9000;
  gateway.buffers = 2048;
  gateway.flow_entries = 65536;
  EXPECT_TRUE(records->gateway == gateway);
  api::port_record wan;
  wan.port = api::name("wan");
  wan.device = api::text<128>("eth0");
  wan.driver = api::port_driver_kind::tap;
  wan.vlan = 20;
  wan.mtu = 9000;
  wan.address_count = 1;
  wan.addresses[0] = prefix("203.0.113.2/24");
  ASSERT_EQ(records->ports.size(), 2u);
  EXPECT_TRUE(records->ports[0] == wan);
}

TEST_F(compile_test, small_ports_leave_the_buffers_their_usual_size) {
  auto records = compile(load(edited(base, "mtu: 1500", "mtu: 1000")));
  ASSERT_TRUE(records) << records.error().reason;
  EXPECT_EQ(records->gateway.max_mtu, 1500);
}

TEST_F(compile_test, routes) {
  auto records = compile(load(edited(base, "routes:", "routes:\n  - { to: 192.0.2.0/24, port: lan }")));
  ASSERT_TRUE(records) << records.error().reason;
  api::route_record connected, standard;
  connected.destination = prefix("192.0.2.0/24");
  connected.port = api::name("lan");
  standard.destination = prefix("0.0.0.0/0");
  standard.via = parse_ip_address("203.0.113.1").value();
  EXPECT_TRUE(records->routes == (std::vector{connected, standard}));
}

TEST_F(compile_test, both_ways_makes_two_policies) {
  auto records =
      compile(load(edited(base, "to: wan, source: 10.1.0.0/16",
                          "to: any, protocol: tcp, source_ports: 1024-65535, destination_ports: 443, both_ways: true, "
                          "source: 10.1.0.0/16")));
  ASSERT_TRUE(records) << records.error().reason;
  api::policy_record forth;
  forth.policy = api::name("partner");
  forth.from = api::name("lan");
  forth.source = prefix("10.1.0.0/16");
  forth.destination = prefix("192.0.2.0/24");
  forth.protocol = 6;
  forth.action = api::policy_action::bypass;
  forth.source_ports = {1024, 65535};
  forth.destination_ports = {443, 443};
  api::policy_record back = forth;
  back.from = api::name();
  back.to = api::name("lan");
  back.source = forth.destination;
  back.destination = forth.source;
  back.source_ports = {443, 443};
  back.destination_ports = {1024, 65535};
  EXPECT_TRUE(records->policies == (std::vector{forth, back}));
}

TEST_F(compile_test, a_child_makes_an_outbound_and_an_inbound_sa) {
  auto text =
      edited(base, "    children:", "    udp_encapsulation: { local_port: 4501, peer_port: 4502 }\n    children:");
  text = edited(text, "        manual:",
                "        protocol: udp\n        remote_port: 5060\n        replay_window: 128\n        manual:");
  auto records = compile(load(text));
  ASSERT_TRUE(records) << records.error().reason;
  api::sa_record out;
  out.tunnel = api::name("branch");
  out.child = api::name("net");
  out.suite = esp_suite::aes256cbc_sha256;
  out.esn = 1;
  out.udp_encapsulation = 1;
  out.local_port = 4501;
  out.remote_port = 4502;
  out.spi = 0x1001;
  out.keying = api::sa_keying::manual;
  out.replay_window = 128;
  out.local = parse_ip_address("203.0.113.2").value();
  out.remote = parse_ip_address("203.0.113.25").value();
  out.protocol = 17;
  out.remote_ports = {5060, 5060};
  out.local_count = out.remote_count = 1;
  out.local_ranges[0] = prefix("10.1.0.0/16");
  out.remote_ranges[0] = prefix("10.2.0.0/16");
  out.key_length = cbc_sha256_key;
  std::fill_n(out.key.begin(), cbc_sha256_key, 0x11);
  api::sa_record in = out;
  in.direction = api::sa_direction::inbound;
  in.spi = 0x2001;
  std::fill_n(in.key.begin(), cbc_sha256_key, 0xaa);
  ASSERT_EQ(records->sas.size(), 2u);
  EXPECT_TRUE(records->sas[0] == out);
  EXPECT_TRUE(records->sas[1] == in);
}

TEST_F(compile_test, children_keep_their_order) {
  auto second = R"(      second:
        local: [10.1.0.0/16]
        remote: [10.3.0.0/16]
        manual:
          esp: aes128cbc-sha1
          out: { spi: 0x1002, key: { env: TRUNKGATE_TEST_OUT } }
          in: { spi: 0x2002, key: { credential: second-in } }
policies:)";
  setenv("TRUNKGATE_TEST_OUT", hexadecimal(36, '2').c_str(), 1);
  setenv("CREDENTIALS_DIRECTORY", folder_.c_str(), 1);
  write("second-in", hexadecimal(36, '3'));
  auto records = compile(load(edited(base, "policies:", second)));
  unsetenv("TRUNKGATE_TEST_OUT");
  unsetenv("CREDENTIALS_DIRECTORY");
  ASSERT_TRUE(records) << records.error().reason;
  ASSERT_EQ(records->sas.size(), 4u);
  std::vector<std::uint32_t> orders;
  for (const auto& sa : records->sas) orders.push_back(sa.order);
  EXPECT_EQ(orders, (std::vector<std::uint32_t>{0, 0, 1, 1}));
  EXPECT_EQ(records->sas[2].key_length, 36);
  EXPECT_EQ(records->sas[2].key[35], 0x22);
  EXPECT_EQ(records->sas[2].key[36], 0);
  EXPECT_EQ(records->sas[3].key[0], 0x33);
}

TEST_F(compile_test, what_is_wrong_with_a_key_is_said_without_it) {
  const std::string path = "tunnels.branch.children.net.manual.in.key: ", file = folder_ + "/in.key";
  write("in.key", "00112233");
  EXPECT_EQ(reason(base), path + file + " needs 128 hexadecimal digits for this suite, has 8");
  write("in.key", hexadecimal(cbc_sha256_key, 'x'));
  EXPECT_EQ(reason(base), path + file + " has a character that is no hexadecimal digit");
  write("in.key", hexadecimal(cbc_sha256_key, '1'));
  EXPECT_EQ(
      reason(base),
      path + "is the same key as tunnels.branch.children.net.manual.out.key: one key must not serve both directions");
  write("in.key", std::string(5000, '1'));
  EXPECT_EQ(reason(base), path + file + " needs 128 hexadecimal digits for this suite, has 1024");
  std::filesystem::remove(file);
  EXPECT_EQ(reason(base), path + file + ": No such file or directory");
  EXPECT_EQ(reason(edited(base, "file: in.key", "env: TRUNKGATE_TEST_NONE")),
            path + "the environment has no variable TRUNKGATE_TEST_NONE");
  unsetenv("CREDENTIALS_DIRECTORY");
  EXPECT_EQ(reason(edited(base, "file: in.key", "credential: in")),
            path + "CREDENTIALS_DIRECTORY is not set: the service was given no credentials");
}

}  // namespace

}  // namespace trunkgate
