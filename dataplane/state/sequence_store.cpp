#include "dataplane/state/sequence_store.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "dataplane/core/sequence_file.hpp"

namespace trunkgate {

namespace {

constexpr std::uint64_t file_magic = 0x51455345'54414754;  // "TGATESEQ" as bytes
constexpr std::uint32_t layout_version = 2;
constexpr std::uint32_t slot_count = 131072;

struct file_header {
  std::uint64_t magic = file_magic;
  std::uint32_t version = layout_version;
  std::uint32_t slots = slot_count;
  std::array<char, 40> boot_id{};
  std::atomic<std::uint32_t> touched{0};  // slots at and above this were never used: their pages need no look
};
constexpr std::size_t header_size = 4096;  // a page: slots stay cache-line aligned
constexpr std::size_t file_size = header_size + slot_count * sizeof(sequence_slot);
static_assert(sizeof(file_header) <= header_size);

// Numbers from before a reboot, or from a snapshot's other life, may have been used since: they are worth nothing.
result<std::array<char, 40>> boot_id() {
  std::array<char, 40> id{};
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  if (!std::getline(file, text) || text.empty() || text.size() >= id.size())
    return failure("/proc/sys/kernel/random/boot_id: can't be read; mount /proc");
  std::ranges::copy(text, id.begin());
  return id;
}

struct unmap {
  void operator()(std::uint8_t* memory) const { munmap(memory, file_size); }
};
using mapping = std::unique_ptr<std::uint8_t, unmap>;

mapping map(int descriptor) {
  const int flags = descriptor < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
  void* memory = mmap(nullptr, file_size, PROT_READ | PROT_WRITE, flags, descriptor, 0);
  return mapping(memory == MAP_FAILED ? nullptr : static_cast<std::uint8_t*>(memory));
}

// Writes the header of an empty store; its magic number last, so that a process that dies in between leaves no half
// one.
void set_up(std::uint8_t* memory, const std::array<char, 40>& boot) {
  auto* header = new (memory) file_header{.magic = 0, .boot_id = boot};
  std::atomic_ref(header->magic).store(file_magic);
}

// The descriptor of the supervisor's file, or -1.
int inherited_descriptor() {
  const char* text = std::getenv(sequence_descriptor_variable);
  if (text == nullptr) return -1;
  int descriptor = -1;
  const std::string_view digits(text);
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), descriptor);
  if (problem != std::errc{} || end != digits.data() + digits.size()) return -1;
  return fcntl(descriptor, F_GET_SEALS) < 0 ? -1 : descriptor;  // only a file in memory knows of seals
}

// The supervisor's file, or nothing if it is neither empty nor what this version made of it on this boot.
mapping map_inherited(const std::array<char, 40>& boot) {
  const int descriptor = inherited_descriptor();
  struct stat about{};
  if (descriptor < 0 || fstat(descriptor, &about) != 0) return nullptr;
  if (about.st_size == 0 && ftruncate(descriptor, static_cast<off_t>(file_size)) != 0) return nullptr;
  if (about.st_size != 0 && about.st_size != static_cast<off_t>(file_size)) return nullptr;
  mapping memory = map(descriptor);
  if (!memory) return nullptr;
  const auto* header = reinterpret_cast<const file_header*>(memory.get());
  if (header->magic == 0 && header->touched.load() == 0) set_up(memory.get(), boot);
  const bool valid = header->magic == file_magic && header->version == layout_version && header->slots == slot_count &&
                     header->boot_id == boot && header->touched.load() <= slot_count;
  return valid ? std::move(memory) : nullptr;
}

struct identity_hash {
  std::size_t operator()(const sequence_identity& identity) const noexcept {
    std::size_t value;  // it is a piece of a SHA-256 already
    std::memcpy(&value, identity.data(), sizeof value);
    return value;
  }
};

void raise(std::atomic<std::uint64_t>& value, std::uint64_t least) {
  if (value.load() < least) value.store(least);
}

class mapped_store final : public sequence_store {
 public:
  mapped_store(mapping memory, bool survives) : memory_(std::move(memory)), survives_(survives) {
    for (std::uint32_t index = 0; index < header().touched.load(); ++index) enter(index);
  }

  [[nodiscard]] result<taken> take(const sequence_identity& identity, slot_life life) override {
    if (const auto known = index_.find(identity); known != index_.end()) {
      sequence_slot& slot = slots()[known->second.index];
      const std::uint32_t epoch = slot.epoch.load();
      if (epoch == std::numeric_limits<std::uint32_t>::max())
        return failure("the record of the SA's sequence numbers is worn out; install the SA with a new key");
      slot.epoch.store(epoch + 1);
      ++known->second.users;
      return taken{&slot, true};
    }
    std::uint16_t epoch = 0;
    if (getrandom(&epoch, sizeof epoch, 0) != sizeof epoch) return system_failure("getrandom");
    std::uint32_t index = 0;
    if (!free_.empty()) {
      index = free_.back();
      free_.pop_back();
    } else if (header().touched.load() < slot_count) {
      index = header().touched.load();
      header().touched.store(index + 1);
    } else {
      return failure("all " + std::to_string(slot_count) +
                     " records for sequence numbers are in use; remove SAs first");
    }
    sequence_slot& slot = slots()[index];
    slot.identity = identity;
    slot.epoch.store(epoch);
    slot.reserved.store(0);
    slot.highest_accepted.store(0);
    slot.used.store(static_cast<std::uint32_t>(life));  // last: a process that dies before this leaves a free slot
    index_.emplace(identity, place{.index = index, .users = 1});
    return taken{&slot, false};
  }

  void give_back(const sequence_identity& identity) override {
    const auto known = index_.find(identity);
    if (known == index_.end() || --known->second.users != 0) return;
    clear(known->second.index);
    index_.erase(known);
  }

  std::size_t give_back_orphans() override {
    return std::erase_if(index_, [this](const auto& known) {
      const bool orphan = known.second.users == 0 && life_of(slots()[known.second.index]) == slot_life::negotiated;
      if (orphan) clear(known.second.index);
      return orphan;
    });
  }

  [[nodiscard]] bool survives() const override { return survives_; }

 private:
  struct place {
    std::uint32_t index;
    std::uint32_t users;  // takes of this process that were not given back
  };
  [[nodiscard]] file_header& header() { return *reinterpret_cast<file_header*>(memory_.get()); }
  [[nodiscard]] sequence_slot* slots() { return reinterpret_cast<sequence_slot*>(memory_.get() + header_size); }

  [[nodiscard]] static slot_life life_of(const sequence_slot& slot) { return static_cast<slot_life>(slot.used.load()); }
  void clear(std::uint32_t index) {
    sequence_slot& slot = slots()[index];
    slot.used.store(0);
    slot.identity = {};
    free_.push_back(index);
  }
  void enter(std::uint32_t index) {
    sequence_slot& slot = slots()[index];
    if (life_of(slot) != slot_life::for_ever && life_of(slot) != slot_life::negotiated) return clear(index);
    const auto [known, fresh] = index_.emplace(slot.identity, place{.index = index, .users = 0});
    if (fresh) return;
    // Two records of one SA, which only a damaged file has: the higher numbers are the safe ones.
    sequence_slot& kept = slots()[known->second.index];
    raise(kept.reserved, slot.reserved.load());
    raise(kept.highest_accepted, slot.highest_accepted.load());
    kept.epoch.store(std::max(kept.epoch.load(), slot.epoch.load()));
    clear(index);
  }

  mapping memory_;
  bool survives_;
  std::unordered_map<sequence_identity, place, identity_hash> index_;
  std::vector<std::uint32_t> free_;
};

}  // namespace

result<std::unique_ptr<sequence_store>> sequence_store::open() {
  auto boot = boot_id();
  if (!boot) return std::unexpected(boot.error());
  if (mapping inherited = map_inherited(*boot)) return std::make_unique<mapped_store>(std::move(inherited), true);
  mapping own = map(-1);
  if (!own) return system_failure("memory for sequence numbers");
  set_up(own.get(), *boot);
  return std::make_unique<mapped_store>(std::move(own), false);
}

}  // namespace trunkgate
