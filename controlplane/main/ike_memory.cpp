#include "controlplane/main/ike_memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fstream>
#include <string_view>

#include <boost/crc.hpp>

#include "controlplane/cli/ike_file.hpp"

namespace trunkgate {

namespace {

constexpr std::uint64_t file_magic = 0x454b4945'54414754;  // "TGATEIKE" as bytes
constexpr std::uint32_t layout_version = 1;
// What the wall clock may move by itself between two looks at it.
constexpr std::int64_t clock_tolerance_ns = 10'000'000'000;

std::array<char, 40> boot_id() {
  std::array<char, 40> id{};
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string text;
  if (std::getline(file, text) && text.size() < id.size()) std::ranges::copy(text, id.begin());
  return id;
}

std::int64_t read_clock(clockid_t which) {
  timespec time{};
  ::clock_gettime(which, &time);
  return std::int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

// The supervisor's descriptor, or -1.
int inherited_descriptor() {
  const char* text = std::getenv(ike_descriptor_variable);
  if (text == nullptr) return -1;
  int descriptor = -1;
  const std::string_view digits(text);
  const auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), descriptor);
  if (problem != std::errc{} || end != digits.data() + digits.size()) return -1;
  return ::fcntl(descriptor, F_GET_SEALS) < 0 ? -1 : descriptor;  // only a file in memory knows of seals
}

// Its pages, or nothing. Whoever held the file's other descriptor could otherwise cut it under us.
std::uint8_t* map(int descriptor) {
  struct stat about{};
  if (::fstat(descriptor, &about) != 0) return nullptr;
  if (about.st_size == 0 && ::ftruncate(descriptor, static_cast<off_t>(ike_memory::file_size)) != 0) return nullptr;
  if (about.st_size != 0 && about.st_size != static_cast<off_t>(ike_memory::file_size)) return nullptr;
  // A file of tmpfs, which the service manager opens, takes no seals: it is root's, and nobody else has it.
  (void)::fcntl(descriptor, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
  void* memory =
      ::mmap(nullptr, ike_memory::file_size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, descriptor, 0);
  ::fcntl(descriptor, F_SETFD, FD_CLOEXEC);
  if (memory == MAP_FAILED) return nullptr;
  ::madvise(memory, ike_memory::file_size, MADV_DONTDUMP);
  return static_cast<std::uint8_t*>(memory);
}

}  // namespace

struct ike_memory::header {
  std::uint64_t magic = 0;
  std::uint32_t version = 0;
  std::uint32_t touched = 0;  // slots at and above this were never used
  std::array<char, 40> boot{};
  // When it was last written: monotonic, and how far the wall clock was from that.
  std::int64_t written_at = 0, wall_offset = 0;
};

// A record is valid if its checksum is right; of two the one with the higher generation counts. `generation` is taken
// away first and written last: a process that dies in between leaves the other half as it was, and nothing of what
// this one says has been told to the peer yet.
struct ike_memory::half {
  std::uint64_t generation = 0;  // 0: nothing is here
  std::uint64_t spi = 0;
  std::uint32_t length = 0;
  std::uint32_t checksum = 0;
  static constexpr std::size_t room = half_size - 24;
  [[nodiscard]] std::uint8_t* data() { return reinterpret_cast<std::uint8_t*>(this + 1); }
  [[nodiscard]] const std::uint8_t* data() const { return reinterpret_cast<const std::uint8_t*>(this + 1); }
  [[nodiscard]] std::uint32_t compute(std::uint64_t of) const {
    boost::crc_32_type sum;
    sum.process_bytes(&of, sizeof of);
    sum.process_bytes(&spi, sizeof spi);
    sum.process_bytes(&length, sizeof length);
    sum.process_bytes(data(), length);
    return sum.checksum();
  }
  [[nodiscard]] bool valid() const { return generation != 0 && length <= room && compute(generation) == checksum; }
  void wipe_all() {
    std::atomic_ref(generation).store(0);
    wipe(data(), std::min<std::size_t>(length, room));
    spi = 0;
    length = checksum = 0;
  }
};

ike_memory::header& ike_memory::head() const { return *reinterpret_cast<header*>(memory_); }

std::uint8_t* ike_memory::at(std::uint32_t slot, unsigned which) const {
  return memory_ + header_size + (std::size_t{slot} * 2 + which) * half_size;
}

std::unique_ptr<ike_memory> ike_memory::open() {
  static_assert(sizeof(half) == 24 && sizeof(header) <= header_size);
  const int descriptor = inherited_descriptor();
  std::unique_ptr<ike_memory> out(new ike_memory(descriptor < 0 ? nullptr : map(descriptor)));
  if (!out->memory_) {
    out->trouble_ = "no memory of a supervisor's: IKE SAs are negotiated anew after a restart of trunkgated";
    return out;
  }
  if (!out->is_of_this_life()) {
    wipe_ike_file(descriptor);
    out->begin();
  }
  for (std::uint32_t slot = 0; slot < out->head().touched; ++slot) {
    if (const auto* record = out->newest(slot)) {
      out->generation_ = std::max(out->generation_, record->generation);
      out->index_[record->spi] = {.slot = slot, .written = false};
    } else {
      out->wipe_slot(slot);
    }
  }
  return out;
}

ike_memory::~ike_memory() {
  if (memory_ != nullptr) ::munmap(memory_, file_size);
}

// Numbers of another boot may have been used since. So may those of a machine that was put back to an earlier state:
// its monotonic clock goes back, or on from there while the wall clock jumps.
bool ike_memory::is_of_this_life() {
  const auto& from = head();
  if (from.magic == 0 && from.touched == 0) return false;  // new, of which there is nothing to say
  const auto now = read_clock(CLOCK_BOOTTIME);
  const auto moved = read_clock(CLOCK_REALTIME) - now - from.wall_offset;
  if (from.magic != file_magic || from.version != layout_version || from.touched > slot_count)
    trouble_ = "the memory of IKE SAs is of another version: they are negotiated anew";
  else if (from.boot != boot_id())
    trouble_ = "the memory of IKE SAs is of another boot: they are negotiated anew";
  else if (from.written_at > now)
    trouble_ = "the memory of IKE SAs is newer than the clock: they are negotiated anew";
  else if (moved > clock_tolerance_ns || moved < -clock_tolerance_ns)
    trouble_ = "the clock jumped since IKE SAs were written down: they are negotiated anew";
  return trouble_.empty();
}

void ike_memory::begin() {
  auto& to = head();
  to = {};
  to.version = layout_version;
  to.boot = boot_id();
  stamp();
  std::atomic_ref(to.magic).store(file_magic);  // last: a process that dies in between leaves no half header
}

void ike_memory::stamp() {
  head().written_at = read_clock(CLOCK_BOOTTIME);
  head().wall_offset = read_clock(CLOCK_REALTIME) - head().written_at;
}

const ike_memory::half* ike_memory::newest(std::uint32_t slot) const {
  const auto* first = reinterpret_cast<const half*>(at(slot, 0));
  const auto* second = reinterpret_cast<const half*>(at(slot, 1));
  if (!first->valid()) first = nullptr;
  if (!second->valid()) second = nullptr;
  if (first == nullptr || second == nullptr) return first != nullptr ? first : second;
  return first->generation > second->generation ? first : second;
}

std::vector<ike::ike_snapshot> ike_memory::read() {
  std::vector<const half*> records;
  for (const auto& [spi, where] : index_) records.push_back(newest(where.slot));
  std::erase(records, nullptr);
  std::ranges::sort(records, {}, &half::generation);
  std::vector<ike::ike_snapshot> out;
  for (const auto* record : records) {
    auto read = ike::decode_snapshot({record->data(), record->length});
    if (read)
      out.push_back(std::move(*read));
    else
      forget(record->spi);
  }
  return out;
}

void ike_memory::forget_unwritten() {
  std::vector<std::uint64_t> gone;
  for (const auto& [spi, where] : index_)
    if (!where.written) gone.push_back(spi);
  for (const auto spi : gone) forget(spi);
}

result<std::uint32_t> ike_memory::take_slot() {
  if (!free_.empty()) {
    const auto slot = free_.back();
    free_.pop_back();
    return slot;
  }
  if (head().touched == slot_count) return failure("all " + std::to_string(slot_count) + " records are in use");
  return head().touched++;
}

result<void> ike_memory::write(std::uint64_t own_spi, const ike::ike_snapshot& record) {
  if (memory_ == nullptr) return {};
  auto known = index_.find(own_spi);
  if (known == index_.end()) {
    const auto slot = take_slot();
    if (!slot) return std::unexpected(slot.error());
    known = index_.emplace(own_spi, place{.slot = *slot}).first;
  }
  known->second.written = true;
  auto* first = reinterpret_cast<half*>(at(known->second.slot, 0));
  auto* second = reinterpret_cast<half*>(at(known->second.slot, 1));
  half* into = first->generation > second->generation ? second : first;
  const auto before = into->length;
  std::atomic_ref(into->generation).store(0);
  into->length = half::room;  // whoever wipes it after a crash does not know how far we came
  const auto size = ike::encode_snapshot(record, {into->data(), half::room});
  if (!size) {
    forget(own_spi);
    return std::unexpected(size.error());
  }
  // What was longer before ends in octets of older keys.
  if (before > *size) wipe(into->data() + *size, std::min<std::size_t>(before, half::room) - *size);
  into->spi = own_spi;
  into->length = static_cast<std::uint32_t>(*size);
  into->checksum = into->compute(generation_ + 1);
  std::atomic_ref(into->generation).store(++generation_);
  stamp();
  return {};
}

void ike_memory::wipe_slot(std::uint32_t slot) {
  auto* first = reinterpret_cast<half*>(at(slot, 0));
  auto* second = reinterpret_cast<half*>(at(slot, 1));
  // The older one first: alone it would be a state that was left behind.
  if (first->generation > second->generation) std::swap(first, second);
  first->wipe_all();
  second->wipe_all();
  free_.push_back(slot);
}

void ike_memory::forget(std::uint64_t own_spi) {
  const auto known = index_.find(own_spi);
  if (known == index_.end()) return;
  wipe_slot(known->second.slot);
  index_.erase(known);
}

}  // namespace trunkgate
