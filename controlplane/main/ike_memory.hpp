// The IKE SAs in a memory file that outlives this process: written before the peer can know of what is written.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "controlplane/ike/sa/snapshot.hpp"

namespace trunkgate {

// One thread.
class ike_memory {
 public:
  static constexpr std::uint32_t slot_count = 16384;
  static constexpr std::size_t half_size = 16384;  // a slot has two: the record before stays until the new one is whole
  static constexpr std::size_t header_size = 4096;
  static constexpr std::size_t file_size = header_size + slot_count * 2 * half_size;

  // Maps the file that the supervisor passed (cli/ike_file.hpp). Without one, or with one that is not to be used,
  // nothing is kept; a file of another boot, version or time is wiped and begun anew.
  [[nodiscard]] static std::unique_ptr<ike_memory> open();
  ~ike_memory();
  ike_memory(const ike_memory&) = delete;
  ike_memory& operator=(const ike_memory&) = delete;

  [[nodiscard]] bool survives() const { return memory_ != nullptr; }
  // Why nothing is kept, or what there was is not used; empty: nothing to say.
  [[nodiscard]] const std::string& trouble() const { return trouble_; }

  // What an earlier process left, oldest record first. Records that are damaged are wiped.
  [[nodiscard]] std::vector<ike::ike_snapshot> read();
  // Wipes what read() gave and write() has not written since.
  void forget_unwritten();

  // In place of the record of this SPI, if there is one. Fails when it is too long or all slots are taken: then this
  // IKE SA has no record.
  [[nodiscard]] result<void> write(std::uint64_t own_spi, const ike::ike_snapshot& record);
  // Both halves are overwritten. An SPI that has none is no error.
  void forget(std::uint64_t own_spi);

 private:
  struct header;
  struct half;
  struct place {
    std::uint32_t slot = 0;
    bool written = false;  // by this process
  };
  explicit ike_memory(std::uint8_t* memory) : memory_(memory) {}
  [[nodiscard]] bool is_of_this_life();
  void begin();
  void stamp();
  [[nodiscard]] header& head() const;
  [[nodiscard]] std::uint8_t* at(std::uint32_t slot, unsigned which) const;
  [[nodiscard]] const half* newest(std::uint32_t slot) const;
  [[nodiscard]] result<std::uint32_t> take_slot();
  void wipe_slot(std::uint32_t slot);

  std::uint8_t* memory_ = nullptr;
  std::string trouble_;
  std::unordered_map<std::uint64_t, place> index_;
  std::vector<std::uint32_t> free_;
  std::uint64_t generation_ = 0;  // of the last record that was written
};

}  // namespace trunkgate
