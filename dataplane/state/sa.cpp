#include "dataplane/state/sa.hpp"

#include <algorithm>
#include <chrono>
#include <cstring>

#include <openssl/sha.h>

#include "dataplane/core/secret.hpp"

namespace trunkgate {
namespace {

constexpr std::uint8_t protocol_udp = 17, protocol_esp = 50;

std::uint64_t unix_ns() {
  return static_cast<std::uint64_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

// What both directions share: identity, slot, expanded key. On return record.key is wiped whatever happened.
template <class Sa>
result<void> install_common(Sa& sa, api::sa_record& record, const crypto_engines& engines, sequence_store& store,
                            std::uint16_t owner) {
  const auto& suite = info(record.suite);
  sa.origin.identity = identify(record);
  auto key = engines.prepare(record.suite, {record.key.data(), record.key_length}, record.esn != 0);
  wipe(record.key.data(), record.key.size());
  if (!key)
    return failure("tunnel " + std::string(record.tunnel.view()) + ", child " + std::string(record.child.view()) +
                   ": " + key.error().reason);
  const bool negotiated = record.keying == api::sa_keying::negotiated;
  auto taken = store.take(sa.origin.identity, negotiated ? slot_life::negotiated : slot_life::for_ever);
  if (!taken) return std::unexpected(taken.error());
  sa.key_owner = std::move(*key);
  sa.key = sa.key_owner.get();
  sa.slot = taken->slot;
  sa.owner = owner;
  sa.iv = suite.iv;
  sa.icv = suite.icv;
  sa.block = suite.block;
  sa.esn = record.esn != 0;
  sa.transport = record.mode == api::sa_mode::transport;
  sa.origin.fresh_slot = !taken->resumed;
  sa.origin.installed_unix_ns = unix_ns();
  sa.origin.installed_ms = monotonic_ms();
  return {};
}

void write_be16(std::uint8_t* at, std::uint16_t value) {
  be16 wire(value);
  std::memcpy(at, &wire, 2);
}

// The IP header of a tunnel with everything that does not change from packet to packet. Gives what is behind it.
std::uint8_t* fill_outer_ip(outbound_sa& sa) {
  const auto& record = sa.record;
  auto* at = sa.outer.data();
  const std::uint8_t next = sa.udp ? protocol_udp : protocol_esp;
  if (sa.outer_v6) {
    const std::uint32_t label = record.outer.flow_label == api::flow_label_copy ? 0 : record.outer.flow_label;
    const be32 first(6u << 28 | label);
    std::memcpy(at, &first, sizeof first);
    at[6] = next;
    at[7] = record.outer.hop_limit;
    std::memcpy(at + 8, record.local.bytes.data(), 16);
    std::memcpy(at + 24, record.remote.bytes.data(), 16);
    return at + 40;
  }
  at[0] = 0x45;
  at[8] = record.outer.hop_limit;
  at[9] = next;
  std::memcpy(at + 12, record.local.bytes.data(), 4);
  std::memcpy(at + 16, record.remote.bytes.data(), 4);
  std::uint32_t sum = 0;
  for (unsigned i = 0; i < 20; i += 2) sum += static_cast<std::uint32_t>(at[i] << 8 | at[i + 1]);
  sa.outer_sum =
      static_cast<std::uint16_t>((sum & 0xffff) + (sum >> 16));  // ten words, one of them zero: no more carry
  return at + 20;
}

// What goes in front of ESP.
void fill_template(outbound_sa& sa) {
  sa.outer = {};
  sa.outer_sum = 0;
  auto* at = sa.transport ? sa.outer.data() : fill_outer_ip(sa);
  if (sa.transport) sa.kept_length = sa.outer_v6 ? 40 : 20;
  if (sa.udp) {
    write_be16(at, sa.record.local_port);
    write_be16(at + 2, sa.record.remote_port);
    at += 8;  // the checksum stays 0 (RFC 3948 2.1)
  }
  sa.outer_length = static_cast<std::uint8_t>(at - sa.outer.data());
  sa.growth_limit = static_cast<std::uint8_t>(sa.outer_length + 8 + sa.iv + sa.icv + 2 + sa.block - 1);
}

// What nearly every SA has: any protocol and ports, one IPv4 range on each side.
ipv4_selectors usual_selectors_of(const api::sa_record& record) {
  const auto& local = record.local_ranges[0];
  const auto& remote = record.remote_ranges[0];
  if (record.protocol >= 0 || !record.local_ports.any() || !record.remote_ports.any() || record.local_count != 1 ||
      record.remote_count != 1 || local.first.family != ip_family::v4 || remote.first.family != ip_family::v4)
    return {};
  return {.remote_first = remote.first.v4_host(),
          .remote_last = remote.last.v4_host(),
          .local_first = local.first.v4_host(),
          .local_last = local.last.v4_host()};
}

// What both directions take from the record. Limits that it does not change stay reached.
template <class Sa>
void shape_common(Sa& sa, const api::sa_record& record) {
  if (sa.record.soft != record.soft || sa.record.hard != record.hard) sa.lifetime.restart();
  sa.record = record;
  wipe(sa.record.key.data(), sa.record.key.size());
  sa.udp = record.udp_encapsulation != 0;
  (void)sa.lifetime.judge(sa.record, sa.counters.packets.get(), sa.counters.bytes.get());
}

}  // namespace

void sa_counters::dropped(drop_reason reason) noexcept {
  switch (reason) {
    case drop_reason::esp_replayed: return replayed.add(1);
    case drop_reason::esp_integrity_failed: return integrity_failed.add(1);
    case drop_reason::selector_mismatch: return selector_mismatch.add(1);
    case drop_reason::esp_wrong_endpoint:
    case drop_reason::esp_wrong_encapsulation: return misdirected.add(1);
    case drop_reason::esp_truncated:
    case drop_reason::esp_bad_length:
    case drop_reason::esp_bad_padding:
    case drop_reason::esp_bad_next_header: return malformed.add(1);
    case drop_reason::esp_dummy: return dummies.add(1);
    case drop_reason::sa_expired: return after_expiry.add(1);
    default: return other_drops.add(1);
  }
}

std::uint64_t monotonic_ms() {
  return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch() / std::chrono::milliseconds(1));
}

sequence_identity identify(const api::sa_record& record) {
  constexpr std::size_t key_at = 64;
  std::array<std::uint8_t, key_at + sizeof(record.key)> input{};
  input[0] = static_cast<std::uint8_t>(record.direction);
  input[1] = static_cast<std::uint8_t>(record.suite);
  std::memcpy(&input[4], &record.spi, 4);
  // A negotiated SA may move: its numbers go with it, also to the next process.
  if (record.keying == api::sa_keying::manual) {
    std::memcpy(&input[8], record.local.bytes.data(), 16);
    std::memcpy(&input[24], record.remote.bytes.data(), 16);
  }
  // cppcheck-suppress containerOutOfBounds ; it takes the array for one without the key's part
  std::memcpy(&input[key_at], record.key.data(), record.key.size());
  std::array<std::uint8_t, SHA256_DIGEST_LENGTH> digest{};
  SHA256(input.data(), input.size(), digest.data());
  wipe(input.data(), input.size());
  sequence_identity identity{};
  std::copy_n(digest.begin(), identity.size(), identity.begin());
  return identity;
}

result<std::unique_ptr<outbound_sa>> make_outbound_sa(api::sa_record& record, const crypto_engines& engines,
                                                      sequence_store& store, std::uint16_t owner) {
  auto sa = std::make_unique<outbound_sa>();
  if (auto done = install_common(*sa, record, engines, store, owner); !done) return std::unexpected(done.error());
  sa->counter_iv = info(record.suite).counter_iv;
  sa->spi = be32(record.spi);
  reshape(*sa, record);
  // Nothing at or below the reservation may be used again: the process before this one may have sent it.
  sa->reserved = sa->slot->reserved.load(std::memory_order_acquire);
  sa->sequence.set(sa->reserved);
  sa->near_end = last_sequence(sa->esn) - last_sequence(sa->esn) / 16;
  sa->iv_epoch = static_cast<std::uint16_t>(sa->slot->epoch.load(std::memory_order_relaxed));
  return sa;
}

result<std::unique_ptr<inbound_sa>> make_inbound_sa(api::sa_record& record, const crypto_engines& engines,
                                                    sequence_store& store, std::uint16_t owner) {
  auto sa = std::make_unique<inbound_sa>();
  if (auto done = install_common(*sa, record, engines, store, owner); !done) return std::unexpected(done.error());
  reshape(*sa, record);
  sa->window = replay_window(record.replay_window, sa->slot->highest_accepted.load(std::memory_order_acquire));
  return sa;
}

void reshape(outbound_sa& sa, const api::sa_record& record) {
  // What was learned of one path says nothing of another.
  if (sa.record.local != record.local || sa.record.remote != record.remote) sa.learned_mtu.forget();
  shape_common(sa, record);
  sa.outer_v6 = record.remote.family == ip_family::v6;
  const auto& outer = record.outer;
  sa.plain = !sa.transport && record.tfc_padding == 0 && outer.dscp == api::dscp_copied &&
             outer.ecn == api::ecn_mode::normal && outer.df == api::df_mode::copy &&
             outer.flow_label != api::flow_label_copy;
  sa.tfc_padding = record.tfc_padding;
  fill_template(sa);
}

void reshape(inbound_sa& sa, const api::sa_record& record) {
  // A window of another size knows the highest number only: what comes late counts as seen.
  if (sa.record.replay_window != record.replay_window)
    sa.window = replay_window(record.replay_window, sa.window.highest());
  shape_common(sa, record);
  sa.local = record.local;
  sa.remote = record.remote;
  sa.usual_selectors = usual_selectors_of(record);
  sa.follow_peer = record.follow_peer != 0;
  sa.peer_told_ms = 0;
}

}  // namespace trunkgate
