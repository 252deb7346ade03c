#include <algorithm>

#include "controlplane/cli/bench.hpp"
#include "controlplane/cli/show.hpp"
#include "controlplane/cli/verbs.hpp"

namespace trunkgate {

namespace {

// Of the verb, or of all that it can measure.
std::vector<option_row> options_of(const verb& one) {
  std::vector<option_row> out(one.options.begin(), one.options.end());
  if (one.run != run_bench) return out;
  for (const auto& what : benchmarks())
    for (const auto& row : what.options)
      if (std::ranges::find(out, row.name, &option_row::name) == out.end()) out.push_back(row);
  return out;
}

std::string option_words(const verb& one) {
  std::string out;
  for (const auto& row : options_of(one)) out += (out.empty() ? "--" : " --") + std::string(row.name);
  return out;
}

std::string first_words(const verb& one) {
  std::string out;
  if (one.run == run_show)
    for (const auto& subject : show_subjects()) out += (out.empty() ? "" : " ") + std::string(subject.name);
  if (one.run == run_bench)
    for (const auto& what : benchmarks()) out += (out.empty() ? "" : " ") + std::string(what.name);
  if (one.name == "help")
    for (const auto& other : verbs()) out += (out.empty() ? "" : " ") + std::string(other.name);
  if (one.name == "completion") out = "bash";
  return out;
}

bool takes_file(const option_row& row) { return row.value == "FILE" || row.value == "DIR"; }

}  // namespace

std::string bash_completion() {
  std::string names, cases, file_options;
  for (const auto& one : verbs()) {
    names += (names.empty() ? "" : " ") + std::string(one.name);
    cases += "    " + std::string(one.name) + ") first=\"" + first_words(one) + "\" options=\"" + option_words(one) +
             "\" ;;\n";
    for (const auto& row : one.options)
      if (takes_file(row) && file_options.find("--" + std::string(row.name)) == std::string::npos)
        file_options += (file_options.empty() ? "--" : "|--") + std::string(row.name);
  }
  return "# bash completion for trunkgate; load it with: source <(trunkgate completion bash)\n"
         "_trunkgate() {\n"
         "  local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} first= options=\n"
         "  if [ \"$COMP_CWORD\" = 1 ]; then\n"
         "    mapfile -t COMPREPLY < <(compgen -W \"" +
         names +
         "\" -- \"$word\")\n"
         "    return\n"
         "  fi\n"
         "  case $before in\n"
         "    " +
         file_options +
         ") mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); return ;;\n"
         "  esac\n"
         "  case ${COMP_WORDS[1]} in\n" +
         cases +
         "  esac\n"
         "  case $word in\n"
         "    -*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\") ;;\n"
         "    *) if [ -n \"$first\" ]; then mapfile -t COMPREPLY < <(compgen -W \"$first detail\" -- \"$word\")\n"
         "       else mapfile -t COMPREPLY < <(compgen -f -- \"$word\"); fi ;;\n"
         "  esac\n"
         "}\n"
         "complete -F _trunkgate trunkgate\n";
}

}  // namespace trunkgate
