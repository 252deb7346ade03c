// A good configuration, and the diagnostics that one edit of it brings.
#pragma once

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "config/load.hpp"

namespace trunkgate::test {

inline constexpr const char* base = R"(gateway: { name: hq }
ports:
  wan: { device: eth0, addresses: [203.0.113.2/24] }
  lan: { device: eth1, addresses: [10.1.0.1/16], mtu: 1500 }
routes:
  - { to: 0.0.0.0/0, via: 203.0.113.1 }
tunnels:
  branch:
    local: { address: 203.0.113.2 }
    peer: 203.0.113.25
    children:
      net:
        local: [10.1.0.0/16]
        remote: [10.2.0.0/16]
        manual:
          esp: aes256cbc-sha256-esn
          out: { spi: 0x1001, key: { file: out.key } }
          in: { spi: 0x2001, key: { file: in.key } }
policies:
  - { name: partner, from: lan, to: wan, source: 10.1.0.0/16, destination: 192.0.2.0/24, action: bypass }
)";

inline std::string edited(std::string text, const std::string& from, const std::string& to) {
  auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return at == std::string::npos ? text : text.replace(at, from.size(), to);
}

// "3:7: error: ports.wan.mtu: message [hint]"
inline std::vector<std::string> lines_of(const loaded& result) {
  std::vector<std::string> out;
  for (const auto& d : result.diagnostics)
    out.push_back(std::to_string(d.line) + ":" + std::to_string(d.column) + (d.warning ? ": warning: " : ": error: ") +
                  (d.path.empty() ? "" : d.path + ": ") + d.message + (d.hint.empty() ? "" : " [" + d.hint + "]"));
  return out;
}

}  // namespace trunkgate::test
