// Who may open an IKE SA with us: limits and cookies against floods (RFC 7296 2.6).
#pragma once

#include <array>
#include <cstdint>
#include <map>
#include <unordered_map>

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

struct admission_limits {
  std::size_t cookies_above = 64;           // half-open IKE SAs in all, and
  std::size_t cookies_above_of_source = 4;  // of one address: from there on only whoever returns a cookie
  std::size_t half_open = 2048;             // never more
  std::size_t half_open_of_source = 64;     // an address with many peers is one with a NAT
};

// So many at once, and so many a second.
class allowance {
 public:
  allowance(double per_second, double at_once) : per_second_(per_second), at_once_(at_once), left_(at_once) {}
  // Whether there is one more, and takes it.
  [[nodiscard]] bool take(timer_clock::time_point now);

 private:
  double per_second_, at_once_, left_;
  timer_clock::time_point asked_;
};

enum class admission : std::uint8_t { welcome, needs_cookie, refused };

class gatekeeper {
 public:
  gatekeeper(environment& outside, admission_limits limits);

  [[nodiscard]] admission judge(const ike_path& path, const header& head, const payloads& content);
  // What the peer has to bring back: no state is kept of it.
  [[nodiscard]] bytes cookie_for(const ike_path& path, const header& head, byte_view nonce);
  // Whether a stranger may be told now what is wrong with his message (RFC 7296 2.21.4); counts it.
  [[nodiscard]] bool may_complain() { return complaints_.take(outside_.now()); }
  // Whether what he wanted may be written down for the operator; counts it.
  [[nodiscard]] bool may_note() { return notes_.take(outside_.now()); }
  void opened(const ip_address& source);
  void settled(const ip_address& source);
  [[nodiscard]] std::size_t half_open() const { return half_open_; }

 private:
  using cookie_secret = std::array<std::uint8_t, 32>;
  [[nodiscard]] bytes compute(const cookie_secret& key, std::uint8_t version, const ike_path& path, const header& head,
                              byte_view nonce) const;
  void renew_secret();

  environment& outside_;
  admission_limits limits_;
  std::size_t half_open_ = 0;
  std::map<ip_address, std::size_t> of_source_;
  cookie_secret current_{}, previous_{};
  std::uint8_t version_ = 0;
  timer_clock::time_point renewed_;
  allowance complaints_{100, 100}, notes_{100, 100};
};

}  // namespace trunkgate::ike
