// What IKE for the box is taken for, when there is more of it than the box takes.
#include <gtest/gtest.h>

#include "dataplane/stages/ike_front.hpp"
#include "tests/unit/stages/little_gateway.hpp"
#include "tests/unit/stages/peer.hpp"

namespace trunkgate {
namespace {

using namespace test;

constexpr std::uint8_t sa_init = 34, from_initiator = 0x08, response = 0x20;

bytes ike(std::uint64_t initiator, std::uint64_t responder, std::uint8_t flags) {
  return join({be(initiator, 8), be(responder, 8), {33, 0x20, sa_init, flags}, be(0, 4), be(28, 4)});
}

class punt_ike_test : public testing::Test {
 protected:
  static bytes datagram(const bytes& message, std::uint16_t port, const char* from, const char* to) {
    return udp_packet(between(from, to), port, port, port == 500 ? message : join({be(0, 4), message}));
  }
  bool receive(const bytes& message, std::uint16_t port = 500) {
    gateway_.receive(outside, datagram(message, port, "192.0.2.2", "192.0.2.1"));
    gateway_.run();
    return !gateway_.punted().empty();
  }
  void send(const bytes& message, std::uint16_t port = 500) {
    const auto frame = frame_of(peer_mac, outside_mac, datagram(message, port, "192.0.2.1", "192.0.2.2"));
    EXPECT_TRUE(gateway_.workers().inject(gateway_.buffer(frame), outside));
    gateway_.run();
    EXPECT_EQ(gateway_.sent(outside).size(), 1u);
  }
  // Of a message that came.
  punt_class kind(const bytes& message) {
    ike_front front;
    std::memcpy(&front.initiator_spi, message.data(), 8);
    std::memcpy(&front.responder_spi, message.data() + 8, 8);
    front.response = (message[19] & response) != 0;
    return ike_class(gateway_.tables().ike, front);
  }

  little_gateway gateway_;
};

TEST_F(punt_ike_test, who_begins_is_one_of_many) {
  EXPECT_EQ(kind(ike(1, 0, from_initiator)), punt_class::ike_init);
  EXPECT_EQ(kind(ike(1, 2, from_initiator)), punt_class::ike_other);
  EXPECT_EQ(kind(ike(1, 0, response)), punt_class::ike_other);
  EXPECT_EQ(ike_class(gateway_.tables().ike, std::nullopt), punt_class::ike_other);
}

TEST_F(punt_ike_test, what_the_box_answers_goes_on) {
  for (const std::uint16_t port : {500, 4500}) {
    const std::uint64_t spi = 10 + port;
    send(ike(spi, 2, response), port);
    EXPECT_EQ(kind(ike(spi, 2, from_initiator)), punt_class::ike);
    EXPECT_EQ(kind(ike(spi, 2, response)), punt_class::ike);
    EXPECT_EQ(kind(ike(spi, 3, from_initiator)), punt_class::ike_other);
    EXPECT_EQ(kind(ike(2, spi, from_initiator)), punt_class::ike_other);
  }
}

TEST_F(punt_ike_test, what_the_box_begins_is_answered) {
  send(ike(5, 0, from_initiator));
  EXPECT_EQ(kind(ike(5, 0, response)), punt_class::ike) << "COOKIE, INVALID_KE_PAYLOAD";
  EXPECT_EQ(kind(ike(5, 77, response)), punt_class::ike);
  EXPECT_EQ(kind(ike(5, 77, from_initiator)), punt_class::ike_other);
}

TEST_F(punt_ike_test, whom_the_box_sends_back_comes_again) {
  send(ike(6, 0, response));
  EXPECT_EQ(kind(ike(6, 0, from_initiator)), punt_class::ike_again);
  EXPECT_EQ(kind(ike(6, 0, response)), punt_class::ike_other) << "a stranger's request is no request of the box";
}

TEST_F(punt_ike_test, for_whom_there_was_no_room_comes_again) {
  std::uint64_t spi = 1000;
  while (receive(ike(++spi, 0, from_initiator))) {
    // The bucket fills as time goes by: so nothing else may.
    while (gateway_.context().policer.admits(punt_class::ike_init, rte_rdtsc())) continue;
    ASSERT_LT(spi, 100'000u);
  }
  EXPECT_EQ(gateway_.drops(drop_reason::punt_rate_limited), 1u);
  EXPECT_EQ(kind(ike(spi, 0, from_initiator)), punt_class::ike_again);
  EXPECT_TRUE(receive(ike(spi, 0, from_initiator)));
  EXPECT_EQ(kind(ike(spi + 1, 0, from_initiator)), punt_class::ike_init);
}

TEST_F(punt_ike_test, a_flood_starves_no_ike_sa) {
  send(ike(8, 9, response));
  for (std::uint64_t spi = 5000; spi < 9000; ++spi)
    receive(ike(spi, spi % 2, from_initiator), spi % 4 < 2 ? 500 : 4500);
  EXPECT_GT(gateway_.drops(drop_reason::punt_rate_limited), 0u);
  for (unsigned i = 0; i < 500; ++i) EXPECT_TRUE(receive(ike(8, 9, from_initiator)));
}

}  // namespace
}  // namespace trunkgate
