// Any bytes as the body of one payload; the first byte chooses which. What is taken is written again and reads the
// same.
#include <cstdlib>

#include "controlplane/ike/wire/codec.hpp"
#include "controlplane/ike/wire/describe.hpp"

using namespace trunkgate::ike;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A body that is longer has no generic header to stand behind.
  if (size < 1 || size > 65535 - 4) return 0;
  const payload_type type{data[0]};
  const auto read = wire::parse_body(type, false, byte_view(data, size).subspan(1));
  if (!read) {
    if (read.error().reason.empty() || read.error().notify != notify::invalid_syntax) std::abort();
    return 0;
  }
  if (wire::type_of(*read) != type || describe(*read).find('\n') != std::string::npos) std::abort();
  const auto body = encode_body(*read);
  if (body.size() > size - 1 || wire::parse_body(type, false, body).value() != *read) std::abort();
  return 0;
}
