// Collects what is wrong with a configuration, each at its place in the file.
#pragma once

#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "config/document.hpp"

namespace trunkgate {

class report {
 public:
  // Borrows the tree.
  report(std::string file, const node& root) : file_(std::move(file)), root_(root) {}

  // The place is found by the path; for what is not in the file, its nearest ancestor's. A path has one error at most:
  // the first says what to mend, later ones would follow from it.
  void error(const std::string& path, std::string message, std::string hint = {}) {
    add(false, path, std::move(message), std::move(hint));
  }
  void warning(const std::string& path, std::string message, std::string hint = {}) {
    add(true, path, std::move(message), std::move(hint));
  }
  // The caret goes under the key, not under its value.
  void error_at_key(const std::string& path, const node& key, std::string message, std::string hint);
  // What stands at `path` may be a key: its line is never shown.
  void error_on_secret(const std::string& path, std::string message, std::string hint);

  [[nodiscard]] bool has_errors() const { return !wrong_.empty(); }
  [[nodiscard]] bool is_wrong(const std::string& path) const { return wrong_.contains(path); }
  [[nodiscard]] const std::string& file() const { return file_; }
  // Whether the file has something at `path`, which names keys only.
  [[nodiscard]] bool stands(std::string_view path) const;
  [[nodiscard]] std::string line_of(const std::string& path) const;  // "line 12"
  [[nodiscard]] std::vector<diagnostic> take() { return std::move(diagnostics_); }

 private:
  struct spot {
    place at;
    int width;
  };
  [[nodiscard]] spot locate(std::string_view path) const;
  void add(bool warning, const std::string& path, std::string message, std::string hint, const node* where = nullptr);

  std::string file_;
  const node& root_;
  std::unordered_set<std::string> wrong_;
  std::vector<diagnostic> diagnostics_;
};

// Holds the tree against the table: unknown and missing keys, wrong forms, wrong scalars.
void check_document(const node& root, report& to);

// The model of a checked tree. What is wrong in the tree is left at its default.
[[nodiscard]] configuration read_document(const node& root);

// What no single value can say: names that must exist, things that exclude each other, SAs that collide.
void validate(const configuration& config, report& to);
void validate_policies(const configuration& config, report& to);
void validate_ike(const configuration& config, report& to);
// Warns of what every user of this machine can read or change.
void check_key_file(const key_reference& key, const std::string& directory, report& to);
// Selectors of children and rules alike: `icmp` must be a message of the protocol of the object at `path`.
void check_icmp(const std::string& icmp, std::int16_t protocol, const std::string& path, report& to);
[[nodiscard]] inline bool has_ports(std::int16_t protocol) {
  return protocol == 6 || protocol == 17 || protocol == 132;
}

[[nodiscard]] inline std::string item_path(std::string_view list, std::size_t index) {
  return std::string(list) + "[" + std::to_string(index) + "]";
}

}  // namespace trunkgate
