#include <algorithm>
#include <map>

#include "controlplane/cli/show.hpp"
#include "dataplane/core/drop_reason.hpp"

namespace trunkgate {

namespace {

struct reason_sum {
  std::uint64_t packets = 0;
  std::map<std::uint16_t, std::uint64_t> per_worker;
};

}  // namespace

listing list_drops(std::span<const api::drop_status> drops) {
  using enum table::alignment;
  std::map<std::uint8_t, reason_sum> sums;
  for (const auto& drop : drops) {
    sums[drop.reason].packets += drop.packets;
    sums[drop.reason].per_worker[drop.worker] += drop.packets;
  }
  std::vector<std::pair<std::uint8_t, reason_sum>> most_first(sums.begin(), sums.end());
  std::ranges::stable_sort(most_first, std::greater(), [](const auto& entry) { return entry.second.packets; });

  listing out{.short_view = table({{"REASON"}, {"PACKETS", right}, {"MEANING"}})};
  std::uint64_t total = 0;
  for (const auto& [reason, sum] : most_first) {
    const bool known = reason < drop_reason_count;
    const std::string name = known ? std::string(drop_reasons[reason].name) : "reason_" + std::to_string(reason);
    const std::string meaning =
        known ? std::string(drop_reasons[reason].meaning) : "the data plane is of another version";
    total += sum.packets;
    out.short_view.add(severity::fine, {name, std::to_string(sum.packets), meaning});
    auto per_worker = json_object::array();
    for (const auto& [worker, packets] : sum.per_worker)
      per_worker.push_back({{"worker", worker}, {"packets", packets}});
    out.objects.push_back(
        {{"reason", name}, {"packets", sum.packets}, {"meaning", meaning}, {"per_worker", per_worker}});
  }
  out.summary = std::to_string(total) + " packets dropped";
  return out;
}

}  // namespace trunkgate
