// What the exchanges have in common: notes for the record, notifies.
#pragma once

#include <string>
#include <utility>

#include "controlplane/ike/sa/ike_sa.hpp"
#include "controlplane/ike/wire/notify.hpp"

namespace trunkgate::ike {

[[nodiscard]] inline failed_step failed(trouble what, std::string text, std::string path = {},
                                        std::uint16_t notify = 0) {
  return {.what = what, .text = std::move(text), .path = std::move(path), .notify = notify};
}

[[nodiscard]] inline notify_payload note(std::uint16_t type, bytes data = {}) {
  return {.type = type, .data = std::move(data), .protocol = protocol_id::none, .spi = {}};
}

// The first error notify in a message; nullptr: none.
[[nodiscard]] inline const notify_payload* find_error(const payloads& in) {
  for (const auto& one : in)
    if (const auto* found = std::get_if<notify_payload>(&one); found && notify::is_error(found->type)) return found;
  return nullptr;
}

inline void add_step(ike_sa& sa, std::string exchange, bool ok, std::string text, const exchange_end& end = {}) {
  // An IKE SA may live for months: how it came up stays, and what happened last.
  constexpr std::size_t first_kept = 8, kept = 24;
  if (sa.record.steps.size() >= kept) sa.record.steps.erase(sa.record.steps.begin() + first_kept);
  sa.record.steps.push_back({.exchange = std::move(exchange),
                             .ok = ok,
                             .text = std::move(text),
                             .took = std::chrono::duration_cast<std::chrono::milliseconds>(end.took),
                             .sent = end.sent});
}

// The failure of an exchange that got no answer.
[[nodiscard]] inline failed_step no_answer(const exchange_end& end, const char* exchange) {
  if (end.why == silence::closed) return failed(trouble::closed_by_us, "the IKE SA was closed meanwhile");
  return failed(trouble::peer_silent,
                "no answer to " + std::string(exchange) + " (" + std::to_string(end.sent) + " requests)");
}

[[nodiscard]] inline bytes random_bytes(environment& outside, std::size_t size) {
  bytes out(size);
  outside.random(out);
  return out;
}

[[nodiscard]] inline bytes spi_bytes(std::uint32_t spi) {
  return {static_cast<std::uint8_t>(spi >> 24), static_cast<std::uint8_t>(spi >> 16),
          static_cast<std::uint8_t>(spi >> 8), static_cast<std::uint8_t>(spi)};
}
[[nodiscard]] inline bytes spi_bytes(std::uint64_t spi) {
  auto out = spi_bytes(static_cast<std::uint32_t>(spi >> 32));
  const auto low = spi_bytes(static_cast<std::uint32_t>(spi));
  out.insert(out.end(), low.begin(), low.end());
  return out;
}
// RFC 7296 2.3: how many of the peer's requests may be under way.
[[nodiscard]] inline notify_payload window_size() {
  return note(notify::set_window_size, spi_bytes(channel::receive_window));
}

// Big-endian; of 4 or 8 octets.
[[nodiscard]] inline std::uint64_t spi_number(byte_view octets) {
  std::uint64_t out = 0;
  for (const auto octet : octets) out = out << 8 | octet;
  return out;
}

// RFC 7296 2.10: at least half the PRF's key, 16 to 256 octets. 32 suits all of ours.
inline constexpr std::size_t nonce_size = 32;

}  // namespace trunkgate::ike
