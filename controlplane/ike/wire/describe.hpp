// Messages in words, for logs and records. No secret and nothing that helps to guess one is in them: of key exchange
// data, nonces, cookies, AUTH and certificates only the sizes. What a peer wrote is shown without control characters.
#pragma once

#include <string>

#include "controlplane/ike/wire/message.hpp"

namespace trunkgate::ike {

[[nodiscard]] std::string exchange_name(exchange_type exchange);  // "IKE_SA_INIT"; "exchange 99"
[[nodiscard]] std::string payload_name(payload_type type);        // as RFC 7296 1.2: "SA", "KE", "TSi"; "payload 200"
[[nodiscard]] std::string protocol_name(protocol_id protocol);    // "IKE", "ESP"; "protocol 9"

// "IKE_SA_INIT request 0, 1122334455667788 > 0000000000000000"
[[nodiscard]] std::string describe(const header& head);
// One line: "SA 1 ESP c0ffee01: encryption aes256gcm16", "KE x25519, 32 octets", "N REKEY_SA, ESP c0ffee01",
// "TSi 10.1.0.0/16". Long lists are cut after some entries, with how many more there are.
[[nodiscard]] std::string describe(const payload& one);
[[nodiscard]] std::string describe(
    const traffic_selector& selector);  // "10.1.0.0/16", "10.1.0.1/32 protocol 6 port 80"

}  // namespace trunkgate::ike
