#include "config/ike_proposal.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <span>

#include "config/scalar.hpp"
#include "dataplane/core/suite.hpp"

namespace trunkgate {

namespace {

using id_type = std::uint16_t;

// One word of a proposal. The first word of an algorithm is the one that operators are shown.
struct algorithm_row {
  std::string_view word;
  id_type id = 0;
  std::uint16_t key_bits = 0;
  bool aead = false;  // a combined mode: authenticates by itself
  bool ike = true;    // IKE's own messages may be encrypted with it
  bool legacy = false;
};

constexpr algorithm_row encryption_rows[] = {
    {"aes128gcm16", transform_id::encr_aes_gcm16, 128, true},
    {"aes192gcm16", transform_id::encr_aes_gcm16, 192, true},
    {"aes256gcm16", transform_id::encr_aes_gcm16, 256, true},
    // RFC 7634 2, 4: the key's length is fixed, no Key Length attribute is sent
    {"chacha20poly1305", transform_id::encr_chacha20_poly1305, 0, true},
    {"aes128cbc", transform_id::encr_aes_cbc, 128},
    {"aes192cbc", transform_id::encr_aes_cbc, 192},
    {"aes256cbc", transform_id::encr_aes_cbc, 256},
    {"aes128", transform_id::encr_aes_cbc, 128},
    {"aes192", transform_id::encr_aes_cbc, 192},
    {"aes256", transform_id::encr_aes_cbc, 256},
    {"3des", transform_id::encr_3des, 0, false, true, true},
    {"3descbc", transform_id::encr_3des, 0, false, true, true},
    {"aes128ctr", transform_id::encr_aes_ctr, 128, false, false},
    {"aes192ctr", transform_id::encr_aes_ctr, 192, false, false},
    {"aes256ctr", transform_id::encr_aes_ctr, 256, false, false},
    {"aes128gmac", transform_id::encr_null_auth_aes_gmac, 128, true, false},
    {"aes192gmac", transform_id::encr_null_auth_aes_gmac, 192, true, false},
    {"aes256gmac", transform_id::encr_null_auth_aes_gmac, 256, true, false},
    {"null", transform_id::encr_null, 0, false, false},
};
constexpr algorithm_row integrity_rows[] = {
    {"sha256", transform_id::auth_hmac_sha256_128},
    {"sha384", transform_id::auth_hmac_sha384_192},
    {"sha512", transform_id::auth_hmac_sha512_256},
    {"sha1", transform_id::auth_hmac_sha1_96, 0, false, true, true},
};
constexpr algorithm_row prf_rows[] = {
    {"prfsha256", transform_id::prf_hmac_sha256},
    {"prfsha384", transform_id::prf_hmac_sha384},
    {"prfsha512", transform_id::prf_hmac_sha512},
    {"prfsha1", transform_id::prf_hmac_sha1, 0, false, true, true},
};
constexpr algorithm_row key_exchange_rows[] = {
    {"x25519", transform_id::x25519},       {"curve25519", transform_id::x25519},
    {"x448", transform_id::x448},           {"curve448", transform_id::x448},
    {"ecp256", transform_id::ecp256},       {"ecp384", transform_id::ecp384},
    {"ecp521", transform_id::ecp521},       {"modp2048", transform_id::modp2048},
    {"modp3072", transform_id::modp3072},   {"modp4096", transform_id::modp4096},
    {"modp6144", transform_id::modp6144},   {"modp8192", transform_id::modp8192},
    {"mlkem512", transform_id::mlkem512},   {"mlkem768", transform_id::mlkem768},
    {"mlkem1024", transform_id::mlkem1024}, {"modp1024", transform_id::modp1024, 0, false, true, true},
};
constexpr algorithm_row sequence_rows[] = {{"esn", transform_id::esn}, {"noesn", transform_id::no_esn}};

struct kind_row {
  transform_type type;
  std::string_view name;
  std::span<const algorithm_row> rows;
};
constexpr kind_row kinds[] = {
    {transform_type::encryption, "encryption", encryption_rows},
    {transform_type::prf, "prf", prf_rows},
    {transform_type::integrity, "integrity", integrity_rows},
    {transform_type::key_exchange, "key exchange", key_exchange_rows},
    {transform_type::sequence_numbers, "sequence numbers", sequence_rows},
};

constexpr bool is_additional(transform_type type) {
  return type >= transform_type::additional_ke1 && type <= transform_type::additional_ke7;
}
// The rows of ke1_ to ke7_ are those of the first key exchange.
const kind_row* kind_of(transform_type type) {
  const auto* found =
      std::ranges::find(kinds, is_additional(type) ? transform_type::key_exchange : type, &kind_row::type);
  return found == std::end(kinds) ? nullptr : found;
}

std::string quoted(std::string_view text) { return "\"" + std::string(text) + "\""; }

const algorithm_row* find_word(std::span<const algorithm_row> rows, std::string_view word) {
  const auto found = std::ranges::find(rows, word, &algorithm_row::word);
  return found == rows.end() ? nullptr : &*found;
}

// The PRF that goes with an integrity algorithm where none is said: the same hash (as strongSwan has it).
std::optional<id_type> prf_of(id_type integrity) {
  switch (integrity) {
    case transform_id::auth_hmac_sha1_96: return transform_id::prf_hmac_sha1;
    case transform_id::auth_hmac_sha256_128: return transform_id::prf_hmac_sha256;
    case transform_id::auth_hmac_sha384_192: return transform_id::prf_hmac_sha384;
    case transform_id::auth_hmac_sha512_256: return transform_id::prf_hmac_sha512;
    default: return std::nullopt;
  }
}

// Collects the parts of one word, then holds them against each other.
class proposal_parser {
 public:
  proposal_parser(std::string_view word, bool ike) : word_(word), ike_(ike) { out_.word = word; }

  result<proposal_settings> parse() {
    if (word_.size() > 255) return failure("is too long for a proposal");
    for (std::size_t at = 0; at <= word_.size();) {
      const auto end = std::min(word_.find('-', at), word_.size());
      if (auto done = part(word_.substr(at, end - at)); !done) return std::unexpected(done.error());
      at = end + 1;
    }
    auto done = ike_ ? finish_ike() : finish_esp();
    if (done) done = finish_key_exchanges();
    if (!done) return std::unexpected(done.error());
    std::ranges::stable_sort(out_.transforms, {}, &transform_choice::type);
    return std::move(out_);
  }

 private:
  result<void> part(std::string_view text) {
    if (text.empty()) return failure("has an empty part; write one - between two parts");
    if (text.size() > 4 && text.starts_with("ke") && text[3] == '_') return additional(text);
    for (const auto& kind : kinds) {
      const auto* row = find_word(kind.rows, text);
      if (row == nullptr) continue;
      if (ike_ && kind.type == transform_type::sequence_numbers)
        return failure(quoted(text) + " is for ESP: IKE has no sequence numbers of this kind; leave it out");
      if (!ike_ && kind.type == transform_type::prf)
        return failure(quoted(text) + " is for IKE: ESP has no PRF; leave it out");
      if (ike_ && !row->ike)
        return failure(quoted(text) + " is for ESP: IKE's own messages do not go by it; aes256gcm16 does");
      return add(kind.type, *row);
    }
    return unknown(text);
  }

  result<void> additional(std::string_view text) {
    const char digit = text[2];
    if (digit < '1' || digit > '7')
      return failure(quoted(text) + ": there are additional key exchanges 1 to 7 only (RFC 9370); ke1_" +
                     std::string(text.substr(4)));
    const auto type = static_cast<transform_type>(static_cast<int>(transform_type::additional_ke1) + (digit - '1'));
    const auto method = text.substr(4);
    static constexpr algorithm_row none{"none", transform_id::ke_none};
    if (method == none.word) return add(type, none);  // RFC 9370 2.2.1: may be left out by the peer
    const auto* row = find_word(key_exchange_rows, method);
    if (row != nullptr) return add(type, *row);
    std::vector<std::string_view> words;
    for (const auto& candidate : key_exchange_rows) words.push_back(candidate.word);
    return refuse("has an unknown key exchange " + quoted(method) + " in " + quoted(text), method, words);
  }

  result<void> unknown(std::string_view text) {
    std::vector<std::string_view> words;
    for (const auto& kind : kinds) {
      if (kind.type == (ike_ ? transform_type::sequence_numbers : transform_type::prf)) continue;
      for (const auto& row : kind.rows)
        if (!ike_ || row.ike) words.push_back(row.word);
    }
    return refuse("unknown algorithm " + quoted(text), text, words);
  }

  static std::unexpected<error> refuse(const std::string& reason, std::string_view text,
                                       std::span<const std::string_view> words) {
    const auto guess = did_you_mean(text, words);
    return failure(reason + (guess.empty() ? "" : "; " + guess));
  }

  result<void> add(transform_type type, const algorithm_row& row) {
    const transform_choice choice{type, row.id, row.key_bits};
    if (std::ranges::contains(out_.transforms, choice))
      return failure("has " + quoted(transform_name(choice)) + " twice; once is enough");
    out_.transforms.push_back(choice);
    out_.legacy |= row.legacy;
    if (type == transform_type::encryption) (row.aead ? aead_ : plain_) = row.word;
    if (type == transform_type::integrity) integrity_ = row.word;
    return {};
  }

  [[nodiscard]] bool has(transform_type type) const {
    return std::ranges::contains(out_.transforms, type, &transform_choice::type);
  }

  // RFC 7296 3.3: a combined mode goes without an integrity algorithm (RFC 5282 8, RFC 4106 8.3), any other needs one.
  result<void> check_integrity() {
    if (aead_.empty() && plain_.empty()) return failure("names no encryption; begin with aes256gcm16");
    if (!aead_.empty() && !plain_.empty())
      return failure("mixes " + quoted(aead_) + ", which authenticates by itself, with " + quoted(plain_) +
                     "; make two proposals of it");
    if (!aead_.empty() && !integrity_.empty())
      return failure(quoted(aead_) + " authenticates by itself and takes no " + quoted(integrity_) + "; " +
                     (ike_ ? "did you mean \"prf" + std::string(integrity_) + "\"?" : "leave it out"));
    if (!plain_.empty() && integrity_.empty())
      return failure(quoted(plain_) + " needs an integrity algorithm; " + std::string(plain_) + "-sha256");
    return {};
  }

  result<void> finish_ike() {
    if (auto done = check_integrity(); !done) return done;
    if (!has(transform_type::prf)) {
      if (!aead_.empty()) return failure("names no PRF, and " + quoted(aead_) + " implies none; add prfsha384");
      const auto integrity = out_.transforms;
      for (const auto& transform : integrity)
        if (transform.type == transform_type::integrity)
          out_.transforms.push_back({transform_type::prf, prf_of(transform.id).value_or(0), 0});
    }
    if (!has(transform_type::key_exchange)) return failure("names no key exchange; add x25519");
    return {};
  }

  result<void> finish_esp() {
    if (auto done = check_integrity(); !done) return done;
    // RFC 4303 2.2.1: extended numbers unless somebody cannot
    if (!has(transform_type::sequence_numbers))
      for (const auto& row : sequence_rows) out_.transforms.push_back({transform_type::sequence_numbers, row.id, 0});
    return {};
  }

  result<void> finish_key_exchanges() {
    bool additional = false;
    for (const auto& transform : out_.transforms) {
      additional |= is_additional(transform.type);
      // draft-ietf-ipsecme-ikev2-mlkem 2.2: IKE_SA_INIT goes unfragmented, and these do not fit it
      if (transform.type == transform_type::key_exchange && transform.id == transform_id::mlkem1024 && ike_)
        return failure(
            "mlkem1024 is too large for the first exchange, which cannot be fragmented; x25519-ke1_mlkem1024");
    }
    if (additional && !has(transform_type::key_exchange))
      return failure("has an additional key exchange, but no first one; add x25519 before it");
    return {};
  }

  std::string_view word_;
  bool ike_;
  proposal_settings out_;
  std::string_view aead_, plain_, integrity_;  // words, the last of each kind
};

}  // namespace

result<proposal_settings> parse_ike_proposal(std::string_view word) { return proposal_parser(word, true).parse(); }
result<proposal_settings> parse_esp_proposal(std::string_view word) { return proposal_parser(word, false).parse(); }

std::string transform_name(const transform_choice& transform) {
  if (is_additional(transform.type) && transform.id == transform_id::ke_none) return "none";
  if (const auto* kind = kind_of(transform.type))
    for (const auto& row : kind->rows)
      if (row.id == transform.id && row.key_bits == transform.key_bits) return std::string(row.word);
  return std::to_string(transform.id);
}

std::string_view transform_type_name(transform_type type) {
  static constexpr std::string_view additional[] = {"additional key exchange 1", "additional key exchange 2",
                                                    "additional key exchange 3", "additional key exchange 4",
                                                    "additional key exchange 5", "additional key exchange 6",
                                                    "additional key exchange 7"};
  if (is_additional(type))
    return additional[static_cast<std::size_t>(type) - static_cast<std::size_t>(transform_type::additional_ke1)];
  const auto* kind = kind_of(type);
  return kind == nullptr ? "unknown" : kind->name;
}

}  // namespace trunkgate
