// What a client of the API sends, before any of it is used: counts index arrays and ranges are taken apart, so a
// client's mistake must not become ours.
#pragma once

#include "dataplane/api/messages.hpp"
#include "dataplane/core/result.hpp"

namespace trunkgate {

// Fails with the object's name and what is wrong with it. Any thread.
[[nodiscard]] result<void> check(const api::port_record& record);
[[nodiscard]] result<void> check(const api::route_record& record);
[[nodiscard]] result<void> check(const api::policy_record& record);
[[nodiscard]] result<void> check(const api::sa_record& record);
[[nodiscard]] result<void> check(const api::trap_record& record);
[[nodiscard]] result<void> check(const api::move_record& record);

}  // namespace trunkgate
