#include "controlplane/cli/doctor.hpp"

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

machine good_machine() {
  machine m;
  m.nics = {{.name = "eth0", .driver = "ixgbe", .up = true, .mtu = 1500, .receive_queues = 4}};
  m.hugepages = {{.page_kilobytes = 2048, .total = 256, .free = 200}};
  m.cpu_flags = {"aes", "pclmulqdq", "ssse3", "sse4_2", "vaes", "vpclmulqdq", "constant_tsc", "nonstop_tsc"};
  m.cpus = 4;
  m.capabilities = (1ull << 12) | (1ull << 13) | (1ull << 14) | (1ull << 39);
  m.forwarding_v4 = m.forwarding_v6 = false;
  m.tun_device = true;
  m.nft = "/usr/sbin/nft";
  m.memlock_bytes = UINT64_MAX;
  return m;
}

std::string level(const listing& found, std::string_view what) {
  for (const auto& object : found.objects)
    if (object["what"] == what) return object["level"];
  return "absent";
}

TEST(doctor, finds_nothing_on_a_good_machine) {
  const auto found = diagnose(good_machine());
  EXPECT_FALSE(found.something_down);
  EXPECT_EQ(found.summary, "0 to mend, 0 to know");
}

TEST(doctor, tells_each_trouble_with_what_to_do) {
  const struct {
    const char* what;
    const char* level;
    void (*spoil)(machine&);
  } cases[] = {
      {"CAP_NET_ADMIN", "problem", [](machine& m) { m.capabilities &= ~(1ull << 12); }},
      {"CAP_NET_RAW", "problem", [](machine& m) { m.capabilities &= ~(1ull << 13); }},
      {"CAP_IPC_LOCK", "notable", [](machine& m) { m.capabilities &= ~(1ull << 14); }},
      {"CAP_BPF", "notable", [](machine& m) { m.capabilities &= ~(1ull << 39); }},
      {"/dev/net/tun", "problem", [](machine& m) { m.tun_device = false; }},
      {"nft", "problem", [](machine& m) { m.nft.clear(); }},
      {"net.ipv4.ip_forward", "notable", [](machine& m) { m.forwarding_v4 = true; }},
      {"net.ipv6.conf.all.forwarding", "notable", [](machine& m) { m.forwarding_v6 = true; }},
      {"hugepages", "notable", [](machine& m) { m.hugepages.clear(); }},
      {"CPU flag aes", "problem", [](machine& m) { m.cpu_flags.erase("aes"); }},
      {"usable CPUs", "notable", [](machine& m) { m.cpus = 1; }},
      {"TSC", "notable", [](machine& m) { m.cpu_flags.erase("nonstop_tsc"); }},
      {"ports", "problem", [](machine& m) { m.nics.clear(); }},
  };
  for (const auto& [what, expected, spoil] : cases) {
    auto spoilt = good_machine();
    spoil(spoilt);
    const auto found = diagnose(spoilt);
    EXPECT_EQ(level(found, what), expected) << what;
    EXPECT_EQ(found.something_down, std::string_view(expected) == "problem") << what;
    for (const auto& object : found.objects)
      EXPECT_TRUE(object["level"] == "fine" || !object["to_do"].get<std::string>().empty()) << object["what"];
  }
}

TEST(doctor, names_the_path_of_each_port) {
  auto m = good_machine();
  m.nics.push_back({.name = "veth0", .driver = "", .up = true});
  m.nics.push_back({.name = "0000:03:00.0", .driver = "vfio-pci", .up = true});
  const auto text = diagnose(m).short_view.text({});
  EXPECT_NE(text.find("af_xdp (ixgbe), 4 queues"), std::string::npos) << text;
  EXPECT_NE(text.find("vfio (vfio-pci)"), std::string::npos);
  EXPECT_NE(text.find("a virtual device"), std::string::npos);
}

// The real machine: at least what every Linux has.
TEST(machine, is_read) {
  const auto here = read_machine("/");
  EXPECT_FALSE(here.cpu_flags.empty());
  EXPECT_GE(here.cpus, 1u);
  EXPECT_TRUE(here.forwarding_v4.has_value());
  for (const auto& nic : here.nics) EXPECT_NE(nic.name, "lo");
}

}  // namespace
}  // namespace trunkgate
