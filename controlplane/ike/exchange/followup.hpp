// Additional key exchanges on an IKE SA that is up (RFC 9370 2.2.4): IKE_FOLLOWUP_KE, linked to the CREATE_CHILD_SA
// that asked for them.
#pragma once

#include <functional>

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

// Initiator: all that `chosen` asks for, after the answer to CREATE_CHILD_SA; appends their secrets to `shared`.
[[nodiscard]] asio::awaitable<outcome> initiate_followups(ike_sa_pointer sa, const settled& chosen,
                                                          const payloads& answer, std::vector<secret>& shared);

// Responder: what waits for its last key exchange. `finish` gets all secrets, in order, and appends its own payloads to
// the answer of the last IKE_FOLLOWUP_KE.
struct pending_followup {
  bytes link;
  std::vector<additional_exchange> left;
  std::vector<secret> shared;
  std::function<asio::awaitable<void>(std::vector<secret>)> finish;
  timer limit;
};
// Announces the first one in `answer` and keeps `wanted` for it.
void expect_followup(ike_sa& sa, payloads& answer, std::unique_ptr<pending_followup> wanted);

}  // namespace trunkgate::ike
