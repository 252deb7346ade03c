// pcapng (draft-ietf-opsawg-pcapng) as `trunkgate capture` writes it: blocks of bytes, in this machine's byte order.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace trunkgate {

enum class link_type : std::uint16_t { ethernet = 1, raw_ip = 101 };
enum class packet_direction : std::uint8_t { unknown, inbound, outbound };  // as in epb_flags

struct pcapng_packet {
  std::uint32_t interface = 0;
  std::uint64_t unix_ns = 0;
  std::span<const std::uint8_t> bytes;  // what was captured
  std::uint32_t length = 0;             // of the packet itself
  packet_direction direction = packet_direction::unknown;
  std::string_view comment{};  // empty: none
};

class pcapng_writer {
 public:
  using block = std::vector<std::uint8_t>;

  [[nodiscard]] static block section_header(std::string_view program);
  // The number of the interface with this name and link type. Where it is new, its block is appended to `out`.
  [[nodiscard]] std::uint32_t interface(std::string_view name, link_type link, block& out);
  [[nodiscard]] static block packet(const pcapng_packet& packet);

 private:
  struct known {
    std::string name;
    link_type link;
  };
  std::vector<known> interfaces_;
};

}  // namespace trunkgate
