// What two sides have in common: proposals and traffic selectors (RFC 7296 2.7, 2.9, 3.3.6), and in what they differ.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/model.hpp"
#include "controlplane/ike/crypto/key_schedule.hpp"
#include "controlplane/ike/wire/payload.hpp"
#include "controlplane/installer/sa_sink.hpp"

namespace trunkgate::ike {

// ---- proposals ----

struct additional_exchange {
  transform_type slot{};     // additional_ke1 to additional_ke7
  std::uint16_t method = 0;  // not ke_none
  friend bool operator==(const additional_exchange&, const additional_exchange&) = default;
};

// One transform of each type.
struct settled {
  std::uint8_t number = 0;  // of the offer
  bytes spi;                // the offerer's
  std::vector<transform_choice> transforms;
  [[nodiscard]] std::optional<transform_choice> of(transform_type type) const;
  [[nodiscard]] std::uint16_t key_exchange() const;                   // ke_none: none
  [[nodiscard]] std::vector<additional_exchange> additional() const;  // in the order of the exchanges
};
[[nodiscard]] ike_suite ike_suite_of(const settled& chosen);
struct esp_choice {
  esp_suite suite{};
  bool esn = false;
};
[[nodiscard]] std::optional<esp_choice> esp_choice_of(const settled& chosen);

enum class key_exchanges : std::uint8_t { kept, left_out };  // left out of a child's first proposal (RFC 7296 1.2)

[[nodiscard]] sa_payload make_offer(const std::vector<proposal_settings>& ours, protocol_id protocol, const bytes& spi,
                                    key_exchanges which);
// The best of `ours` (our order) that the peer offers.
[[nodiscard]] std::optional<settled> choose(const std::vector<proposal_settings>& ours, const sa_payload& offer,
                                            protocol_id protocol, key_exchanges which);
// What a responder says it chose.
[[nodiscard]] sa_payload make_answer(const settled& chosen, protocol_id protocol, const bytes& own_spi);
// Checks a responder's choice against what was offered; nothing: it chose what was not offered.
[[nodiscard]] std::optional<settled> accept(const sa_payload& offer, const sa_payload& answer);

// The transform types in which no proposal of one side meets one of the other; of the pair that is closest.
[[nodiscard]] std::vector<transform_type> difference(const sa_payload& ours, const sa_payload& theirs);
// "aes256gcm16-prfsha384-x25519" for each proposal.
[[nodiscard]] std::vector<std::string> proposal_words(const sa_payload& offer);
[[nodiscard]] std::string proposal_word(const std::vector<transform_choice>& transforms);

// "3des, prfsha1" of what only `gateway.legacy` allows; empty: nothing of it.
[[nodiscard]] std::string outdated(const std::vector<transform_choice>& transforms);

// ---- traffic selectors ----

// What the configuration says of one side.
[[nodiscard]] std::vector<traffic_selector> selectors_of(const child_settings& child, bool local);
struct narrowed {
  std::vector<traffic_selector> local, remote;
};
// The part of the peer's wish that the configuration allows; nothing: none. All of one protocol and port range.
[[nodiscard]] std::optional<narrowed> narrow(const child_settings& child, const std::vector<traffic_selector>& local,
                                             const std::vector<traffic_selector>& remote);
[[nodiscard]] sa_selectors to_sa_selectors(const narrowed& selectors);
// "10.1.0.0/16", "10.1.0.0/16 tcp 80", ...
[[nodiscard]] std::string selector_words(const std::vector<traffic_selector>& selectors);

}  // namespace trunkgate::ike
