#include "dataplane/core/bytes.hpp"

#include <array>

#include <gtest/gtest.h>

namespace trunkgate {
namespace {

TEST(big_endian, stands_on_the_wire_with_the_highest_byte_first) {
  be32 value(0x01020304);
  std::array<std::uint8_t, 4> wire;
  std::memcpy(wire.data(), &value, 4);
  EXPECT_EQ(wire, (std::array<std::uint8_t, 4>{1, 2, 3, 4}));
  EXPECT_EQ(value.host(), 0x01020304u);
  EXPECT_EQ(be16(0x1234).host(), 0x1234);
  EXPECT_EQ(be64(0x0102030405060708).host(), 0x0102030405060708u);
}

TEST(big_endian, lies_over_unaligned_bytes) {
  struct header {
    std::uint8_t first;
    be32 second;
  };
  static_assert(sizeof(header) == 5);
  const std::uint8_t wire[] = {9, 0, 0, 1, 0};
  header read;
  std::memcpy(&read, wire, sizeof read);
  EXPECT_EQ(read.second.host(), 256u);
}

TEST(byte_reader, reads_to_the_last_byte_and_no_further) {
  const std::uint8_t bytes[] = {1, 2, 3, 4, 5};
  byte_reader reader(bytes);
  EXPECT_EQ(reader.read<be32>()->host(), 0x01020304u);
  EXPECT_FALSE(reader.read<be16>());
  EXPECT_EQ(reader.position(), 4u) << "a failed read moved the position";
  EXPECT_EQ(reader.read<std::uint8_t>(), 5);
  EXPECT_EQ(reader.remaining(), 0u);
  EXPECT_FALSE(reader.read<std::uint8_t>());
}

TEST(byte_reader, takes_parts) {
  const std::uint8_t bytes[] = {1, 2, 3};
  byte_reader reader(bytes);
  EXPECT_FALSE(reader.take(4));
  EXPECT_FALSE(reader.take(SIZE_MAX));
  auto part = reader.take(2);
  ASSERT_TRUE(part);
  EXPECT_EQ(part->data(), bytes);
  EXPECT_EQ(part->size(), 2u);
  EXPECT_EQ(reader.take(1)->front(), 3);
  EXPECT_TRUE(reader.take(0));
}

}  // namespace
}  // namespace trunkgate
