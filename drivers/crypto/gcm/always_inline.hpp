// What the kernels' small functions are declared with: a call would put every vector on the stack.
#pragma once

#define TRUNKGATE_INLINE [[gnu::always_inline]] static inline
