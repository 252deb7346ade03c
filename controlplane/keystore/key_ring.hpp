// The keys that are in use: read at the first request that names one, held until a reload.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "controlplane/keystore/key_operations.hpp"
#include "controlplane/keystore/key_source.hpp"

namespace trunkgate {

// Not thread-safe: one thread uses it.
class key_ring {
 public:
  using bytes = std::vector<std::uint8_t>;
  using byte_view = std::span<const std::uint8_t>;

  key_ring(std::string folder, key_source::warn on_warning) : source_(std::move(folder), std::move(on_warning)) {}

  // As the functions of `keystore`. An error begins with the key's place in the configuration.
  [[nodiscard]] result<bytes> public_key(const key_reference& key);
  [[nodiscard]] result<bytes> sign(const key_reference& key, signature_scheme scheme, byte_view octets);
  [[nodiscard]] result<secret> psk_auth(const key_reference& key, std::uint16_t prf, byte_view octets);
  [[nodiscard]] result<keystore::mixed_keys> mix_ppk(const key_reference& key, std::uint16_t prf, byte_view sk_d,
                                                     byte_view sk_pi, byte_view sk_pr);
  // Forgets every key and reads those that were held again. What can't be read stays forgotten, for whoever removes a
  // key means it, and the error names the first of them.
  [[nodiscard]] result<void> reload();

  [[nodiscard]] std::size_t private_key_count() const { return private_keys_.size(); }
  [[nodiscard]] std::size_t shared_key_count() const { return shared_keys_.size(); }

 private:
  using name = std::pair<key_reference::kind, std::string>;
  template <class Key>
  struct held {
    Key key;
    key_reference reference;
  };
  [[nodiscard]] result<const private_key*> find_private(const key_reference& key);
  [[nodiscard]] result<const secret*> find_shared(const key_reference& key);

  key_source source_;
  std::map<name, held<private_key>> private_keys_;
  std::map<name, held<secret>> shared_keys_;
};

}  // namespace trunkgate
