// Additional key exchanges on an IKE SA that is up (RFC 9370 2.2.4): IKE_FOLLOWUP_KE, linked to the CREATE_CHILD_SA
// that asked for them.
#pragma once

#include <functional>

#include "controlplane/ike/sa/ike_sa.hpp"

namespace trunkgate::ike {

// Initiator: all that `chosen` asks for, after the answer to CREATE_CHILD_SA; appends their secrets to `shared`.
[[nodiscard]] asio::awaitable<outcome> initiate_followups(ike_sa_pointer sa, const settled& chosen,
                                                          const payloads& answer, std::vector<secret>& shared);

// Responder: what waits for its last key exchange. `finish` gets all secrets, in order, and says what error the last
// IKE_FOLLOWUP_KE is answered with; 0: none. `give_up` is called if it never comes to that.
struct pending_followup {
  pending_followup() = default;
  pending_followup(const pending_followup&) = delete;
  pending_followup& operator=(const pending_followup&) = delete;
  ~pending_followup() {
    if (give_up) give_up();
  }
  bytes link;
  std::vector<additional_exchange> left;
  std::vector<secret> shared;
  std::function<asio::awaitable<std::uint16_t>(std::vector<secret>)> finish;
  std::function<void()> give_up;
  timer limit;
};
// Announces the first one in `answer` and keeps `wanted` for it.
void expect_followup(ike_sa& sa, payloads& answer, std::unique_ptr<pending_followup> wanted);

}  // namespace trunkgate::ike
