// Whatever bytes come over the socket: a message that is taken is of the length it says, and every text in it ends.
#include <sys/socket.h>

#include <cstdlib>

#include "dataplane/api/channel.hpp"

using namespace trunkgate::api;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static int ends[2] = {-1, -1};
  if (ends[0] < 0 && ::socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) != 0) std::abort();
  static channel receiver(ends[0]);
  if (size == 0 || size > 2 * message_limit) return 0;  // an empty packet means that the other end closed
  if (::send(ends[1], data, size, 0) != static_cast<ssize_t>(size)) std::abort();

  message got;
  auto received = receiver.receive(got);
  if (!received) {
    if (received.error().reason.empty()) std::abort();
    return 0;
  }
  if (got.header.length + sizeof(header) != size || got.header.length > got.body.size()) std::abort();
  if (auto why = got.as<failed>(); why && why->reason.view().size() > sizeof why->reason.bytes) std::abort();
  if (auto sa = got.as<sa_record>(); sa && sa->tunnel.view().size() > sizeof sa->tunnel.bytes) std::abort();
  return 0;
}
