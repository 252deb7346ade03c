// IPsec-MB's combined modes, packet by packet: GCM and GMAC by the library's direct calls, ChaCha20-Poly1305 by the
// call that it has for QUIC, the fastest of its ways for one packet.
#pragma once

#include <array>
#include <cstring>

#include "dataplane/core/bytes.hpp"
#include "dataplane/core/secret.hpp"
#include "drivers/crypto/icv.hpp"
#include "drivers/crypto/ipsec_mb.hpp"

namespace trunkgate::ipsec_mb {

class combined_modes {
 public:
  combined_modes(const gcm_kernels& kernels, IMB_MGR* library) : kernels_(kernels), library_(library) {}
  combined_modes(const combined_modes&) = delete;
  combined_modes& operator=(const combined_modes&) = delete;
  ~combined_modes() { wipe(&context_, sizeof context_); }

  template <bool Encrypt>
  void run(esp_op& op) noexcept {
    const auto& row = info(op.key->suite);
    switch (row.cipher) {
      case esp_cipher::aes_gcm: return gcm<Encrypt>(op, row);
      case esp_cipher::aes_gmac: return gmac<Encrypt>(op, row);
      default: return chacha<Encrypt>(op, row);
    }
  }

 private:
  static constexpr std::size_t esp_header = 8;
  static constexpr std::size_t gmac_limit = 65'536;  // bytes authenticated; nothing that fits an IP packet is longer

  struct nonce {
    std::uint8_t bytes[12];
  };

  // RFC 4106 4, RFC 7634 2: salt, then the IV of the packet.
  static nonce nonce_of(const esp_op& op, const std::uint8_t* salt) noexcept {
    nonce made;
    std::memcpy(made.bytes, salt, 4);
    std::memcpy(made.bytes + 4, op.esp + esp_header, 8);
    return made;
  }

  // RFC 4106 5, RFC 7634 2.1: SPI, then the 64-bit sequence number.
  static void write_extended(const esp_op& op, std::uint8_t* to) noexcept {
    const be32 high(op.sequence_high);
    std::memcpy(to, op.esp, 4);
    std::memcpy(to + 4, &high, 4);
    std::memcpy(to + 8, op.esp + 4, 4);
  }

  template <bool Encrypt>
  void gcm(esp_op& op, const esp_suite_info& row) noexcept {
    const auto& key = static_cast<const gcm_key&>(*op.key);
    const auto iv = nonce_of(op, key.salt());
    std::uint8_t extended[12];
    if (key.esn) write_extended(op, extended);
    const std::uint8_t* aad = key.esn ? extended : op.esp;
    std::uint8_t* payload = op.esp + esp_header + row.iv;
    call<Encrypt>(op, row, key, payload, op.payload_length, iv, aad, key.esn ? sizeof extended : esp_header);
  }

  // RFC 4543 3.3 with erratum 1821: all from the SPI to the trailer is associated data, the IV too, and no text is
  // left.
  template <bool Encrypt>
  void gmac(esp_op& op, const esp_suite_info& row) noexcept {
    const auto& key = static_cast<const gcm_key&>(*op.key);
    const auto iv = nonce_of(op, key.salt());
    const std::uint8_t* aad = op.esp;
    std::size_t size = esp_header + row.iv + op.payload_length;
    op.ok = false;
    if (size > gmac_limit) return;
    if (key.esn) {  // the high half stands in the middle: a copy costs less than the library's calls for pieces
      write_extended(op, extended_);
      std::memcpy(extended_ + 12, op.esp + esp_header, size - esp_header);
      aad = extended_;
      size += 4;
    }
    call<Encrypt>(op, row, key, nullptr, 0, iv, aad, size);
  }

  template <bool Encrypt>
  void call(esp_op& op, const esp_suite_info& row, const gcm_key& key, std::uint8_t* text, std::size_t text_size,
            const nonce& iv, const std::uint8_t* aad, std::size_t aad_size) noexcept {
    const auto& kernel = kernels_.of(row);
    std::uint8_t* icv = op.esp + esp_header + row.iv + op.payload_length;
    if constexpr (Encrypt) {
      kernel.encrypt(key.data(), &context_, text, text, text_size, iv.bytes, aad, aad_size, icv, row.icv);
      op.ok = true;
    } else {
      std::uint8_t expected[16];
      kernel.decrypt(key.data(), &context_, text, text, text_size, iv.bytes, aad, aad_size, expected, row.icv);
      op.ok = icv_equal(expected, icv, row.icv);
    }
  }

  template <bool Encrypt>
  void chacha(esp_op& op, const esp_suite_info& row) noexcept {
    const auto& key = static_cast<const chacha_key&>(*op.key);
    const auto iv = nonce_of(op, key.salt);
    std::uint8_t extended[12];
    if (key.esn) write_extended(op, extended);
    std::uint8_t* payload = op.esp + esp_header + row.iv;
    std::uint8_t* icv = payload + op.payload_length;
    std::uint8_t expected[16] = {};
    void* text = payload;
    const void *source = payload, *nonce_at = iv.bytes, *aad = key.esn ? extended : op.esp;
    const std::uint64_t size = op.payload_length;
    void* tag = Encrypt ? icv : expected;
    imb_quic_chacha20_poly1305(library_, key.key, Encrypt ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT, &text, &source, &size,
                               &nonce_at, &aad, key.esn ? sizeof extended : esp_header, &tag, 1);
    op.ok = imb_get_errno(library_) == 0 && (Encrypt || icv_equal(expected, icv, row.icv));
  }

  const gcm_kernels kernels_;
  IMB_MGR* const library_;
  gcm_context_data context_{};
  alignas(64) std::uint8_t extended_[gmac_limit + 64] = {};
};

}  // namespace trunkgate::ipsec_mb
