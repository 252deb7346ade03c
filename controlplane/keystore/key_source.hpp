// Reads the bytes of a key from where the configuration says it is: a file beneath one folder, the environment, a
// systemd credential.
#pragma once

#include <functional>
#include <string>

#include "config/model.hpp"
#include "dataplane/core/result.hpp"
#include "dataplane/core/secret.hpp"

namespace trunkgate {

class key_source {
 public:
  // Called with what the operator should know: a key file that others can read.
  using warn = std::function<void(const std::string&)>;

  // Opens the folder, and $CREDENTIALS_DIRECTORY if it is set, once: files are found beneath them and nowhere else,
  // whatever ".." or symbolic link a name holds. An error is kept, and told by each read().
  key_source(std::string folder, warn on_warning);
  ~key_source();
  key_source(const key_source&) = delete;
  key_source& operator=(const key_source&) = delete;

  // The whole content, unchanged; at most 64 KiB. Names the file in an error, and never its content.
  [[nodiscard]] result<secret> read(const key_reference& key) const;

 private:
  [[nodiscard]] result<secret> read_file(int folder, const std::string& shown, const std::string& name) const;

  std::string folder_path_;
  warn warn_;
  int folder_ = -1, credentials_ = -1;
  std::string folder_trouble_, credentials_trouble_;
};

// A pre-shared key as it is written: text; after "0x" hexadecimal digits, after "0s" base64, as strongSwan has it. Line
// breaks at the end are not part of it, every other character is. 1 to 4,096 bytes.
[[nodiscard]] result<secret> decode_shared_key(std::span<const std::uint8_t> written);

}  // namespace trunkgate
