// tshark as the judge of what we write: it finds nothing malformed, and reads the fields that we put in.
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <sstream>

#include <gtest/gtest.h>

#include "controlplane/ike/wire/codec.hpp"
#include "tests/unit/ike_wire/samples.hpp"

namespace trunkgate::test {
namespace {

using namespace ike;

std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>/dev/null").c_str(), "r");
  if (!pipe) throw std::runtime_error("popen");
  std::string out;
  for (char part[4096]; const auto n = std::fread(part, 1, sizeof part, pipe);) out.append(part, n);
  if (::pclose(pipe) != 0) throw std::runtime_error(command + " failed");
  return out;
}

// A capture of raw IPv4 packets, each with one message to UDP port 500.
class capture {
 public:
  explicit capture(const std::vector<bytes>& messages) {
    std::ofstream file(path_, std::ios::binary);
    const auto put = [&file](const bytes& octets) {
      file.write(reinterpret_cast<const char*>(octets.data()), static_cast<std::streamsize>(octets.size()));
    };
    put(from_hex("a1b2c3d4 0002 0004 00000000 00000000 0000ffff 00000065"));  // LINKTYPE_RAW
    for (const auto& message : messages) {
      const auto size = message.size() + 28;
      put(from_hex(std::format("00000000 00000000 {0:08x} {0:08x}", size)));
      put(from_hex(std::format("45 00 {:04x} 0000 4000 40 11 0000 c0000201 c0000202", size)));
      put(from_hex(std::format("01f4 01f4 {:04x} 0000", size - 20)));
      put(message);
    }
  }
  ~capture() { ::unlink(path_.c_str()); }
  capture(const capture&) = delete;

  [[nodiscard]] std::string fields(const std::string& options) const {
    auto text = output_of("tshark -n -r " + path_ + " -T fields -E separator=/s " + options);
    while (!text.empty() && text.back() == '\n') text.pop_back();
    return text;
  }
  // How many packets IKE's dissector takes apart without a word of complaint.
  [[nodiscard]] std::size_t clean() const {
    const auto list = fields("-e frame.number -Y 'isakmp and not _ws.malformed and not _ws.expert'");
    return list.empty() ? 0 : static_cast<std::size_t>(std::ranges::count(list, '\n')) + 1;
  }

 private:
  std::string path_ = std::format("/tmp/trunkgate-ike-{}.pcap", ::getpid());
};

TEST(tshark, finds_nothing_malformed_in_what_we_write) {
  auto sealed = encode_encrypted_front(rich_header(), payload_type::id_initiator, 64);
  sealed.resize(sealed.size() + 64, 0x5a);
  auto fragment = encode_encrypted_front(rich_header(), payload_type::id_initiator, 64, 1, 2);
  fragment.resize(fragment.size() + 64, 0x5a);
  std::vector<bytes> messages{encode_message(rich_header(), rich_payloads()), encode_message(rich_header(), {}), sealed,
                              fragment};
  for (const auto& one : rich_payloads()) messages.push_back(encode_message(rich_header(), {one}));
  const capture good(messages);
  EXPECT_EQ(good.clean(), messages.size())
      << good.fields("-e frame.number -e _ws.expert.message -Y '_ws.malformed or _ws.expert or not isakmp'");

  // The judge can say no: one length too many.
  auto bad = encode_message(rich_header(), {ts_payload(std::get<ts_payload>(rich_payloads().back()))});
  bad[header_size + 3] += 1;
  EXPECT_EQ(capture({bad}).clean(), 0U);
}

TEST(tshark, reads_the_fields_as_we_meant_them) {
  const capture file({encode_message(rich_header(), rich_payloads())});
  const std::pair<const char*, const char*> expected[] = {
      {"isakmp.ispi -e isakmp.rspi", "1122334455667788 99aabbccddeeff01"},
      {"isakmp.exchangetype -e isakmp.messageid -e isakmp.flags", "36 0x01020304 0x08"},
      {"isakmp.prop.number", "1,2,3"},
      {"isakmp.prop.transforms", "6,4,1"},
      {"isakmp.spisize", "8,4,4,4,0,0,0,0,0,4"},
      {"isakmp.tf.type", "1,1,2,4,6,6,1,3,5,5,3"},
      {"isakmp.tf.id.encr", "20,20,12"},
      {"isakmp.tf.id.prf", "6"},
      {"isakmp.tf.id.integ", "12,14"},
      {"isakmp.tf.id.esn", "1,0"},
      {"isakmp.ike2.attr.key_length", "256,128,256"},
      {"isakmp.key_exchange.dh_group", "31"},
      {"isakmp.id.type -e isakmp.id.data.fqdn -e isakmp.id.data.ipv6_addr",
       "2,5 hq.example 2021:2223:2425:2627:2829:2a2b:2c2d:2e2f"},
      {"isakmp.cert.encoding -e isakmp.cert.x509.url -e isakmp.auth.method", "12 http://pki.example/hq.der 14"},
      {"isakmp.notify.msgtype", "16393,16390,16388,16431,16396"},
      {"isakmp.notify.data.signature_hash_algorithms", "2,3,4"},
      {"isakmp.delete.spi", "01020304,05060708,090a0b0c"},
      {"isakmp.spinum", "0,3"},
      {"isakmp.ts.number", "4,4"},
      {"isakmp.ts.type", "7,7,7,8,7,7,7,8"},
      {"isakmp.ts.protoid", "0,6,17,58,0,6,17,58"},
      {"isakmp.ts.start_port", "0,5060,65535,32768,0,5060,65535,32768"},
      {"isakmp.ts.end_port", "65535,5061,0,33279,65535,5061,0,33279"},
      {"isakmp.ts.start_ipv4", "10.1.0.0,10.1.2.3,192.0.2.1,10.1.0.0,10.1.2.3,192.0.2.1"},
      {"isakmp.ts.end_ipv4", "10.1.255.255,10.1.2.99,192.0.2.1,10.1.255.255,10.1.2.99,192.0.2.1"},
      {"isakmp.ts.end_ipv6", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff,2001:db8:ffff:ffff:ffff:ffff:ffff:ffff"},
  };
  for (const auto& [names, values] : expected) EXPECT_EQ(file.fields(std::string("-e ") + names), values) << names;
}

// Two of tshark 4.4's rows are slips: 46 stands there as a second CHILD_SA_NOT_FOUND, 16440 as a second IP4_ALLOWED.
TEST(tshark, calls_the_notify_types_as_we_do) {
  std::istringstream rows(output_of("tshark -G values"));
  std::map<std::uint16_t, std::string> theirs;
  for (std::string row; std::getline(rows, row);) {
    std::istringstream words(row);
    std::string kind, field;
    unsigned from = 0, to = 0;
    if (!(words >> kind >> field) || kind != "R" || field != "isakmp.notify.msgtype" || !(words >> from >> to))
      continue;
    std::string name;
    words >> name;
    // IKEv1's table has the same field and comes first: the later row wins.
    if (from == to) theirs[static_cast<std::uint16_t>(from)] = name;
  }
  theirs[46] = "AUTHORIZATION_FAILED";
  theirs[16440] = "IP6_ALLOWED";
  std::size_t compared = 0;
  for (std::uint32_t type = 1; type < 16443; ++type) {
    const auto ours = notify::name(static_cast<std::uint16_t>(type));
    if (ours.starts_with("notify ") || !theirs.contains(static_cast<std::uint16_t>(type))) continue;
    EXPECT_EQ(ours, theirs[static_cast<std::uint16_t>(type)]) << type;
    ++compared;
  }
  EXPECT_GT(compared, 70U);
}

}  // namespace
}  // namespace trunkgate::test
