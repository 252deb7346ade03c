// Which IKE messages belong to somebody that the box itself has spoken with, so that a flood of others starves none of
// them. Learnt from what the box sends; lossy, bounded, and never more than a hint.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace trunkgate {

// Any worker, without locks. Forgotten is what another one was noted over: that only makes its class a lower one.
template <std::size_t Places>
class noted_numbers {
 public:
  static_assert((Places & (Places - 1)) == 0);
  void note(std::uint64_t number) noexcept {
    const auto mixed = mix(number);
    places_[mixed & (Places - 1)].store(tag(mixed), std::memory_order_relaxed);
  }
  [[nodiscard]] bool holds(std::uint64_t number) const noexcept {
    const auto mixed = mix(number);
    return places_[mixed & (Places - 1)].load(std::memory_order_relaxed) == tag(mixed);
  }

 private:
  static std::uint64_t mix(std::uint64_t x) noexcept {  // splitmix64's end: every bit on every other
    x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
    x = (x ^ x >> 27) * 0x94d049bb133111eb;
    return x ^ x >> 31;
  }
  static std::uint32_t tag(std::uint64_t mixed) noexcept { return static_cast<std::uint32_t>(mixed >> 32) | 1; }

  std::array<std::atomic<std::uint32_t>, Places> places_{};
};

// The fixed places of an IKE header (RFC 7296 3.1); nothing behind it is read here.
struct ike_front {
  std::uint64_t initiator_spi = 0, responder_spi = 0;  // as they stand: only compared
  bool response = false;
};

class known_ike {
 public:
  // The box sends this message: who answers it, or goes on with it, has seen it.
  void sent(const ike_front& message) noexcept {
    // COOKIE, INVALID_KE_PAYLOAD (RFC 7296 2.6): an honest peer begins again. A refusal looks the same and costs
    // little.
    if (message.responder_spi == 0 && message.response) return again_.note(message.initiator_spi);
    exchanges_.note(key(message.initiator_spi, message.responder_spi));
  }
  // Of an IKE SA that the box takes part in; or the answer to an IKE_SA_INIT of the box, where the name's other half is
  // new.
  [[nodiscard]] bool is_of_ours(const ike_front& message) const noexcept {
    return exchanges_.holds(key(message.initiator_spi, message.responder_spi)) ||
           (message.response && exchanges_.holds(key(message.initiator_spi, 0)));
  }
  // There was no room for this IKE_SA_INIT. An honest peer repeats it (RFC 7296 2.1).
  void had_no_room(const ike_front& message) noexcept { again_.note(message.initiator_spi); }
  [[nodiscard]] bool comes_again(const ike_front& message) const noexcept {
    return again_.holds(message.initiator_spi);
  }

 private:
  static std::uint64_t key(std::uint64_t initiator, std::uint64_t responder) noexcept {
    return initiator ^ (responder << 1 | responder >> 63);
  }
  // Of 10,000 IKE SAs one in seven shares its place with another. Of a flood of 50,000 a second nine in ten are still
  // known after a second.
  noted_numbers<1 << 16> exchanges_;
  noted_numbers<1 << 19> again_;
};

}  // namespace trunkgate
