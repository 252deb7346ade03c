// What the pcapng writer writes, as tshark reads it.
#include "controlplane/cli/pcapng.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

using block = pcapng_writer::block;

void append(block& out, const block& more) { out.insert(out.end(), more.begin(), more.end()); }

std::string read_by_tshark(const block& content, const std::string& fields) {
  char name[] = "/tmp/trunkgate-pcapng-XXXXXX";
  ::close(::mkstemp(name));
  std::ofstream(name).write(reinterpret_cast<const char*>(content.data()),
                            static_cast<std::streamsize>(content.size()));
  std::string out;
  std::FILE* pipe = ::popen(("tshark -n -r " + std::string(name) + " -T fields " + fields + " 2>&1").c_str(), "r");
  char buffer[4096];
  while (std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) out.append(buffer, got);
  ::pclose(pipe);
  ::unlink(name);
  // Its warning about being root.
  if (out.starts_with("Running as")) out.erase(0, out.find('\n') + 1);
  return out;
}

const block ping = {0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 8, 0, 0, 0, 0, 7, 0, 9};

TEST(pcapng, interfaces_times_lengths_directions_and_comments) {
  pcapng_writer writer;
  auto file = pcapng_writer::section_header("trunkgate test");
  block frame(12, 0xaa);
  append(frame, {0x08, 0x00});
  append(frame, ping);
  pcapng_packet first{.unix_ns = 1'700'000'000'123'456'789, .bytes = frame, .length = 1400};
  first.interface = writer.interface("wan (wire)", link_type::ethernet, file);
  first.direction = packet_direction::inbound;
  append(file, pcapng_writer::packet(first));
  pcapng_packet second{.unix_ns = 1'700'000'001'000'000'001, .bytes = ping, .length = 28};
  second.interface = writer.interface("site-b (inner)", link_type::raw_ip, file);
  second.direction = packet_direction::outbound;
  second.comment = "dropped: no_sa";
  append(file, pcapng_writer::packet(second));
  EXPECT_EQ(writer.interface("wan (wire)", link_type::ethernet, file), 0u);
  EXPECT_EQ(writer.interface("wan (wire)", link_type::raw_ip, file), 2u);  // another link type is another interface
  EXPECT_EQ(read_by_tshark(file,
                           "-E separator='|' -e frame.interface_name -e frame.time_epoch -e frame.len -e frame.cap_len "
                           "-e frame.p2p_dir -e frame.comment -e ip.src -e icmp.seq"),
            "wan (wire)|1700000000.123456789|1400|42|1||10.0.0.1|9\n"
            "site-b (inner)|1700000001.000000001|28|28|0|dropped: no_sa|10.0.0.1|9\n");
}

// Everything is padded to 32 bits: names, comments and packets of every remainder.
TEST(pcapng, any_length) {
  pcapng_writer writer;
  auto file = pcapng_writer::section_header("");
  std::string expected;
  for (std::uint32_t more = 0; more < 6; ++more) {
    block content = ping;
    content.resize(ping.size() + more);
    const std::string name(more + 1, 'n'), comment(more + 1, 'c');
    pcapng_packet packet{.bytes = content, .length = static_cast<std::uint32_t>(content.size())};
    packet.interface = writer.interface(name, link_type::raw_ip, file);
    packet.comment = comment;
    append(file, pcapng_writer::packet(packet));
    expected += name + "|" + comment + "|" + std::to_string(content.size()) + "\n";
  }
  EXPECT_EQ(read_by_tshark(file, "-E separator='|' -e frame.interface_name -e frame.comment -e frame.len"), expected);
}

}  // namespace
}  // namespace trunkgate
