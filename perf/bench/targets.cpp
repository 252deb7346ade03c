#include "perf/bench/targets.hpp"

#include <algorithm>
#include <iterator>

#include "perf/bench/numbers.hpp"
#include "perf/bench/report_figures.hpp"

namespace trunkgate::bench {
namespace {

using enum target_row::kind;
constexpr auto gcm = esp_suite::aes128gcm16, cbc = esp_suite::aes128cbc_sha256;

// Columns: required, stretch, and the engine alone where the targets were set (it was measured with one key only).
constexpr target_row rows[] = {
    {esp, direction::out, gcm, 1, 64, 165, 150, 77},      {esp, direction::out, gcm, 1, 350, 225, 210, 182},
    {esp, direction::out, gcm, 1, 1420, 490, 460, 464},   {esp, direction::in, gcm, 1, 64, 185, 165, 77},
    {esp, direction::in, gcm, 1, 350, 245, 225, 182},     {esp, direction::in, gcm, 1, 1420, 510, 480, 464},
    {esp, direction::out, gcm, 1024, 64, 250, 0, 0},      {esp, direction::out, gcm, 1024, 350, 320, 0, 0},
    {esp, direction::out, gcm, 1024, 1420, 590, 0, 0},    {esp, direction::out, gcm, 4096, 64, 300, 0, 0},
    {esp, direction::out, cbc, 1, 64, 380, 0, 267},       {esp, direction::out, cbc, 1, 350, 720, 0, 615},
    {esp, direction::out, cbc, 1, 1420, 1870, 0, 1762},   {forward, direction::out, {}, 1, 64, 60, 0, 0},
    {sa_pair, direction::out, {}, 10'000, 0, 2500, 0, 0},
};

constexpr std::uint16_t small_packet = 64;
constexpr double own_small = 90, own_larger = 80;

std::optional<target_result> find_esp(const target_row& row, const std::vector<esp_result>& list) {
  const auto found = std::ranges::find_if(list, [&](const auto& one) {
    return one.which == row.which && one.suite == row.suite && one.sas == row.count && one.sizes == row.size;
  });
  if (found == list.end()) return std::nullopt;
  const auto cycles = spread_over(found->runs, &pass_figures::total);
  return target_result{&row, cycles.min, cycles.median, spread_over(found->runs, &pass_figures::crypto).min};
}

std::optional<target_result> find_forward(const target_row& row, const std::vector<forward_result>& list) {
  const auto found =
      std::ranges::find_if(list, [&](const auto& one) { return one.flows == row.count && one.sizes == row.size; });
  if (found == list.end()) return std::nullopt;
  const auto cycles = spread_over(found->runs, &pass_figures::total);
  return target_result{&row, cycles.min, cycles.median};
}

std::optional<target_result> find_pair(const target_row& row, const std::vector<memory_result>& list) {
  const auto found = std::ranges::find_if(
      list, [&](const auto& one) { return one.object->name == "sa_pair" && one.count == row.count; });
  if (found == list.end()) return std::nullopt;
  return target_result{&row, found->figures.bytes_each, std::nullopt};
}

}  // namespace

std::span<const target_row> target_rows() { return rows; }

double own_target(std::uint16_t size) { return size <= small_packet ? own_small : own_larger; }

std::string target_row::name() const {
  if (what == sa_pair) return "bytes of an SA pair";
  if (what == forward) return "plain forwarding";
  return std::string(info(suite).name) + " " + std::string(bench::name(which)) + ", " + bench::count(count) +
         (count == 1 ? " SA" : " SAs");
}

std::vector<target_result> target_results(const results& measured) {
  std::vector<target_result> out;
  for (const auto& row : rows) {
    const auto found = row.what == esp       ? find_esp(row, measured.esp)
                       : row.what == forward ? find_forward(row, measured.forward)
                                             : find_pair(row, measured.memory);
    if (found) out.push_back(*found);
  }
  return out;
}

}  // namespace trunkgate::bench
