// Single-producer, single-consumer rings between two threads (rte_ring over memory of our own: no memzone, no name
// clash).
#pragma once

#include <cstdlib>
#include <memory>
#include <new>

#include <rte_mbuf.h>
#include <rte_ring.h>
#include <rte_ring_elem.h>

namespace trunkgate {

// Holds up to `room` elements (rounded up to a power of two, less one). One thread puts, one takes.
template <class T>
class spsc_ring {
 public:
  static_assert(sizeof(T) % 4 == 0 && std::is_trivially_copyable_v<T>);

  explicit spsc_ring(unsigned room) : ring_(allocate(room)) {}
  [[nodiscard]] bool put(T element) noexcept { return rte_ring_sp_enqueue_elem(ring_.get(), &element, sizeof(T)) == 0; }
  // As many from the front as there is room for.
  [[nodiscard]] unsigned put(const T* elements, unsigned count) noexcept {
    return rte_ring_sp_enqueue_burst_elem(ring_.get(), elements, sizeof(T), count, nullptr);
  }
  [[nodiscard]] unsigned take(T* into, unsigned room) noexcept {
    return rte_ring_sc_dequeue_burst_elem(ring_.get(), into, sizeof(T), room, nullptr);
  }
  [[nodiscard]] unsigned count() const noexcept { return rte_ring_count(ring_.get()); }

 private:
  struct release {
    void operator()(rte_ring* ring) const { std::free(ring); }
  };
  static rte_ring* allocate(unsigned room) {
    const unsigned count = rte_align32pow2(room + 1);
    // rte_ring_get_memsize_elem lacks C linkage in DPDK 24.11's header: the ring's own head, then its elements.
    const std::size_t size = sizeof(rte_ring) + std::size_t{count} * sizeof(T);
    auto* memory = static_cast<rte_ring*>(std::aligned_alloc(64, (size + 63) / 64 * 64));
    if (memory == nullptr || rte_ring_init(memory, "trunkgate", count, RING_F_SP_ENQ | RING_F_SC_DEQ) != 0)
      throw std::bad_alloc();
    return memory;
  }
  std::unique_ptr<rte_ring, release> ring_;
};

using packet_ring = spsc_ring<rte_mbuf*>;

// Frees the packets that are still inside. Neither end is in use any more.
inline void drain(packet_ring& ring) {
  rte_mbuf* packet = nullptr;
  while (ring.take(&packet, 1) == 1) rte_pktmbuf_free(packet);
}

}  // namespace trunkgate
