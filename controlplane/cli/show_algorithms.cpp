#include "controlplane/cli/show.hpp"

namespace trunkgate {

listing list_algorithms(std::span<const api::algorithm_status> algorithms) {
  listing out{.short_view = table({{"ALGORITHM"}, {"ENGINE"}, {"NOTE"}})};
  for (const auto& row : algorithms) {
    out.short_view.add(severity::fine, {std::string(row.algorithm.view()), std::string(row.engine.view()),
                                        std::string(row.note.view())});
    out.objects.push_back(
        {{"algorithm", row.algorithm.view()}, {"engine", row.engine.view()}, {"note", row.note.view()}});
  }
  return out;
}

}  // namespace trunkgate
