#include "perf/bench/svg_plot.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "perf/bench/numbers.hpp"

namespace trunkgate::bench {
namespace {

constexpr int label_width = 330, plot_width = 560, value_width = 110, row_height = 20, bar_height = 13, head = 8,
              foot = 26, legend_step = 150, legend_height = 20;
constexpr double whole = label_width + plot_width + value_width;
// Told apart by those who do not see all colours, too (Okabe and Ito), then lighter ones of them.
constexpr const char* colours[] = {"#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b8a800",
                                   "#666666", "#80b9d9", "#f2cf80", "#80cfb9", "#e6bcd3", "#aaaaaa"};

double value_of(const bar& one) {
  return std::accumulate(one.parts.begin(), one.parts.end(), 0.0,
                         [](double sum, const auto& part) { return sum + part.value; });
}

constexpr const char* nameless = "#5b7f95";

// A step of 1, 2 or 5 times a power of ten that divides the range into at most six.
double tick_step(double most) {
  const double rough = most / 6, power = std::pow(10, std::floor(std::log10(rough)));
  for (const double step : {1.0, 2.0, 5.0})
    if (step * power >= rough) return step * power;
  return 10 * power;
}

std::string shown(double value) { return number(value, value < 10 ? 2 : value < 100 ? 1 : 0); }

std::string text_at(double x, double y, const char* anchor, const std::string& text, const char* kind = "") {
  return "<text x=\"" + number(x, 1) + "\" y=\"" + number(y, 1) + "\" text-anchor=\"" + anchor + "\"" +
         (*kind != 0 ? std::string(" class=\"") + kind + "\"" : "") + ">" + escaped(text) + "</text>\n";
}
std::string line_at(double x1, double y1, double x2, double y2, const char* kind) {
  return "<line x1=\"" + number(x1, 1) + "\" y1=\"" + number(y1, 1) + "\" x2=\"" + number(x2, 1) + "\" y2=\"" +
         number(y2, 1) + "\" class=\"" + kind + "\"/>\n";
}
std::string box_at(double x, double y, double width, double height, const char* colour, const std::string& title) {
  return "<rect x=\"" + number(x, 1) + "\" y=\"" + number(y, 1) + "\" width=\"" + number(width, 1) + "\" height=\"" +
         number(height, 1) + "\" fill=\"" + colour + "\"><title>" + escaped(title) + "</title></rect>\n";
}

class plot {
 public:
  explicit plot(const std::vector<bar>& bars) : bars_(bars) {
    for (const auto& one : bars) {
      // A median far off says that the machine was busy: it shall not make the bars small.
      const double value = value_of(one);
      most_ = std::max({most_, value, std::min(one.median.value_or(0), 1.2 * value), one.target.value_or(0)});
      for (const auto& part : one.parts)
        if (!part.name.empty() && !std::ranges::contains(names_, part.name)) names_.push_back(part.name);
    }
  }
  [[nodiscard]] bool nothing() const { return most_ <= 0; }

  [[nodiscard]] std::string text() const {
    std::string out = "<svg viewBox=\"0 0 " + number(whole) + " " + number(bottom() + foot) + "\" role=\"img\">\n";
    if (legend_rows() != 0) out += legend();
    const double step = tick_step(most_);
    for (double tick = 0; tick <= most_ * 1.0001; tick += step)
      out += line_at(x_of(tick), top(), x_of(tick), bottom(), "grid") +
             text_at(x_of(tick), bottom() + 14, "middle", number(tick, step < 1 ? 2 : 0), "tick");
    for (std::size_t i = 0; i < bars_.size(); ++i) out += row(bars_[i], top() + static_cast<double>(i) * row_height);
    return out + "</svg>\n";
  }

 private:
  [[nodiscard]] double top() const { return head + legend_rows() * legend_height; }
  [[nodiscard]] double bottom() const { return top() + static_cast<double>(bars_.size()) * row_height; }
  [[nodiscard]] double x_of(double value) const { return label_width + value / most_ * plot_width; }
  [[nodiscard]] int legend_rows() const {
    constexpr std::size_t each = static_cast<std::size_t>(whole) / legend_step;
    return names_.size() < 2 ? 0 : static_cast<int>((names_.size() + each - 1) / each);
  }
  [[nodiscard]] const char* colour_of(const std::string& name) const {
    if (name.empty()) return names_.empty() ? colours[0] : nameless;
    return colours[static_cast<std::size_t>(std::ranges::find(names_, name) - names_.begin()) % std::size(colours)];
  }

  [[nodiscard]] std::string legend() const {
    constexpr std::size_t each = static_cast<std::size_t>(whole) / legend_step;
    std::string out;
    for (std::size_t i = 0; i < names_.size(); ++i) {
      const std::size_t line = i / each;
      const double x = static_cast<double>(i % each) * legend_step, y = static_cast<double>(line) * legend_height + 2;
      out += box_at(x, y, 11, 11, colour_of(names_[i]), names_[i]) + text_at(x + 16, y + 10, "start", names_[i]);
    }
    return out;
  }

  [[nodiscard]] std::string row(const bar& one, double y) const {
    const double middle = y + row_height / 2.0, up = middle - bar_height / 2.0;
    std::string out = text_at(label_width - 8, middle + 4, "end", one.label);
    double sum = 0;
    for (const auto& part : one.parts) {
      out += box_at(x_of(sum), up, x_of(sum + part.value) - x_of(sum), bar_height, colour_of(part.name),
                    (part.name.empty() ? one.label : part.name) + ": " + shown(part.value));
      sum += part.value;
    }
    if (one.median) {
      const double end = x_of(std::min(*one.median, most_));
      out += line_at(x_of(sum), middle, end, middle, "whisker");
      if (*one.median <= most_) out += line_at(end, middle - 4, end, middle + 4, "whisker");
    }
    if (one.target) out += line_at(x_of(*one.target), up - 3, x_of(*one.target), up + bar_height + 3, "target");
    return out + text_at(whole, middle + 4, "end", shown(sum) + (one.target ? " / " + shown(*one.target) : ""));
  }

  const std::vector<bar>& bars_;
  std::vector<std::string> names_;
  double most_ = 0;
};

}  // namespace

std::string escaped(std::string_view text) {
  std::string out;
  for (const char letter : text) switch (letter) {
      case '&': out += "&amp;"; break;
      case '<': out += "&lt;"; break;
      case '>': out += "&gt;"; break;
      case '"': out += "&quot;"; break;
      default: out += letter;
    }
  return out;
}

std::string bar_plot(std::string_view title, std::string_view unit, const std::vector<bar>& bars) {
  const plot drawn(bars);
  if (drawn.nothing()) return {};
  return "<h3>" + escaped(unit) + "</h3>\n<p>" + escaped(title) + "</p>\n" + drawn.text();
}

}  // namespace trunkgate::bench
