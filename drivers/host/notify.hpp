// Tells the service manager how the process is: sd_notify's protocol, without libsystemd.
#pragma once

#include <string_view>

#include "dataplane/core/result.hpp"

namespace trunkgate {

// Each sends one datagram to $NOTIFY_SOCKET. Without that variable nobody wants to know, which is no error.
[[nodiscard]] result<void> notify_ready(std::string_view status);
[[nodiscard]] result<void> notify_status(std::string_view status);
[[nodiscard]] result<void> notify_stopping(std::string_view status);

}  // namespace trunkgate
