#include "controlplane/keystore/wire.hpp"

#include <cstddef>
#include <cstring>

#include "dataplane/core/bytes.hpp"

namespace trunkgate::keystore_wire {

namespace {

template <class Head>
void append_head(std::vector<std::uint8_t>& to, const Head& head) {
  const auto* first = reinterpret_cast<const std::uint8_t*>(&head);
  to.insert(to.end(), first, first + sizeof head);
}

void append(std::vector<std::uint8_t>& to, byte_view part) { to.insert(to.end(), part.begin(), part.end()); }
void append(std::vector<std::uint8_t>& to, std::string_view part) { to.insert(to.end(), part.begin(), part.end()); }

std::size_t sum(const std::array<byte_view, part_count>& parts) {
  std::size_t all = 0;
  for (auto part : parts) all += part.size();
  return all;
}

template <class Head>
result<Head> read_head(byte_reader& from) {
  auto head = from.read<Head>();
  if (!head) return failure("a message that is shorter than its head");
  if (head->magic != magic) return failure("a message that is none of ours");
  if (head->version != version)
    return failure("a message of version " + std::to_string(head->version) + ", this is version " +
                   std::to_string(version) + ": both programs must be of one release");
  return *head;
}

// The parts, and nothing behind them.
template <class Head>
result<std::array<byte_view, part_count>> read_parts(byte_reader& from, const Head& head) {
  std::array<byte_view, part_count> parts;
  for (std::size_t i = 0; i < part_count; ++i) {
    if (head.part_lengths[i] > octets_limit) return failure("a message with a part that is too long");
    auto part = from.take(head.part_lengths[i]);
    if (!part) return failure("a message that is shorter than it says");
    parts[i] = *part;
  }
  if (from.remaining() != 0) return failure("a message that is longer than it says");
  return parts;
}

std::string text(byte_view bytes) { return {bytes.begin(), bytes.end()}; }

}  // namespace

result<std::vector<std::uint8_t>> encode(const request& one) {
  if (one.key.name.size() > name_limit || one.key.path.size() > path_limit)
    return failure(one.key.path.substr(0, path_limit) + ": the key's name is longer than " +
                   std::to_string(name_limit) + " bytes");
  request_head head{.type = one.type,
                    .number = one.number,
                    .kind = static_cast<std::uint8_t>(one.key.from),
                    .scheme = static_cast<std::uint8_t>(one.scheme),
                    .prf = one.prf,
                    .name_length = static_cast<std::uint16_t>(one.key.name.size()),
                    .path_length = static_cast<std::uint16_t>(one.key.path.size())};
  for (std::size_t i = 0; i < part_count; ++i) {
    if (one.parts[i].size() > octets_limit) return failure(one.key.path + ": more octets than can be signed");
    head.part_lengths[i] = static_cast<std::uint32_t>(one.parts[i].size());
  }
  std::vector<std::uint8_t> out;
  // At once: growing would leave copies behind that nobody wipes.
  out.reserve(sizeof head + one.key.name.size() + one.key.path.size() + sum(one.parts));
  append_head(out, head);
  append(out, one.key.name);
  append(out, one.key.path);
  for (auto part : one.parts) append(out, part);
  return out;
}

std::vector<std::uint8_t> encode(const answer& one) {
  answer_head head{.type = one.ok ? message_type::ok : message_type::failed, .number = one.number};
  for (std::size_t i = 0; i < part_count; ++i) head.part_lengths[i] = static_cast<std::uint32_t>(one.parts[i].size());
  std::vector<std::uint8_t> out;
  out.reserve(sizeof head + sum(one.parts));
  append_head(out, head);
  for (auto part : one.parts) append(out, part);
  return out;
}

result<request> parse_request(byte_view message) {
  byte_reader from(message);
  auto head = read_head<request_head>(from);
  if (!head) return std::unexpected(head.error());
  if (head->type < message_type::public_key || head->type > message_type::status)
    return failure("a request of an unknown type");
  if (head->kind > static_cast<std::uint8_t>(key_reference::kind::credential))
    return failure("a request for a key of an unknown kind");
  if (head->scheme > static_cast<std::uint8_t>(signature_scheme::ed448))
    return failure("a request with an unknown signature scheme");
  if (head->name_length > name_limit || head->path_length > path_limit)
    return failure("a request with a name that is too long");
  auto name = from.take(head->name_length);
  auto path = from.take(head->path_length);
  if (!name || !path) return failure("a message that is shorter than it says");
  auto parts = read_parts(from, *head);
  if (!parts) return std::unexpected(parts.error());
  return request{
      .number = head->number,
      .type = head->type,
      .key = {.from = static_cast<key_reference::kind>(head->kind), .name = text(*name), .path = text(*path)},
      .scheme = static_cast<signature_scheme>(head->scheme),
      .prf = head->prf,
      .parts = *parts};
}

result<answer> parse_answer(byte_view message) {
  byte_reader from(message);
  auto head = read_head<answer_head>(from);
  if (!head) return std::unexpected(head.error());
  if (head->type != message_type::ok && head->type != message_type::failed)
    return failure("an answer of an unknown type");
  auto parts = read_parts(from, *head);
  if (!parts) return std::unexpected(parts.error());
  return answer{.number = head->number, .ok = head->type == message_type::ok, .parts = *parts};
}

std::uint32_t number_of(byte_view message) {
  // The same place in every version: an older or newer client is told why it is not understood.
  constexpr std::size_t place = offsetof(request_head, number);
  static_assert(place == offsetof(answer_head, number));
  std::uint32_t number = 0;
  if (message.size() >= place + sizeof number) std::memcpy(&number, message.data() + place, sizeof number);
  return number;
}

}  // namespace trunkgate::keystore_wire
