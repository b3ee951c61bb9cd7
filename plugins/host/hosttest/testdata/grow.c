/* grow: takes more memory with every item, and fails when there is none left. Its code is how many pages it has. */
#define EVAL { \
	(void)frame; \
	if (__builtin_wasm_memory_grow(0, 64) == (unsigned long)-1) __builtin_trap(); \
	return tk_verdict(TK_NONE, 0, 0, (uint32_t)__builtin_wasm_memory_size(0)); \
}
#include "guest.h"
