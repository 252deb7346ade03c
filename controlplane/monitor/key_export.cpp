#include "controlplane/monitor/key_export.hpp"

#include <array>
#include <cstdio>

namespace trunkgate {

namespace {

std::string hex(std::span<const std::uint8_t> bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(2 * bytes.size());
  for (const auto byte : bytes) {
    out += digits[byte >> 4];
    out += digits[byte & 15];
  }
  return out;
}

std::string spi_hex(std::uint64_t spi) {
  std::array<char, 20> buffer{};
  std::snprintf(buffer.data(), buffer.size(), "%016llx", static_cast<unsigned long long>(spi));
  return buffer.data();
}

std::string in_quotes(std::string_view text) { return "\"" + std::string(text) + "\""; }

// Wireshark's own words, of epan/dissectors/packet-isakmp.c and packet-ipsec.c.
std::string ike_encryption_name(const transform_choice& encryption) {
  const auto bits = std::to_string(encryption.key_bits);
  switch (encryption.id) {
    case transform_id::encr_3des: return "3DES [RFC2451]";
    case transform_id::encr_aes_cbc: return "AES-CBC-" + bits + " [RFC3602]";
    case transform_id::encr_aes_gcm16: return "AES-GCM-" + bits + " with 16 octet ICV [RFC5282]";
    default: return "";
  }
}

std::string_view ike_integrity_name(std::uint16_t integrity) {
  switch (integrity) {
    case transform_id::auth_none: return "NONE [RFC4306]";
    case transform_id::auth_hmac_sha1_96: return "HMAC_SHA1_96 [RFC2404]";
    case transform_id::auth_hmac_sha256_128: return "HMAC_SHA2_256_128 [RFC4868]";
    case transform_id::auth_hmac_sha384_192: return "HMAC_SHA2_384_192 [RFC4868]";
    case transform_id::auth_hmac_sha512_256: return "HMAC_SHA2_512_256 [RFC4868]";
    default: return "";
  }
}

std::string_view esp_encryption_name(esp_cipher cipher) {
  switch (cipher) {
    case esp_cipher::aes_gcm: return "AES-GCM with 16 octet ICV [RFC4106]";
    case esp_cipher::aes_cbc: return "AES-CBC [RFC3602]";
    case esp_cipher::aes_ctr: return "AES-CTR [RFC3686]";
    case esp_cipher::des3_cbc: return "TripleDES-CBC [RFC2451]";
    case esp_cipher::null: return "NULL";
    case esp_cipher::aes_gmac:
    case esp_cipher::chacha20_poly1305: break;
  }
  return "";
}

std::string_view esp_integrity_name(esp_auth integrity) {
  switch (integrity) {
    case esp_auth::combined: return "NULL";
    case esp_auth::hmac_sha1: return "HMAC-SHA-1-96 [RFC2404]";
    case esp_auth::hmac_sha256: return "HMAC-SHA-256-128 [RFC4868]";
    case esp_auth::hmac_sha384: return "HMAC-SHA-384-192 [RFC4868]";
    case esp_auth::hmac_sha512: return "HMAC-SHA-512-256 [RFC4868]";
  }
  return "";
}

std::string esp_table_line(const child_sa& pair, std::uint32_t spi, const secret& key) {
  const auto& suite = info(pair.suite);
  const auto name = esp_encryption_name(suite.cipher);
  if (name.empty() || key.size() != suite.key_material()) return "";
  const auto cipher_key = key.bytes().first(std::size_t{suite.cipher_key} + suite.salt);
  const auto auth_key = key.bytes().subspan(cipher_key.size());
  std::array<char, 16> spi_text{};
  std::snprintf(spi_text.data(), spi_text.size(), "0x%08x", spi);
  // "*": the addresses may change (NAT, MOBIKE), the SPI tells enough.
  return in_quotes(pair.path.remote.address.family == ip_family::v6 ? "IPv6" : "IPv4") + ",\"*\",\"*\"," +
         in_quotes(spi_text.data()) + "," + in_quotes(name) + "," +
         in_quotes(cipher_key.empty() ? "" : "0x" + hex(cipher_key)) + "," + in_quotes(esp_integrity_name(suite.auth)) +
         "," + in_quotes(auth_key.empty() ? "" : "0x" + hex(auth_key)) + "," +
         in_quotes(pair.esn ? "64-bit" : "32-bit") + ",\"0\"\n";
}

void wipe_line(std::string& line) { wipe(line.data(), line.size()); }

}  // namespace

std::string ikev2_table_line(const ike::ike_sa& sa) {
  const auto encryption = ike_encryption_name(sa.suite.encryption);
  const auto integrity = ike_integrity_name(sa.suite.integrity);
  if (encryption.empty() || integrity.empty() || sa.keys.ei.size() == 0) return "";
  return spi_hex(sa.messages->initiator_spi()) + "," + spi_hex(sa.messages->responder_spi()) + "," +
         hex(sa.keys.ei.bytes()) + "," + hex(sa.keys.er.bytes()) + "," + in_quotes(encryption) + "," +
         hex(sa.keys.ai.bytes()) + "," + hex(sa.keys.ar.bytes()) + "," + in_quotes(integrity) + "\n";
}

std::string esp_table_lines(const child_sa& pair) {
  return esp_table_line(pair, pair.inbound_spi, pair.inbound_key) +
         esp_table_line(pair, pair.outbound_spi, pair.outbound_key);
}

// ---- the sink ----

std::vector<std::string> exporting_sink::take(const std::string& tunnel) {
  const auto found = lines_.find(tunnel);
  if (found == lines_.end()) return {};
  return std::exchange(found->second, {});
}

void exporting_sink::end(const std::string& tunnel) {
  const auto found = lines_.find(tunnel);
  if (found == lines_.end()) return;
  for (auto& line : found->second) wipe_line(line);
  lines_.erase(found);
}

boost::asio::awaitable<result<void>> exporting_sink::add(const child_sa& pair, sa_directions which) {
  // Both keys are there from the first call on; the outbound SA alone is one that was told already.
  if (const auto found = lines_.find(pair.tunnel->name); found != lines_.end() && which != sa_directions::outbound)
    if (auto lines = esp_table_lines(pair); !lines.empty()) found->second.push_back(std::move(lines));
  return below_.add(pair, which);
}

// ---- exports ----

key_exports::~key_exports() {
  for (const auto& [tunnel, one] : running_) sink_.end(tunnel);
}

result<void> key_exports::begin(const std::string& tunnel, std::chrono::seconds time, const std::string& who) {
  auto* one = all_.find(tunnel);
  if (one == nullptr) return failure("there is no tunnel by IKE named \"" + tunnel + "\"");
  if (time.count() <= 0 || time > longest)
    return failure("keys are lent for " + std::to_string(longest.count() / 60) + "m at most (--for)");
  if (running_.contains(tunnel)) return failure("the keys of " + tunnel + " are being exported already");
  auto& started = running_[tunnel];
  sink_.begin(tunnel);
  started.deadline.set(outside_.clock(), outside_.now() + time, [this, tunnel] { end(tunnel); });
  audit_("keys.export_started", tunnel + ": " + who + " gets its keys for " + std::to_string(time.count()) + "s");
  for (std::size_t i = 0; i < one->profile().settings.children.size(); ++i) one->rekey_child(i);
  return {};
}

nlohmann::ordered_json key_exports::next(const std::string& tunnel) {
  nlohmann::ordered_json out{{"ikev2_decryption_table", nlohmann::ordered_json::array()},
                             {"esp_sa", nlohmann::ordered_json::array()},
                             {"seconds_left", 0}};
  const auto found = running_.find(tunnel);
  const auto* one = all_.find(tunnel);
  if (found == running_.end() || one == nullptr) return out;
  for (const auto& sa : one->sas()) {
    if (!sa->up()) continue;
    auto line = ikev2_table_line(*sa);
    if (!line.empty() && found->second.known.insert(spi_hex(sa->messages->initiator_spi())).second)
      out["ikev2_decryption_table"].push_back(line);
    wipe_line(line);
  }
  for (auto& lines : sink_.take(tunnel)) {
    out["esp_sa"].push_back(lines);
    wipe_line(lines);
  }
  out["seconds_left"] = std::max<std::int64_t>(
      1, std::chrono::ceil<std::chrono::seconds>(found->second.deadline.when() - outside_.now()).count());
  return out;
}

void key_exports::end(const std::string& tunnel) {
  const auto found = running_.find(tunnel);
  if (found == running_.end()) return;
  sink_.end(tunnel);
  running_.erase(found);
  audit_("keys.export_ended", tunnel + ": its keys are not kept any more");
}

}  // namespace trunkgate
