#include "controlplane/policy/keys.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <span>
#include <string_view>

namespace trunkgate {

namespace {

constexpr std::size_t key_bytes_limit = 128;

// Bytes on the stack, wiped when they go.
template <std::size_t Size>
struct wiped_buffer {
  std::array<char, Size> bytes{};
  wiped_buffer() = default;
  wiped_buffer(const wiped_buffer&) = delete;
  wiped_buffer& operator=(const wiped_buffer&) = delete;
  ~wiped_buffer() { wipe(bytes.data(), bytes.size()); }
};

int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

result<secret> decode(std::string_view text, std::size_t size) {
  while (!text.empty() && std::strchr(" \t\r\n", text.back()) != nullptr) text.remove_suffix(1);
  if (text.starts_with("0x")) text.remove_prefix(2);
  if (text.size() != size * 2)
    return failure("needs " + std::to_string(size * 2) + " hexadecimal digits for this suite, has " +
                   std::to_string(text.size()));
  wiped_buffer<key_bytes_limit> key;
  for (std::size_t i = 0; i < size; ++i) {
    int high = digit(text[2 * i]), low = digit(text[2 * i + 1]);
    if (high < 0 || low < 0) return failure("has a character that is no hexadecimal digit");
    key.bytes[i] = static_cast<char>(high * 16 + low);
  }
  return secret({reinterpret_cast<const std::uint8_t*>(key.bytes.data()), size});
}

result<secret> read_file(const std::string& file, std::size_t size) {
  int descriptor = open(file.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return system_failure(file);
  wiped_buffer<1024> text;  // more than any key has
  std::size_t used = 0;
  ssize_t got = 0;
  while (used < text.bytes.size() && (got = read(descriptor, text.bytes.data() + used, text.bytes.size() - used)) > 0)
    used += static_cast<std::size_t>(got);
  auto failed = got < 0 ? result<secret>(system_failure(file)) : result<secret>();
  close(descriptor);
  if (!failed) return failed;
  auto key = decode({text.bytes.data(), used}, size);
  if (!key) return failure(file + " " + key.error().reason);
  return key;
}

result<secret> read_environment(const std::string& name, std::size_t size) {
  const char* value = std::getenv(name.c_str());
  if (value == nullptr) return failure("the environment has no variable " + name);
  auto key = decode(value, size);
  if (!key) return failure("the variable " + name + " " + key.error().reason);
  return key;
}

result<secret> read_credential(const std::string& name, std::size_t size) {
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr) return failure("CREDENTIALS_DIRECTORY is not set: the service was given no credentials");
  return read_file((std::filesystem::path(directory) / name).string(), size);
}

result<secret> fetch(const key_reference& reference, const std::string& directory, std::size_t size) {
  switch (reference.from) {
    case key_reference::kind::file:
      return read_file((std::filesystem::path(directory) / reference.name).string(), size);
    case key_reference::kind::environment: return read_environment(reference.name, size);
    case key_reference::kind::credential: return read_credential(reference.name, size);
  }
  return failure("no key is named");
}

}  // namespace

result<secret> read_key(const key_reference& reference, const std::string& directory, std::size_t size) {
  auto key = fetch(reference, directory, size);
  if (!key) return failure(reference.path + ": " + key.error().reason);
  return key;
}

}  // namespace trunkgate
