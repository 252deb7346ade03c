#include <cstdlib>

#include <openssl/crypto.h>
#include <rte_cycles.h>
#include <rte_version.h>

#include "controlplane/cli/machine.hpp"
#include "perf/bench/numbers.hpp"
#include "perf/bench/report.hpp"

namespace trunkgate::bench {
namespace {

constexpr const char* interesting_flags[] = {"aes",        "pclmulqdq", "avx2",    "sha_ni",    "vaes",
                                             "vpclmulqdq", "gfni",      "avx512f", "hypervisor"};

}  // namespace

machine_report describe_machine() {
  const auto facts = read_machine("/");
  machine_report report;
  report.cpu = facts.cpu_model;
  for (const auto* flag : interesting_flags)
    if (facts.cpu_flags.contains(flag)) report.flags.emplace_back(flag);
  double load = 0;
  if (::getloadavg(&load, 1) == 1 && load > 0.5)
    report.warnings.push_back("other work ran on this machine (load " + number(load, 1) +
                              "): compare minimum with minimum");
  if (facts.cpu_flags.contains("hypervisor"))
    report.warnings.emplace_back("a virtual machine: its host may take cycles unseen");
#ifndef __OPTIMIZE__
  report.warnings.emplace_back("built without optimisation");
#endif
  return report;
}

machine_report describe_machine(const crypto_engines& engines, const eal_report& eal) {
  auto report = describe_machine();
  report.tsc_hz = rte_get_tsc_hz();
  report.engines.assign(engines.choices().begin(), engines.choices().end());
  report.hugepages = eal.hugepages;
  if (!eal.hugepages) report.warnings.insert(report.warnings.begin(), "no hugepages: " + eal.note);
  if (!read_machine("/").cpu_flags.contains("constant_tsc"))
    report.warnings.emplace_back("the time stamp counter does not run at a constant rate");
  return report;
}

std::string machine_text(const machine_report& machine) {
  std::string out = machine.cpu;
  if (machine.tsc_hz != 0) out += ", TSC " + number(static_cast<double>(machine.tsc_hz) / 1e6) + " MHz";
  for (const auto& flag : machine.flags) out += " " + flag;
  out += "\n";
  for (const auto& warning : machine.warnings) out += "note: " + warning + "\n";
  return out;
}

nlohmann::ordered_json machine_json(const machine_report& machine) {
  auto engines = nlohmann::ordered_json::object();
  for (const auto& choice : machine.engines) engines[std::string(info(choice.suite).name)] = choice.engine->name();
  return {{"cpu", machine.cpu},
          {"flags", machine.flags},
          {"tsc_hz", machine.tsc_hz},
          {"engines", engines},
          {"versions",
           {{"trunkgate", TRUNKGATE_VERSION},
            {"dpdk", rte_version()},
            {"openssl", OpenSSL_version(OPENSSL_VERSION_STRING)}}},
          {"hugepages", machine.hugepages},
          {"warnings", machine.warnings}};
}

}  // namespace trunkgate::bench
