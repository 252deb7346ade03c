// Any bytes as a message to or from the key process, and as the content of a key file.
#include <algorithm>
#include <cstdlib>

#include "controlplane/keystore/key_operations.hpp"
#include "controlplane/keystore/key_source.hpp"
#include "controlplane/keystore/wire.hpp"

namespace {

using namespace trunkgate;
namespace wire = keystore_wire;

bool is_inside(wire::byte_view part, wire::byte_view whole) {
  return part.empty() || (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

// What is taken apart lies in the message, and put together again is the message.
void take_request(wire::byte_view message) {
  const auto request = wire::parse_request(message);
  if (!request) {
    if (request.error().reason.empty()) std::abort();
    (void)wire::number_of(message);
    return;
  }
  for (auto part : request->parts)
    if (!is_inside(part, message)) std::abort();
  const auto again = wire::encode(*request);
  if (!again || !std::ranges::equal(*again, message)) std::abort();
}

void take_answer(wire::byte_view message) {
  const auto answer = wire::parse_answer(message);
  if (!answer) return;
  for (auto part : answer->parts)
    if (!is_inside(part, message)) std::abort();
  if (!std::ranges::equal(wire::encode(*answer), message)) std::abort();
}

}  // namespace

// The first byte chooses.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const wire::byte_view rest(data + 1, size - 1);
  switch (data[0] % 4) {
    case 0: take_request(rest); break;
    case 1: take_answer(rest); break;
    case 2: {
      const auto key = decode_shared_key(rest);
      if (key && (key->size() == 0 || key->size() > rest.size())) std::abort();
      break;
    }
    case 3: (void)private_key::parse(rest); break;
  }
  return 0;
}
