/* hog: takes memory until there is none, and then falls over. */
#define EVAL { (void)frame; while (__builtin_wasm_memory_grow(0, 16) != (unsigned long)-1) {} __builtin_trap(); }
#include "guest.h"
