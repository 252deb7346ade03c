#include "controlplane/cli/verbs.hpp"

#include <algorithm>
#include <filesystem>
#include <iostream>

#include "controlplane/cli/show.hpp"

namespace trunkgate {

namespace {

constexpr option_row run_dir_row{"run-dir", "DIR",
                                 "where the daemons' sockets are (TRUNKGATE_RUN_DIR, or /run/trunkgate)"};

constexpr option_row socket_row{"socket", "FILE", "the data plane's socket itself"};

constexpr option_row run_options[] = {
    {"config", "FILE", "the configuration (/etc/trunkgate/trunkgate.yaml)"},
    run_dir_row,
};
constexpr option_row show_options[] = {
    {"json", "", "stable, documented fields for programs"},
    {"wide", "", "lines longer than the terminal"},
    {"no-color", "", "no colours, as with NO_COLOR in the environment"},
    run_dir_row,
    socket_row,
};
constexpr option_row trace_options[] = {
    {"json", "", "one JSON object per packet and line, with stable, documented fields"},
    run_dir_row,
    socket_row,
};
constexpr option_row capture_options[] = {
    {"write", "FILE", "where the pcapng goes; \"-\": standard output, for a pipe", "w"},
    {"view", "wire|inner|both", "frames as on the wire, packets as inside the tunnels, or both (both)"},
    run_dir_row,
    socket_row,
};
constexpr option_row peer_config_options[] = {
    {"for", "KIND", "what the far end is: strongswan"},
    {"config", "FILE", "our configuration (/etc/trunkgate/trunkgate.yaml)"},
};
constexpr option_row plan_options[] = {
    {"against", "FILE", "another file instead of what runs"},
    {"json", "", "stable, documented fields for programs"},
    {"wide", "", "long values in full"},
    run_dir_row,
};
constexpr option_row apply_options[] = {
    {"allow-restart", "", "also changes for which the data plane starts anew"},
    {"json", "", "stable, documented fields for programs"},
    {"wide", "", "long values in full"},
    run_dir_row,
};
constexpr option_row explain_options[] = {
    {"json", "", "the whole record, with stable, documented fields"},
    run_dir_row,
};
constexpr option_row tunnel_options[] = {run_dir_row};
constexpr option_row rekey_options[] = {
    {"child", "NAME", "one child only; otherwise all"},
    {"ike", "", "the IKE SA instead"},
    run_dir_row,
};
constexpr option_row debug_options[] = {
    {"for", "TIME", "for how long: 90s, 5m (5m)"},
    {"out", "DIR", "where Wireshark's tables go"},
    run_dir_row,
};
constexpr option_row doctor_options[] = {
    {"json", "", "stable, documented fields for programs"},
    {"no-color", "", "no colours, as with NO_COLOR in the environment"},
};
constexpr option_row schema_options[] = {
    {"json", "", "JSON Schema, for editors"},
    {"markdown", "", "the reference in docs/configuration.md"},
};

int print_completion(const arguments& given) {
  if (given.words.front() != "bash") {
    std::cerr << "trunkgate: completion is made for bash only\n";
    return exit_failed;
  }
  std::cout << bash_completion();
  return exit_well;
}

int print_version(const arguments&) {
  std::cout << "trunkgate " TRUNKGATE_VERSION "\n";
  return exit_well;
}

int print_help(const arguments& given) {
  if (given.words.empty()) {
    std::cout << help_text();
    return exit_well;
  }
  if (const auto* one = find_verb(given.words.front())) {
    std::cout << help_text(*one);
    return exit_well;
  }
  std::cerr << "trunkgate: there is no command \"" << given.words.front() << "\" (trunkgate help)\n";
  return exit_failed;
}

constexpr verb all_verbs[] = {
    {"run", "", "runs the daemons in the foreground", 0, 0, run_options, run_supervised},
    {"check", "FILE", "tells every error in a configuration; needs no daemon", 1, 1, {}, run_check},
    {"peer-config", "TUNNEL --for KIND", "the far end's configuration, written from ours", 1, 1, peer_config_options,
     run_peer_config},
    {"plan", "FILE", "what would change, line by line, and what each line costs", 1, 1, plan_options, run_plan},
    {"apply", "FILE", "makes what runs what the file says; touches nothing else", 1, 1, apply_options, run_apply},
    {"show", "SUBJECT [NAME] [detail]", "what the gateway holds", 1, 3, show_options, run_show},
    {"explain", "TUNNEL", "why a tunnel is as it is", 1, 1, explain_options, run_explain},
    {"up", "TUNNEL", "brings a tunnel up, and waits for it", 1, 1, tunnel_options, run_up},
    {"down", "TUNNEL", "closes a tunnel, until it is wanted again", 1, 1, tunnel_options, run_down},
    {"rekey", "TUNNEL", "new keys for a tunnel, make before break", 1, 1, rekey_options, run_rekey},
    {"debug", "keys TUNNEL", "a tunnel's keys for Wireshark, if the configuration allows it", 2, 2, debug_options,
     run_debug},
    {"trace", "[tunnel NAME|from ADDR|to ADDR] [count N]", "the way of single packets, stage by stage", 0, 8,
     trace_options, run_trace},
    {"capture", "[tunnel NAME|from ADDR|to ADDR] [count N] -w FILE|-", "packets into a pcapng, also inside the tunnels",
     0, 8, capture_options, run_capture},
    {"doctor", "", "what this machine gives, and what is missing", 0, 0, doctor_options, run_doctor},
    {"schema", "", "what a configuration may hold", 0, 0, schema_options, run_schema},
    {"bench", "[WHAT] [OPTIONS]", "measures this machine", 0, 0, {}, run_bench, true},
    {"completion", "bash", "a completion script for the shell", 1, 1, {}, print_completion},
    {"version", "", "the version", 0, 0, {}, print_version},
    {"help", "[COMMAND]", "this text, or a command's options", 0, 1, {}, print_help},
};

}  // namespace

std::span<const verb> verbs() { return all_verbs; }

const verb* find_verb(std::string_view name) {
  const auto* found = std::ranges::find(all_verbs, name, &verb::name);
  return found == std::end(all_verbs) ? nullptr : found;
}

std::string companion_path(std::string_view program) {
  return (std::filesystem::read_symlink("/proc/self/exe").parent_path() / program).string();
}

}  // namespace trunkgate
