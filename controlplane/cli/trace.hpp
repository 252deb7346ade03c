// `trunkgate trace`: from the data plane's records to the way of each packet, stage by stage.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/cli/listing.hpp"
#include "dataplane/api/messages.hpp"

namespace trunkgate {

// One packet and all that was told of it, in the order in which it happened.
struct traced_packet {
  unsigned number = 0;  // in this trace, from 1
  std::vector<api::watched> records;
  std::uint64_t last_seen_ms = 0;  // of the command's clock
};

[[nodiscard]] std::string trace_text(const traced_packet& packet);
[[nodiscard]] json_object trace_object(const traced_packet& packet);
// "trunkgate show routes" for what the forwarding table has to answer for, and so on.
[[nodiscard]] std::string next_command(std::uint8_t reason, std::string_view tunnel);

// Puts records together to packets.
class trace_collector {
 public:
  void take(const api::watched& record, std::uint64_t now_ms);
  // The packets whose way has ended; with `all` also those whose end was not seen.
  [[nodiscard]] std::vector<traced_packet> finished(std::uint64_t now_ms, bool all);

 private:
  std::vector<traced_packet> open_;  // by number
  unsigned begun_ = 0;
};

}  // namespace trunkgate
