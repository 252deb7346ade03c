// Any bytes as the peer's value, to either side of every key exchange method: a reason, or a secret of the right
// length.
#include <algorithm>
#include <array>
#include <cstdlib>
#include <optional>

#include "config/ike_proposal.hpp"
#include "controlplane/ike/crypto/key_exchange.hpp"

namespace {

using namespace trunkgate;
using namespace trunkgate::ike;
using namespace trunkgate::transform_id;

constexpr std::array<std::uint16_t, 12> methods{x25519,   x448,      ecp256,   ecp384,   ecp521,   mlkem512,
                                                mlkem768, mlkem1024, modp1024, modp2048, modp3072, 22};

// Started once: what is finished is not used up.
const result<key_exchange_start>& started(std::size_t index) {
  static std::array<std::optional<result<key_exchange_start>>, methods.size()> all;
  if (!all[index]) all[index] = key_exchange_start::make(methods[index]);
  return *all[index];
}

template <class T>
void judge(const result<T>& made, const secret* shared, bool right_length) {
  if (!made && made.error().reason.empty()) std::abort();
  if (made && (!right_length || shared->size() == 0)) std::abort();
}

}  // namespace

// The first octet chooses the method and, by its highest bit, whether the value is filled up to the right length.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 1) return 0;
  const auto index = data[0] % methods.size();
  const auto method = methods[index];
  const auto sizes = sizes_of_key_exchange(method);
  for (const bool as_responder : {true, false}) {
    const auto wanted = as_responder ? sizes.initiator : sizes.responder;
    std::vector<std::uint8_t> value(data + 1, data + size);
    if ((data[0] & 0x80) != 0) value.resize(wanted);
    if (as_responder) {
      const auto answer = answer_key_exchange(method, value);
      judge(answer, answer ? &answer->shared : nullptr, value.size() == wanted);
      if (answer && answer->public_value.size() != sizes.responder) std::abort();
    } else if (const auto& start = started(index)) {
      const auto shared = start->finish(value);
      judge(shared, shared ? &*shared : nullptr, value.size() == wanted);
    } else if (sizes.initiator != 0) {
      std::abort();
    }
  }
  return 0;
}
