// IKE's and ESP's proposals as the configuration says them ("aes256gcm16-prfsha384-x25519-ke1_mlkem768") and as the
// wire numbers them (RFC 7296 3.3, and IANA's "Internet Key Exchange Version 2 (IKEv2) Parameters").
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "dataplane/core/result.hpp"

namespace trunkgate {

enum class transform_type : std::uint8_t {
  encryption = 1,
  prf = 2,
  integrity = 3,
  key_exchange = 4,
  sequence_numbers = 5,  // ESN
  additional_ke1 = 6,    // RFC 9370 2.2.1: 6 to 12
  additional_ke7 = 12,
};

namespace transform_id {
inline constexpr std::uint16_t encr_3des = 3, encr_null = 11, encr_aes_cbc = 12, encr_aes_ctr = 13, encr_aes_gcm16 = 20,
                               encr_null_auth_aes_gmac = 21, encr_chacha20_poly1305 = 28;
inline constexpr std::uint16_t prf_hmac_sha1 = 2, prf_hmac_sha256 = 5, prf_hmac_sha384 = 6, prf_hmac_sha512 = 7;
inline constexpr std::uint16_t auth_none = 0, auth_hmac_sha1_96 = 2, auth_hmac_sha256_128 = 12,
                               auth_hmac_sha384_192 = 13, auth_hmac_sha512_256 = 14;
inline constexpr std::uint16_t ke_none = 0, modp1024 = 2, modp2048 = 14, modp3072 = 15, modp4096 = 16, modp6144 = 17,
                               modp8192 = 18, ecp256 = 19, ecp384 = 20, ecp521 = 21, x25519 = 31, x448 = 32,
                               mlkem512 = 35, mlkem768 = 36, mlkem1024 = 37;
inline constexpr std::uint16_t no_esn = 0, esn = 1;
}  // namespace transform_id

struct transform_choice {
  transform_type type{};
  std::uint16_t id = 0;
  std::uint16_t key_bits = 0;  // the Key Length attribute; 0: not sent
  friend auto operator<=>(const transform_choice&, const transform_choice&) = default;
};

// One proposal: for each type the transforms that will do, the preferred first.
struct proposal_settings {
  std::string word;  // as the operator wrote it
  std::vector<transform_choice> transforms;
  bool legacy = false;  // has a transform that only `gateway.legacy` allows
};

// "ENCRYPTION[-INTEGRITY][-PRF]-KE[-ke1_METHOD...]", several words of a kind if any of them will do. A PRF that is not
// said follows from the integrity algorithm. The reason of an error names the part that is unknown or missing, and says
// behind "; " what to write instead.
[[nodiscard]] result<proposal_settings> parse_ike_proposal(std::string_view word);
// "SUITE[-KE][-ke1_METHOD...][-esn|-noesn]", SUITE a name of esp_suite. Without -esn or -noesn both will do, extended
// numbers preferred. Without KE the child's keys come from the IKE SA's alone (no perfect forward secrecy).
[[nodiscard]] result<proposal_settings> parse_esp_proposal(std::string_view word);

// What operators call it: "aes256gcm16", "prfsha384", "x25519", "mlkem768", "esn"; "1234" what has no name.
[[nodiscard]] std::string transform_name(const transform_choice& transform);
[[nodiscard]] std::string_view transform_type_name(transform_type type);  // "encryption", "prf", ...

}  // namespace trunkgate
