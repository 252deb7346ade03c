#include "controlplane/cli/show.hpp"
#include "controlplane/cli/text.hpp"

namespace trunkgate {

listing list_counters(std::span<const api::stage_status> stages) {
  using enum table::alignment;
  listing out{.short_view = table({{"STAGE"},
                                   {"WORKER", right},
                                   {"PACKETS", right},
                                   {"BURSTS", right},
                                   {"PACKETS/BURST", right},
                                   {"CYCLES/PACKET", right}})};
  for (const auto& stage : stages) {
    out.short_view.add(severity::fine,
                       {std::string(stage.stage.view()), std::to_string(stage.worker), std::to_string(stage.packets),
                        std::to_string(stage.bursts), ratio_text(stage.packets, stage.bursts),
                        ratio_text(stage.cycles, stage.packets)});
    out.objects.push_back({{"stage", stage.stage.view()},
                           {"worker", stage.worker},
                           {"packets", stage.packets},
                           {"bursts", stage.bursts},
                           {"cycles", stage.cycles}});
  }
  return out;
}

}  // namespace trunkgate
