// Any bytes as an IKE message, and as what was inside an encrypted payload: refused with a reason, or taken, and then
// written again as a message that reads the same.
#include <cstdlib>

#include "controlplane/ike/wire/describe.hpp"
#include "controlplane/ike/wire/notify.hpp"

using namespace trunkgate::ike;

namespace {

void require(bool good) {
  if (!good) std::abort();
}

void check_error(const parse_error& why) {
  require(!why.reason.empty() && why.reason.find('\n') == std::string::npos);
  require(why.notify == 0 || why.notify == notify::invalid_syntax || why.notify == notify::invalid_major_version ||
          why.notify == notify::unsupported_critical_payload);
  require((why.notify == notify::unsupported_critical_payload) == (why.critical_type != 0));
}

void check_lines(const payloads& all) {
  require(all.size() <= payloads_limit);
  for (const auto& one : all) {
    const auto line = describe(one);
    require(!line.empty() && line.find_first_of("\r\n\x1b") == std::string::npos);
  }
}

void take_message(byte_view datagram) {
  const auto head = parse_header(datagram);
  const auto read = parse_message(datagram);
  if (!read) return check_error(read.error());
  require(head.has_value() && datagram.size() <= message_limit && read->body_offset <= datagram.size());
  require(!describe(read->head).empty());
  check_lines(read->clear);
  if (read->body_offset == 0) {
    require(parse_message(encode_message(read->head, read->clear)).value().clear == read->clear);
    return;
  }
  require(read->fragment <= read->fragments && (read->fragment == 0) == (read->fragments == 0));
  const std::size_t body = datagram.size() - read->body_offset;
  require(body > 0);
  auto again = encode_encrypted_front(read->head, read->first_inside, body, read->fragment, read->fragments);
  again.resize(again.size() + body);
  const auto reread = parse_message(again).value();
  require(reread.first_inside == read->first_inside && reread.fragment == read->fragment &&
          reread.fragments == read->fragments && again.size() - reread.body_offset == body);
}

void take_chain(payload_type first, byte_view chain) {
  const auto read = parse_payloads(first, chain);
  if (!read) return check_error(read.error());
  check_lines(*read);
  const auto again = encode_payloads(*read);
  require(again.first == (read->empty() ? payload_type::none : first) && again.data.size() <= chain.size());
  require(parse_payloads(again.first, again.data).value() == *read);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const byte_view all(data, size);
  take_message(all);
  if (size < header_size || size > message_limit) return 0;
  // The length in the header hides everything behind it from a fuzzer that changes sizes: said rightly, it does not.
  bytes agreeing(data, data + size);
  for (std::size_t i = 0; i < 4; ++i) agreeing[24 + i] = static_cast<std::uint8_t>(size >> (24 - 8 * i));
  take_message(agreeing);
  take_chain(payload_type{data[16]}, all.subspan(header_size));
  return 0;
}
