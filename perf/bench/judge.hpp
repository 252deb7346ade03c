// Frames with ESP on the bench's wire, and OpenSSL's opinion of them.
#pragma once

#include <span>

#include "dataplane/packet/headers.hpp"
#include "perf/bench/gateway_pair.hpp"
#include "perf/bench/traffic.hpp"

namespace trunkgate::bench {

inline constexpr std::size_t esp_at = sizeof(ethernet_header) + sizeof(ipv4_header);

// The ESP packet in a frame of so many bytes, for an engine.
[[nodiscard]] esp_op esp_operation(esp_suite suite, std::uint8_t* frame, std::uint32_t length, const esp_key* key);

// Whether an implementation that has no part in the gateway's path opens the frame of SA number `sa`, and finds a
// packet of the checker's round in it. The frame is not to be used afterwards.
[[nodiscard]] bool judge_agrees(const gateway_pair& pair, esp_processor& judge, esp_suite suite, std::uint32_t sa,
                                checker& checked, std::span<std::uint8_t> frame);

}  // namespace trunkgate::bench
