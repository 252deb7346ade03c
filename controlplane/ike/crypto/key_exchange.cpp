#include "controlplane/ike/crypto/key_exchange.hpp"

#include <string>

#include "controlplane/ike/crypto/key_exchange_method.hpp"

namespace trunkgate::ike {

struct key_exchange_start::state {
  const key_exchange_method* method;
  openssl::key_pair own;
  std::vector<std::uint8_t> value;
};

key_exchange_start::key_exchange_start(std::unique_ptr<state> own) : state_(std::move(own)) {}
key_exchange_start::key_exchange_start(key_exchange_start&&) noexcept = default;
key_exchange_start& key_exchange_start::operator=(key_exchange_start&&) noexcept = default;
key_exchange_start::~key_exchange_start() = default;

namespace {
std::unexpected<error> unknown(std::uint16_t method) {
  return failure("key exchange method " + std::to_string(method) + " is not known");
}
}  // namespace

result<key_exchange_start> key_exchange_start::make(std::uint16_t method) {
  const auto* found = find_method(method);
  if (found == nullptr) return unknown(method);
  auto own = generate_key_pair(*found);
  auto value = ike::public_value(*found, *own);
  return key_exchange_start(std::make_unique<state>(state{found, std::move(own), std::move(value)}));
}

std::uint16_t key_exchange_start::method() const { return state_->method->id; }
byte_view key_exchange_start::public_value() const { return state_->value; }

result<secret> key_exchange_start::finish(byte_view answer) const {
  return derive_shared(*state_->method, *state_->own, answer);
}

result<key_exchange_answer> answer_key_exchange(std::uint16_t method, byte_view from_initiator) {
  const auto* found = find_method(method);
  if (found == nullptr) return unknown(method);
  auto done = answer_value(*found, from_initiator);
  if (!done) return std::unexpected(std::move(done.error()));
  return key_exchange_answer{std::move(done->public_value), std::move(done->shared)};
}

key_exchange_sizes sizes_of_key_exchange(std::uint16_t method) {
  const auto* found = find_method(method);
  return found == nullptr ? key_exchange_sizes{} : key_exchange_sizes{found->initiator, found->responder};
}

}  // namespace trunkgate::ike
