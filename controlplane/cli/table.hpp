// A table for people: aligned columns, rows that tell of problems first and coloured.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

namespace trunkgate {

enum class severity { problem, notable, fine };  // in the order in which rows are shown

struct output_style {
  bool color = false;
  bool wide = false;               // lines may be longer than the terminal
  std::size_t terminal_width = 0;  // 0: no terminal, nothing is cut
};

class table {
 public:
  enum class alignment { left, right };
  struct column {
    std::string title;
    alignment align = alignment::left;
  };

  explicit table(std::vector<column> columns) : columns_(std::move(columns)) {}
  // One cell per column; an empty one shows as "-", but the last column stays empty.
  void add(severity how, std::vector<std::string> cells);
  [[nodiscard]] std::string text(const output_style& style) const;
  [[nodiscard]] bool empty() const { return rows_.empty(); }

 private:
  struct row {
    severity how;
    std::vector<std::string> cells;
  };
  [[nodiscard]] std::string line(const std::vector<std::string>& cells, const std::vector<std::size_t>& widths,
                                 const output_style& style) const;

  std::vector<column> columns_;
  std::vector<row> rows_;
};

}  // namespace trunkgate
