#include "controlplane/keystore/key_ring.hpp"

namespace trunkgate {

namespace {

// More tunnels than a gateway can have: who is asked for ever new names must not fill the memory.
constexpr std::size_t key_limit = 65536;

std::unexpected<error> told(const key_reference& key, const std::string& reason) {
  return failure(key.path.empty() ? reason : key.path + ": " + reason);
}

std::string shown(const key_reference& key) {
  switch (key.from) {
    case key_reference::kind::file: return key.name;
    case key_reference::kind::environment: return "the variable " + key.name;
    case key_reference::kind::credential: return "the credential " + key.name;
  }
  return key.name;
}

// The key named `key` in `keys`; made by `parse` from what `source` reads if it is not there yet.
template <class Map, class Parse>
auto find_or_read(Map& keys, const key_source& source, const key_reference& key, const Parse& parse)
    -> result<const decltype(keys.begin()->second.key)*> {
  const typename Map::key_type name{key.from, key.name};
  if (const auto known = keys.find(name); known != keys.end()) return &known->second.key;
  if (keys.size() >= key_limit) return told(key, "more than " + std::to_string(key_limit) + " keys are held");
  auto content = source.read(key);
  if (!content) return told(key, content.error().reason);
  auto parsed = parse(content->bytes());
  if (!parsed) return told(key, shown(key) + " " + parsed.error().reason);
  return &keys.emplace(name, typename Map::mapped_type{std::move(*parsed), key}).first->second.key;
}

}  // namespace

result<const private_key*> key_ring::find_private(const key_reference& key) {
  return find_or_read(private_keys_, source_, key, private_key::parse);
}

result<const secret*> key_ring::find_shared(const key_reference& key) {
  return find_or_read(shared_keys_, source_, key, decode_shared_key);
}

result<key_ring::bytes> key_ring::public_key(const key_reference& key) {
  auto found = find_private(key);
  if (!found) return std::unexpected(found.error());
  auto half = (*found)->public_key();
  if (!half) return told(key, shown(key) + " " + half.error().reason);
  return half;
}

result<key_ring::bytes> key_ring::sign(const key_reference& key, signature_scheme scheme, byte_view octets) {
  auto found = find_private(key);
  if (!found) return std::unexpected(found.error());
  auto signature = (*found)->sign(scheme, octets);
  if (!signature) return told(key, shown(key) + " " + signature.error().reason);
  return signature;
}

result<secret> key_ring::psk_auth(const key_reference& key, std::uint16_t prf, byte_view octets) {
  auto found = find_shared(key);
  if (!found) return std::unexpected(found.error());
  auto auth = compute_psk_auth(prf, **found, octets);
  if (!auth) return told(key, auth.error().reason);
  return auth;
}

result<keystore::mixed_keys> key_ring::mix_ppk(const key_reference& key, std::uint16_t prf, byte_view sk_d,
                                               byte_view sk_pi, byte_view sk_pr) {
  auto found = find_shared(key);
  if (!found) return std::unexpected(found.error());
  auto mixed = compute_mixed_keys(prf, **found, sk_d, sk_pi, sk_pr);
  if (!mixed) return told(key, mixed.error().reason);
  return mixed;
}

result<void> key_ring::reload() {
  const auto private_keys = std::exchange(private_keys_, {});
  const auto shared_keys = std::exchange(shared_keys_, {});
  result<void> done;
  for (const auto& [named, one] : private_keys)
    if (auto again = find_private(one.reference); !again && done) done = std::unexpected(again.error());
  for (const auto& [named, one] : shared_keys)
    if (auto again = find_shared(one.reference); !again && done) done = std::unexpected(again.error());
  return done;
}

}  // namespace trunkgate
