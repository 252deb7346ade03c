#include "controlplane/cli/table.hpp"

#include <algorithm>
#include <cassert>

#include "controlplane/cli/text.hpp"

namespace trunkgate {

namespace {

constexpr std::string_view red = "\033[31m", yellow = "\033[33m", plain = "\033[0m";

}  // namespace

void table::add(severity how, std::vector<std::string> cells) {
  assert(cells.size() == columns_.size());
  for (auto& cell : cells) cell = printable(cell);
  for (std::size_t i = 0; i + 1 < cells.size(); ++i)
    if (cells[i].empty()) cells[i] = "-";
  rows_.push_back({how, std::move(cells)});
}

std::string table::line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                        const output_style& style) const {
  std::string out;
  for (std::size_t i = 0; i < cells.size(); ++i) {
    const std::string padding(widths[i] - display_width(cells[i]), ' ');
    if (i > 0) out += "  ";
    out += columns_[i].align == alignment::right ? padding + cells[i] : cells[i] + padding;
  }
  while (out.ends_with(' ')) out.pop_back();
  if (!style.wide && style.terminal_width > 0) out = cut_to_width(out, style.terminal_width);
  return out;
}

std::string table::text(const output_style& style) const {
  std::vector<std::string> titles;
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    titles.push_back(columns_[i].title);
    widths.push_back(display_width(columns_[i].title));
    for (const auto& each : rows_) widths[i] = std::max(widths[i], display_width(each.cells[i]));
  }
  auto ordered = rows_;
  std::ranges::stable_sort(ordered, {}, &row::how);
  std::string out = line(titles, widths, style) + "\n";
  for (const auto& each : ordered) {
    const auto text = line(each.cells, widths, style);
    const auto color = each.how == severity::problem   ? red
                       : each.how == severity::notable ? yellow
                                                       : std::string_view();
    if (style.color && !color.empty())
      out.append(color).append(text).append(plain).append("\n");
    else
      out.append(text).append("\n");
  }
  return out;
}

}  // namespace trunkgate
