// Errors are values: a reason that a user can act on, carried by std::expected.
#pragma once

#include <expected>
#include <string>
#include <utility>

namespace trunkgate {

// One sentence fragment without a full stop, lower case, naming the object and what to do: it is shown to the operator.
struct error {
  std::string reason;
};

// std::expected that may not be ignored.
template <class T>
class [[nodiscard]] result : public std::expected<T, error> {
 public:
  using std::expected<T, error>::expected;
};

// `return failure("port wan: ...");`
[[nodiscard]] inline std::unexpected<error> failure(std::string reason) {
  return std::unexpected(error{std::move(reason)});
}

// The reason for a failed system call: "open /dev/net/tun: Operation not permitted". Reads errno.
[[nodiscard]] std::unexpected<error> system_failure(std::string what);

}  // namespace trunkgate
