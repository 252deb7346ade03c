// What the key process and its client say to each other over a Unix SEQPACKET socket: one request or answer per
// message.
//
// A message is a head and the byte strings whose lengths it names, nothing behind them. Integers are in host byte
// order: both ends are on one machine. Requests are answered in order; `number` is copied into the answer.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/model.hpp"
#include "controlplane/keystore/client.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate::keystore_wire {

using byte_view = std::span<const std::uint8_t>;

inline constexpr std::uint32_t magic = 0x54474b53;  // "TGKS"
inline constexpr std::uint16_t version = 1;
// What AUTH is made over begins with a whole IKE_SA_INIT message, which is at most a UDP datagram (RFC 7296 2.15).
inline constexpr std::size_t octets_limit = 96 * 1024, name_limit = 4096, path_limit = 1024;
inline constexpr std::size_t part_count = 3;

enum class message_type : std::uint16_t {
  // requests
  public_key = 1,
  sign,      // part 0: the octets
  psk_auth,  // part 0: the octets
  mix_ppk,   // parts: SK_d, SK_pi, SK_pr
  reload,
  status,
  // answers
  ok = 100,  // parts: what was computed; of `status` part 0 is a status_record
  failed,    // part 0: the reason, text
};

struct request_head {
  std::uint32_t magic = keystore_wire::magic;
  std::uint16_t version = keystore_wire::version;
  message_type type{};
  std::uint32_t number = 0;
  std::uint8_t kind = 0;    // key_reference::kind
  std::uint8_t scheme = 0;  // signature_scheme
  std::uint16_t prf = 0;    // a transform_id
  std::uint16_t name_length = 0, path_length = 0;
  std::array<std::uint32_t, part_count> part_lengths{};
};
static_assert(sizeof(request_head) == 32);

struct answer_head {
  std::uint32_t magic = keystore_wire::magic;
  std::uint16_t version = keystore_wire::version;
  message_type type{};
  std::uint32_t number = 0;
  std::array<std::uint32_t, part_count> part_lengths{};
};
static_assert(sizeof(answer_head) == 24);

struct status_record {
  std::uint32_t private_keys = 0, shared_keys = 0;  // held at the moment
  std::uint64_t answered = 0, refused = 0;          // since the start
};
static_assert(sizeof(status_record) == 24);

inline constexpr std::size_t message_limit = sizeof(request_head) + name_limit + path_limit + part_count * octets_limit;

// A request taken apart. `parts` borrow the message's bytes.
struct request {
  std::uint32_t number = 0;
  message_type type{};
  key_reference key{};
  signature_scheme scheme{};
  std::uint16_t prf = 0;
  std::array<byte_view, part_count> parts{};
};
struct answer {
  std::uint32_t number = 0;
  bool ok = false;
  std::array<byte_view, part_count> parts{};
};

// Fails where a name or a part is longer than the limits.
[[nodiscard]] result<std::vector<std::uint8_t>> encode(const request& one);
[[nodiscard]] std::vector<std::uint8_t> encode(const answer& one);
// Every length is checked against the message's: what is returned lies in `message`. A reason never holds bytes of it.
[[nodiscard]] result<request> parse_request(byte_view message);
[[nodiscard]] result<answer> parse_answer(byte_view message);
// The number of a message that could not be taken apart, so that its sender still gets an answer; 0: not even that.
[[nodiscard]] std::uint32_t number_of(byte_view message);

}  // namespace trunkgate::keystore_wire
