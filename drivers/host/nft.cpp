#include "drivers/host/nft.hpp"

#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <cstdio>
#include <utility>

namespace trunkgate {

namespace {

constexpr const char* nft_program = "/usr/sbin/nft";

// A file in memory: neither side ever waits for the other, and a program that dies early raises no SIGPIPE here.
class memory_file {
 public:
  explicit memory_file(const char* name) : descriptor_(::memfd_create(name, MFD_CLOEXEC)) {}
  memory_file(const memory_file&) = delete;
  memory_file& operator=(const memory_file&) = delete;
  ~memory_file() {
    if (descriptor_ >= 0) ::close(descriptor_);
  }
  int descriptor() const { return descriptor_; }
  bool fill(const std::string& text) const {
    return ::write(descriptor_, text.data(), text.size()) == static_cast<ssize_t>(text.size()) &&
           ::lseek(descriptor_, 0, SEEK_SET) == 0;
  }
  std::string content() const {
    std::string text;
    char part[4096];
    off_t at = 0;
    for (ssize_t size; (size = ::pread(descriptor_, part, sizeof(part), at)) > 0; at += size)
      text.append(part, static_cast<std::size_t>(size));
    return text;
  }

 private:
  int descriptor_;
};

struct nft_outcome {
  int status = 0;
  std::string output;  // both streams
};

result<nft_outcome> run_nft(const std::string& script) {
  const memory_file input("nft-script");
  const memory_file output("nft-output");
  if (input.descriptor() < 0 || output.descriptor() < 0 || !input.fill(script))
    return system_failure("prepare nft's script");
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, input.descriptor(), STDIN_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.descriptor(), STDOUT_FILENO);
  ::posix_spawn_file_actions_adddup2(&actions, output.descriptor(), STDERR_FILENO);
  char name[] = "nft";
  char option[] = "-f";
  char standard_input[] = "-";
  char locale[] = "LC_ALL=C";
  char* const arguments[] = {name, option, standard_input, nullptr};
  char* const environment[] = {locale, nullptr};
  pid_t child = 0;
  const int reason = ::posix_spawn(&child, nft_program, &actions, nullptr, arguments, environment);
  ::posix_spawn_file_actions_destroy(&actions);
  if (reason != 0) {
    errno = reason;
    return system_failure(std::string("run ") + nft_program + " (package nftables)");
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0)
    if (errno != EINTR) return system_failure("wait for nft");
  return nft_outcome{status, output.content()};
}

result<void> run_nft_script(const std::string& script, const std::string& what) {
  auto outcome = run_nft(script);
  if (!outcome) return std::unexpected(outcome.error());
  if (outcome->status == 0) return {};
  const std::string first_line = outcome->output.substr(0, outcome->output.find('\n'));
  return failure(what + ": nft: " + (first_line.empty() ? "failed without a word" : first_line));
}

// nft's identifiers begin with a letter and know few other characters; device names know nearly all.
std::string chain_name(const std::string& netdev) {
  std::string name = "on_";
  for (const char c : netdev) {
    char escaped[8];
    if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.') {
      name += c;
    } else {
      std::snprintf(escaped, sizeof(escaped), "_%02x", static_cast<unsigned>(static_cast<unsigned char>(c)));
      name += escaped;
    }
  }
  return name;
}

bool can_be_quoted(const std::string& netdev) {
  return !netdev.empty() && std::ranges::all_of(netdev, [](char c) {
    return c > ' ' && c < 0x7f && c != '"' && c != '\\' && c != '*';  // a final * would match other devices too
  });
}

}  // namespace

result<void> nft_block(const std::string& netdev, const std::string& note) {
  if (!can_be_quoted(netdev)) return failure("netdev \"" + netdev + "\": nftables can't name it; rename the device");
  const std::string chain = "chain netdev trunkgate " + chain_name(netdev);
  // Deleted and made anew: a chain whose device went away does not get the next one of the same name on every kernel.
  return run_nft_script(
      "add table netdev trunkgate\n"
      "add " +
          chain +
          "\n"
          "delete " +
          chain +
          "\n"
          "add " +
          chain + " { type filter hook ingress device \"" + netdev +
          "\" priority -500; policy drop; }\n"
          "add rule netdev trunkgate " +
          chain_name(netdev) + " drop comment \"" + note + "\"\n",
      "block netdev " + netdev + " at ingress");
}

result<void> nft_unblock(const std::string& netdev) {
  if (!can_be_quoted(netdev)) return {};
  const std::string chain = "chain netdev trunkgate " + chain_name(netdev);
  const std::string script = "add table netdev trunkgate\nadd " + chain + "\ndelete " + chain + "\n";
  if (auto done = run_nft_script(script, "unblock netdev " + netdev); !done) return done;
  const auto listed = run_nft("list table netdev trunkgate\n");
  if (!listed || listed->status != 0 || listed->output.find("chain ") != std::string::npos) return {};
  return run_nft_script("delete table netdev trunkgate\n", "remove nftables table netdev trunkgate");
}

std::optional<std::string> nft_note(const std::string& netdev) {
  const auto listed = run_nft("list chain netdev trunkgate " + chain_name(netdev) + "\n");
  if (!listed || listed->status != 0) return std::nullopt;
  const std::string before = "comment \"";
  const auto begin = listed->output.find(before);
  if (begin == std::string::npos) return std::nullopt;
  const auto end = listed->output.find('"', begin + before.size());
  if (end == std::string::npos) return std::nullopt;
  return listed->output.substr(begin + before.size(), end - begin - before.size());
}

}  // namespace trunkgate
