// What a packet touches of its SA lies in few cache lines, and what two threads write does not lie in the same one.
#include <gtest/gtest.h>

#include "dataplane/state/sa.hpp"

namespace trunkgate {
namespace {

constexpr std::size_t line_size = 64;

template <class T>
std::size_t first_line(const void* whole, const T& part) {
  return static_cast<std::size_t>(reinterpret_cast<const char*>(&part) - static_cast<const char*>(whole)) / line_size;
}
template <class T>
std::size_t last_line(const void* whole, const T& part) {
  return (static_cast<std::size_t>(reinterpret_cast<const char*>(&part) - static_cast<const char*>(whole)) +
          sizeof part - 1) /
         line_size;
}

TEST(sa_layout, an_outbound_packet_over_ipv4_touches_two_lines) {
  const outbound_sa sa;
  constexpr std::size_t ipv4_and_udp = 28;
  EXPECT_EQ(first_line(&sa, sa.key), 0u);
  EXPECT_EQ(last_line(&sa, sa.owner), 0u);
  EXPECT_EQ(last_line(&sa, sa.outer[ipv4_and_udp - 1]), 0u);
  const auto written = first_line(&sa, sa.sequence);
  EXPECT_GT(written, last_line(&sa, sa.outer)) << "the owner writes where others read";
  for (const auto line : {last_line(&sa, sa.reserved), last_line(&sa, sa.lifetime), last_line(&sa, sa.counters.packets),
                          last_line(&sa, sa.counters.bytes), last_line(&sa, sa.counters.last_used_ms)})
    EXPECT_EQ(line, written);
}

TEST(sa_layout, an_inbound_packet_touches_three_lines) {
  const inbound_sa sa;
  EXPECT_EQ(last_line(&sa, sa.remote), 0u);
  EXPECT_EQ(last_line(&sa, sa.port), 0u);
  EXPECT_EQ(first_line(&sa, sa.window), 1u);
  EXPECT_EQ(last_line(&sa, sa.lifetime), 1u);
  for (const auto line :
       {first_line(&sa, sa.slot), last_line(&sa, sa.usual_selectors), last_line(&sa, sa.counters.packets),
        last_line(&sa, sa.counters.bytes), last_line(&sa, sa.counters.last_used_ms)})
    EXPECT_EQ(line, 2u);
}

}  // namespace
}  // namespace trunkgate
