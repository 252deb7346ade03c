// After an input: everything that still waits inside the gateway is let go, and no packet buffer may be missing.
#pragma once

#include <cstdlib>

#include <rte_mempool.h>

#include "tests/unit/stages/little_gateway.hpp"

namespace trunkgate::test {

inline void settle(little_gateway& gateway) {
  auto& context = gateway.context();
  (void)gateway.punted();
  for (resolve_request request; gateway.workers().next_resolve(request);) {}
  for (std::size_t i = 0; i < context.waiting.count; ++i) rte_pktmbuf_free(context.waiting.packets[i]);
  context.waiting.count = 0;
  context.now_ms += 1ull << 20;
  expire_followed(context);
  context.now_tsc += 1ull << 50;  // all fragments are old then; more at a time than a row holds
  while (rte_mempool_avail_count(gateway.pool()) != gateway_options{}.buffers) {
    const auto before = rte_mempool_avail_count(gateway.pool());
    expire_fragments(context);
    if (rte_mempool_avail_count(gateway.pool()) == before) std::abort();  // a buffer got lost
  }
}

}  // namespace trunkgate::test
