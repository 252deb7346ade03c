#include "controlplane/keystore/key_source.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include <linux/openat2.h>
#include <openssl/evp.h>

namespace trunkgate {

namespace {

constexpr std::size_t file_limit = 64 * 1024, shared_key_limit = 4096;

// Bytes on the heap that are wiped when they go.
class wiped_bytes {
 public:
  explicit wiped_bytes(std::size_t size) : bytes_(size) {}
  wiped_bytes(const wiped_bytes&) = delete;
  wiped_bytes& operator=(const wiped_bytes&) = delete;
  ~wiped_bytes() { wipe(bytes_.data(), bytes_.size()); }
  [[nodiscard]] std::uint8_t* data() { return bytes_.data(); }
  [[nodiscard]] std::size_t size() const { return bytes_.size(); }
  [[nodiscard]] std::span<const std::uint8_t> first(std::size_t count) const { return std::span(bytes_).first(count); }

 private:
  std::vector<std::uint8_t> bytes_;
};

int open_folder(const std::string& path) { return ::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC); }

int open_beneath(int folder, const std::string& name) {
  // NONBLOCK: a FIFO must not hold the process up.
  open_how how{};
  how.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, folder, name.c_str(), &how, sizeof how));
}

int digit(std::uint8_t c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

result<secret> decode_hexadecimal(std::span<const std::uint8_t> digits) {
  if (digits.empty() || digits.size() % 2 != 0) return failure("needs an even number of digits behind 0x");
  wiped_bytes key(digits.size() / 2);
  for (std::size_t i = 0; i < key.size(); ++i) {
    const int high = digit(digits[2 * i]), low = digit(digits[2 * i + 1]);
    if (high < 0 || low < 0) return failure("has a character behind 0x that is no hexadecimal digit");
    key.data()[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return secret(key.first(key.size()));
}

result<secret> decode_base64(std::span<const std::uint8_t> text) {
  const auto wrong = [] { return failure("is no base64 behind 0s"); };
  if (text.empty() || text.size() % 4 != 0) return wrong();
  wiped_bytes key(text.size() / 4 * 3);
  const int size = EVP_DecodeBlock(key.data(), text.data(), static_cast<int>(text.size()));
  // It counts what "=" stands for, and takes "=" anywhere.
  std::size_t padding = 0;
  while (padding < 2 && text[text.size() - 1 - padding] == '=') ++padding;
  for (auto c : text.first(text.size() - padding))
    if (c == '=') return wrong();
  if (size < 0 || static_cast<std::size_t>(size) != key.size() || key.size() <= padding) return wrong();
  return secret(key.first(key.size() - padding));
}

}  // namespace

result<secret> decode_shared_key(std::span<const std::uint8_t> written) {
  while (!written.empty() && (written.back() == '\n' || written.back() == '\r'))
    written = written.first(written.size() - 1);
  if (written.empty()) return failure("is empty");
  if (written.size() > 2 * shared_key_limit + 2) return failure("is too long for a pre-shared key");
  const std::string_view start(reinterpret_cast<const char*>(written.data()),
                               std::min<std::size_t>(written.size(), 10));
  // Nobody means this, and a private key's text must not become something to compute with.
  if (start == "-----BEGIN") return failure("is a PEM file and no pre-shared key");
  if (start.starts_with("0x")) return decode_hexadecimal(written.subspan(2));
  if (start.starts_with("0s")) return decode_base64(written.subspan(2));
  if (written.size() > shared_key_limit) return failure("is too long for a pre-shared key");
  return secret(written);
}

key_source::key_source(std::string folder, warn on_warning)
    : folder_path_(std::filesystem::path(std::move(folder)).lexically_normal().string()),
      warn_(std::move(on_warning)),
      folder_(open_folder(folder_path_)) {
  if (folder_ < 0) folder_trouble_ = system_failure("the folder of keys, " + folder_path_).error().reason;
  if (const char* credentials = std::getenv("CREDENTIALS_DIRECTORY")) {
    credentials_ = open_folder(credentials);
    if (credentials_ < 0) credentials_trouble_ = system_failure(credentials).error().reason;
  } else {
    credentials_trouble_ = "CREDENTIALS_DIRECTORY is not set: the service was given no credentials";
  }
}

key_source::~key_source() {
  if (folder_ >= 0) ::close(folder_);
  if (credentials_ >= 0) ::close(credentials_);
}

result<secret> key_source::read(const key_reference& key) const {
  if (key.name.empty() || key.name.find('\0') != std::string::npos) return failure("the key has no name");
  switch (key.from) {
    case key_reference::kind::file: {
      if (folder_ < 0) return failure(folder_trouble_);
      // An absolute name is as good as a relative one where it leads to the same place.
      const auto name = std::filesystem::path(key.name).lexically_normal();
      if (!name.is_absolute()) return read_file(folder_, key.name, key.name);
      const auto inside = name.lexically_relative(std::filesystem::absolute(folder_path_));
      if (inside.empty() || *inside.begin() == "..")
        return failure(key.name + " is not beneath " + folder_path_ + ", where all keys must be");
      return read_file(folder_, key.name, inside.string());
    }
    case key_reference::kind::environment: {
      const char* value = std::getenv(key.name.c_str());
      if (value == nullptr) return failure("the environment has no variable " + key.name);
      const std::string_view text(value);
      if (text.size() > file_limit) return failure("the variable " + key.name + " is too long for a key");
      return secret({reinterpret_cast<const std::uint8_t*>(text.data()), text.size()});
    }
    case key_reference::kind::credential:
      if (credentials_ < 0) return failure(credentials_trouble_);
      return read_file(credentials_, "the credential " + key.name, key.name);
  }
  return failure("no key is named");
}

result<secret> key_source::read_file(int folder, const std::string& shown, const std::string& name) const {
  const int descriptor = open_beneath(folder, name);
  if (descriptor < 0) {
    if (errno == EXDEV) return failure(shown + " leads out of " + folder_path_ + ", where all keys must be");
    return system_failure(shown);
  }
  struct closer {
    int descriptor;
    ~closer() { ::close(descriptor); }
  } closed{descriptor};
  struct stat about{};
  if (::fstat(descriptor, &about) != 0) return system_failure(shown);
  if (!S_ISREG(about.st_mode)) return failure(shown + " is no file");
  if ((about.st_mode & S_IROTH) != 0 && warn_)
    warn_(shown + " can be read by every user of this machine: chmod o-r it");

  wiped_bytes content(file_limit + 1);
  std::size_t used = 0;
  ssize_t got = 0;
  while (used < content.size() && (got = ::read(descriptor, content.data() + used, content.size() - used)) > 0)
    used += static_cast<std::size_t>(got);
  if (got < 0) return system_failure(shown);
  if (used > file_limit) return failure(shown + " is too long for a key");
  return secret(content.first(used));
}

}  // namespace trunkgate
