#include "controlplane/keystore/local.hpp"

#include "controlplane/keystore/key_ring.hpp"

namespace trunkgate {

namespace {

using boost::asio::awaitable;

class ring_keystore final : public keystore {
 public:
  explicit ring_keystore(std::string folder) : ring_(std::move(folder), {}) {}

  awaitable<result<bytes>> public_key(const key_reference& key) override { co_return ring_.public_key(key); }
  awaitable<result<bytes>> sign(const key_reference& key, signature_scheme scheme, byte_view octets) override {
    co_return ring_.sign(key, scheme, octets);
  }
  awaitable<result<secret>> psk_auth(const key_reference& key, std::uint16_t prf, byte_view octets) override {
    co_return ring_.psk_auth(key, prf, octets);
  }
  awaitable<result<mixed_keys>> mix_ppk(const key_reference& key, std::uint16_t prf, byte_view sk_d, byte_view sk_pi,
                                        byte_view sk_pr) override {
    co_return ring_.mix_ppk(key, prf, sk_d, sk_pi, sk_pr);
  }
  awaitable<result<void>> reload() override { co_return ring_.reload(); }

 private:
  key_ring ring_;
};

}  // namespace

std::unique_ptr<keystore> local_keystore(std::string folder) {
  return std::make_unique<ring_keystore>(std::move(folder));
}

}  // namespace trunkgate
