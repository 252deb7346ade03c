// Horizontal bars as inline SVG.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace trunkgate::bench {

[[nodiscard]] std::string escaped(std::string_view text);  // for HTML and SVG, also in attributes

struct bar_part {
  std::string name;
  double value = 0;
};
struct bar {
  std::string label;
  std::vector<bar_part> parts;   // one behind the other; their sum is the bar's value
  std::optional<double> median;  // a whisker from the value to it
  std::optional<double> target;  // a mark across the bar
};
// Nothing if there are no bars. Parts of one name have one colour, which the legend tells where there is more than one.
[[nodiscard]] std::string bar_plot(std::string_view title, std::string_view unit, const std::vector<bar>& bars);

}  // namespace trunkgate::bench
