// Runs /usr/sbin/nft: one chain per guarded netdev in table netdev trunkgate, which drops all that the kernel would
// receive.
#pragma once

#include <optional>
#include <string>

#include "dataplane/core/result.hpp"

namespace trunkgate {

// Puts the drop rule in force, in place of an older one for the same name, in one transaction. `note` is kept as the
// rule's comment: it outlives the process.
[[nodiscard]] result<void> nft_block(const std::string& netdev, const std::string& note);
// Takes the rule away, and the table with the last one. No rule is no error.
[[nodiscard]] result<void> nft_unblock(const std::string& netdev);
// The note of the rule that is in force for this name.
[[nodiscard]] std::optional<std::string> nft_note(const std::string& netdev);

}  // namespace trunkgate
