#include "controlplane/cli/verbs.hpp"

#include <stdlib.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "controlplane/cli/bench.hpp"
#include "controlplane/cli/show.hpp"

namespace trunkgate {
namespace {

struct outcome {
  int status = -1;
  std::string output;
};

outcome shell(const std::string& command) {
  outcome out;
  std::FILE* pipe = ::popen(("exec 2>&1; " + command).c_str(), "r");
  char buffer[4096];
  while (std::size_t got = std::fread(buffer, 1, sizeof buffer, pipe)) out.output.append(buffer, got);
  out.status = WEXITSTATUS(::pclose(pipe));
  return out;
}

outcome trunkgate_command(const std::string& words) { return shell(TRUNKGATE_PROGRAM " " + words); }

class folder {
 public:
  folder() {
    char name[] = "/tmp/trunkgate-XXXXXX";
    path = ::mkdtemp(name);
  }
  ~folder() { std::filesystem::remove_all(path); }
  std::string path;
};

TEST(command, help_names_every_verb_and_every_option) {
  for (const auto& one : verbs()) {
    EXPECT_NE(help_text().find("  " + std::string(one.name)), std::string::npos) << one.name;
    for (const auto& row : one.options)
      EXPECT_NE(help_text(one).find("--" + std::string(row.name)), std::string::npos) << one.name << " " << row.name;
  }
  for (const auto& what : benchmarks()) {
    EXPECT_NE(help_text(*find_verb("bench")).find("  " + std::string(what.name)), std::string::npos) << what.name;
    for (const auto& row : what.options)
      EXPECT_NE(help_text(*find_verb("bench")).find("--" + std::string(row.name)), std::string::npos) << row.name;
  }
  for (const auto& subject : show_subjects())
    EXPECT_NE(help_text(*find_verb("show")).find(subject.name), std::string::npos) << subject.name;
}

TEST(command, exit_status_tells_misuse) {
  const struct {
    const char* words;
    int status;
    const char* says;
  } cases[] = {
      {"help", 0, "usage: trunkgate COMMAND"},
      {"--help", 0, "usage: trunkgate COMMAND"},
      {"help show", 0, "SUBJECT is one of"},
      {"show --help", 0, "SUBJECT is one of"},
      {"version", 0, "trunkgate "},
      {"", 1, "usage: trunkgate COMMAND"},
      {"fly", 1, "there is no command \"fly\""},
      {"help fly", 1, "there is no command \"fly\""},
      {"show", 1, "usage: trunkgate show"},
      {"show wings", 1, "there is no \"wings\""},
      {"show ports --jsn", 1, "--jsn"},
      {"show ports --js", 1, "--js"},
      {"show ports --run-dir", 1, "run-dir"},
      {"show ports a b", 1, "one port at a time"},
      {"show ports --socket /nonexistent/socket", 1, "is it running? (trunkgate run)"},
      {"schema", 1, "--json or --markdown"},
      {"completion fish", 1, "bash only"},
      {"check /nonexistent.yaml", 1, "/nonexistent.yaml"},
      {"run --config /nonexistent.yaml", 1, "/nonexistent.yaml"},
  };
  for (const auto& [words, status, says] : cases) {
    const auto got = trunkgate_command(words);
    EXPECT_EQ(got.status, status) << words << "\n" << got.output;
    EXPECT_NE(got.output.find(says), std::string::npos) << words << "\n" << got.output;
  }
}

TEST(command, check_finds_a_missing_key_file) {
  folder scratch;
  const auto file = scratch.path + "/gateway.yaml";
  std::ofstream(file) << "gateway: {name: hq, lab: true}\n"
                         "ports:\n"
                         "  wan: {device: eth0, addresses: [203.0.113.2/24]}\n"
                         "tunnels:\n"
                         "  branch:\n"
                         "    local: {address: 203.0.113.2}\n"
                         "    peer: 203.0.113.25\n"
                         "    children:\n"
                         "      lan:\n"
                         "        local: [10.1.0.0/16]\n"
                         "        remote: [10.2.0.0/16]\n"
                         "        manual:\n"
                         "          esp: aes256gcm16\n"
                         "          out: {spi: 0x1001, key: {file: out.key}}\n"
                         "          in: {spi: 0x1002, key: {file: in.key}}\n";
  auto got = trunkgate_command("check " + file);
  EXPECT_EQ(got.status, 1) << got.output;
  EXPECT_NE(got.output.find("out.key"), std::string::npos) << got.output;
  // Keys of the right size, told apart by content, make it well; no output holds them.
  const std::string digits = "8d1c5a7e9b2f4d6a8d1c5a7e9b2f4d6a8d1c5a7e9b2f4d6a8d1c5a7e9b2f4d6a0badcafe";
  for (const char* name : {"/out.key", "/in.key"}) {
    std::ofstream(scratch.path + name) << (std::string(name) == "/in.key" ? std::string(digits.rbegin(), digits.rend())
                                                                          : digits)
                                       << "\n";
    std::filesystem::permissions(scratch.path + name, std::filesystem::perms::owner_read);
  }
  got = trunkgate_command("check " + file);
  EXPECT_EQ(got.status, 0) << got.output;
  EXPECT_EQ(got.output.find("8d1c5a7e"), std::string::npos) << got.output;
}

TEST(command, plan_tells_what_differs_and_its_cost) {
  folder scratch;
  const auto write = [&](const std::string& name, const std::string& lifetime, const std::string& esp) {
    std::ofstream(scratch.path + name) << "gateway: {name: hq}\n"
                                          "ports:\n"
                                          "  wan: {device: eth0, addresses: [203.0.113.2/24]}\n"
                                          "tunnels:\n"
                                          "  branch:\n"
                                          "    local: {address: 203.0.113.2}\n"
                                          "    peer: 203.0.113.25\n"
                                          "    psk: {env: PSK}\n"
                                          "    ike: {lifetime: "
                                       << lifetime
                                       << "}\n"
                                          "    children:\n"
                                          "      lan: {local: [10.1.0.0/16], remote: [10.2.0.0/16], esp: ["
                                       << esp << "]}\n";
    return scratch.path + name;
  };
  const auto running = write("/running.yaml", "4h", "aes256gcm16");
  const auto wanted = write("/wanted.yaml", "1h", "aes256gcm16-x25519, aes128gcm16-x25519, aes128-sha256-x25519");
  auto got = trunkgate_command("plan " + wanted + " --against " + running);
  EXPECT_EQ(got.status, 0);
  EXPECT_EQ(got.output,
            "~ tunnels.branch.ike.lifetime       4h -> 1h   none: from the next rekey on\n"
            "~ tunnels.branch.children.lan.esp   ...        rekey: a new child SA with it, then the old one goes\n"
            "2 changes, at most: rekey\n");
  got = trunkgate_command("plan --wide " + wanted + " --against " + running);
  EXPECT_NE(got.output.find("aes256gcm16 -> aes256gcm16-x25519, aes128gcm16-x25519"), std::string::npos) << got.output;
  got = trunkgate_command("plan --json " + wanted + " --against " + running);
  const auto json = nlohmann::json::parse(got.output);
  EXPECT_EQ(json["impact"], "rekey");
  EXPECT_EQ(json["lines"][1]["path"], "tunnels.branch.children.lan.esp");
  EXPECT_EQ(json["tunnels"][0]["impact"], "none");
  EXPECT_EQ(json["tunnels"][0]["children"][0]["name"], "lan");
  EXPECT_EQ(json["tunnels"][0]["children"][0]["impact"], "rekey");
  got = trunkgate_command("plan " + running + " --against " + running);
  EXPECT_EQ(got.output, "nothing changes\n");
  EXPECT_EQ(got.status, 0);
  got = trunkgate_command("plan " + running + " --against " + scratch.path + "/none.yaml");
  EXPECT_EQ(got.status, 1);
  EXPECT_NE(got.output.find("there is nothing to compare with"), std::string::npos) << got.output;
}

// Bash itself judges the script.
TEST(completion, bash_completes_from_the_table) {
  const std::string call = "bash -c 'source <(" TRUNKGATE_PROGRAM " completion bash) && COMP_WORDS=(trunkgate ";
  auto complete = [&](const std::string& words, int position) {
    const auto got =
        shell(call + words + ") && COMP_CWORD=" + std::to_string(position) + " && _trunkgate && echo ${COMPREPLY[@]}'");
    EXPECT_EQ(got.status, 0) << got.output;
    return got.output;
  };
  EXPECT_EQ(complete("s", 1), "show schema\n");
  EXPECT_EQ(complete("show po", 2), "ports policies\n");
  EXPECT_EQ(complete("show ports --w", 3), "--wide\n");
  EXPECT_EQ(complete("completion b", 2), "bash\n");
  EXPECT_EQ(complete("bench e", 2), "esp\n");
  EXPECT_EQ(complete("bench esp --di", 3), "--direction\n");
}

}  // namespace
}  // namespace trunkgate
