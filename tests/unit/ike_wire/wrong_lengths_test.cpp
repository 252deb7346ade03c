// Messages that are cut, and messages in which one length lies: none is believed, wherever it happens.
#include <set>

#include <gtest/gtest.h>

#include "tests/unit/ike_wire/lengths.hpp"

namespace trunkgate::test {
namespace {

using namespace ike;

constexpr length_field message_length{24, 4, "message length"};

// What may not come out of a changed message: the same message, or no reason.
void expect_refused(const parsed<payloads>& read, const std::string& what) {
  EXPECT_FALSE(read) << what;
  EXPECT_TRUE(read || !read.error().reason.empty()) << what;
}
parsed<payloads> clear_of(const bytes& datagram) {
  auto read = parse_message(datagram);
  if (!read) return std::unexpected(read.error());
  return read->clear;
}

bytes first_octets(const bytes& of, std::size_t count) {
  return {of.begin(), of.begin() + static_cast<std::ptrdiff_t>(count)};
}

std::set<std::uint32_t> lies(std::uint32_t truth, std::size_t size) {
  std::set<std::uint32_t> all{0, 1, 2, 3, truth - 1, truth + 1, 65535};
  if (size == 1) all = {0, 1, 2, 3, truth - 1, truth + 1, 255};
  all.erase(truth);
  std::erase_if(all, [size](auto value) { return value > (size == 1 ? 255U : 65535U); });
  return all;
}

// Each field in turn, each lie in turn; returns how many were tried.
template <class Read>
std::size_t expect_no_lie_believed(const bytes& honest, const std::vector<length_field>& fields, Read read,
                                   const std::string& name) {
  std::size_t tried = 0;
  for (const auto& field : fields)
    for (const auto lie : lies(number_at(honest, field), field.size)) {
      auto changed = honest;
      put_number(changed, field, lie);
      expect_refused(read(changed),
                     std::format("{}: {} says {} instead of {}", name, field.what, lie, number_at(honest, field)));
      ++tried;
    }
  return tried;
}

TEST(wrong_lengths, of_a_message_with_every_payload_are_refused) {
  const auto honest = encode_message(rich_header(), rich_payloads());
  auto fields = length_fields(payload_type::sa, honest, header_size);
  ASSERT_GT(fields.size(), 50U);  // 18 payloads, 3 proposals with 11 transforms, 8 selectors, and the counts
  fields.push_back(message_length);
  EXPECT_GT(expect_no_lie_believed(honest, fields, clear_of, "rich"), 300U);
}

TEST(wrong_lengths, inside_an_encrypted_payload_are_refused) {
  const auto chain = encode_payloads(rich_payloads());
  const auto read = [&](const bytes& changed) { return parse_payloads(chain.first, changed); };
  expect_no_lie_believed(chain.data, length_fields(chain.first, chain.data, 0), read, "rich, inside");
}

TEST(wrong_lengths, of_real_messages_are_refused) {
  for (const auto& real : real_messages()) {
    for (const auto& datagram : real.datagrams) {
      auto fields = length_fields(payload_type{datagram[16]}, datagram, header_size);
      fields.push_back(message_length);
      expect_no_lie_believed(datagram, fields, clear_of, real.name);
    }
    const auto read = [&](const bytes& changed) { return parse_payloads(real.first_inside, changed); };
    if (!real.inside.empty())
      expect_no_lie_believed(real.inside, length_fields(real.first_inside, real.inside, 0), read,
                             real.name + ", inside");
  }
}

// Each message in memory of exactly its size, so that the sanitizers see a read beyond it.
TEST(truncation, is_refused_at_every_octet) {
  const auto whole = encode_message(rich_header(), rich_payloads());
  for (std::size_t size = 0; size < whole.size(); ++size) {
    auto cut = first_octets(whole, size);
    expect_refused(clear_of(cut), std::format("cut to {}", size));
    if (size < header_size) continue;
    put_number(cut, message_length, static_cast<std::uint32_t>(size));  // now the header agrees
    expect_refused(clear_of(cut), std::format("cut to {}, the header agreeing", size));
  }
}

TEST(truncation, is_refused_inside_an_encrypted_payload) {
  const auto chain = encode_payloads(rich_payloads());
  for (std::size_t size = 0; size < chain.data.size(); ++size)
    expect_refused(parse_payloads(chain.first, first_octets(chain.data, size)), std::format("cut to {}", size));
}

// A chain that is cut, with the length of the payload at its end agreeing: only its inner fields are left to object.
TEST(truncation, of_each_payload_is_refused_or_shorter) {
  for (const auto& one : rich_payloads()) {
    const auto chain = encode_payloads({one});
    for (std::size_t size = 4; size < chain.data.size(); ++size) {
      auto cut = first_octets(chain.data, size);
      put_number(cut, {2, 2, ""}, static_cast<std::uint32_t>(size));
      const auto read = parse_payloads(chain.first, cut);
      EXPECT_TRUE(!read || read->at(0) != one) << size;
    }
  }
}

}  // namespace
}  // namespace trunkgate::test
