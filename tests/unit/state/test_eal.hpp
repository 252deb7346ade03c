// A small EAL for tests whose tables live in DPDK's memory.
#pragma once

namespace trunkgate::test {

void start_eal();  // once per process; ends the process if there is none to be had

}  // namespace trunkgate::test
