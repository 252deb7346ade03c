#include "controlplane/cli/show.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

listing list_gateway(const api::gateway_status& gateway, std::uint64_t now_ns) {
  using enum table::alignment;
  listing out{
      .short_view = table(
          {{"GATEWAY"}, {"UPTIME", right}, {"WORKERS", right}, {"BUFFERS FREE", right}, {"HUGEPAGES"}, {"NOTE"}})};
  const auto started = gateway.started_unix_ns;
  const bool survive = gateway.sequences_survive != 0;
  const auto used = gateway.buffers - std::min(gateway.buffers, gateway.buffers_free);
  out.short_view.add(
      survive ? severity::fine : severity::notable,
      {std::string(gateway.configured.gateway_name.view()), age_text(now_ns > started ? now_ns - started : 0),
       std::to_string(gateway.workers), share_text(gateway.buffers_free, used), gateway.hugepages != 0 ? "yes" : "no",
       survive ? "" : "sequence numbers do not survive a restart of the data plane (trunkgate run keeps them)"});
  out.objects.push_back({{"gateway", gateway.configured.gateway_name.view()},
                         {"pid", gateway.pid},
                         {"started_unix_ns", started},
                         {"workers", gateway.workers},
                         {"hugepages", gateway.hugepages != 0},
                         {"sequences_survive", survive},
                         {"buffers", gateway.buffers},
                         {"buffers_free", gateway.buffers_free},
                         {"generation", gateway.generation},
                         {"tsc_hz", gateway.tsc_hz}});
  return out;
}

}  // namespace trunkgate
