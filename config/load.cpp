#include "config/load.hpp"

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <system_error>
#include <tuple>

#include "config/document.hpp"
#include "config/report.hpp"

namespace trunkgate {

namespace {

loaded failed_to_read(const std::string& file, const std::string& why) {
  loaded out;
  out.diagnostics.push_back({.file = file, .path = {}, .message = why, .hint = {}});
  return out;
}

}  // namespace

loaded load_configuration(const std::string& file) {
  std::ifstream stream(file, std::ios::binary);
  if (!stream) return failed_to_read(file, "cannot be read: " + std::system_category().message(errno));
  std::string text(configuration_size_limit + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (stream.bad()) return failed_to_read(file, "cannot be read: it is no file");
  text.resize(static_cast<std::size_t>(stream.gcount()));
  return load_configuration_text(file, std::move(text));
}

loaded load_configuration_text(const std::string& name, std::string text) {
  loaded out;
  out.text = std::move(text);
  node root = parse_document(name, out.text, out.diagnostics);
  if (root.what == node::kind::map) {
    bool duplicates = !out.diagnostics.empty();
    report findings(name, root);
    check_document(root, findings);
    configuration config = read_document(root);
    config.directory = std::filesystem::path(name).parent_path().string();
    validate(config, findings);
    if (!findings.has_errors() && !duplicates) out.config = std::move(config);
    for (auto& found : findings.take()) out.diagnostics.push_back(std::move(found));
  }
  std::ranges::stable_sort(out.diagnostics, {}, [](const diagnostic& d) { return std::tuple(d.line, d.column); });
  return out;
}

}  // namespace trunkgate
