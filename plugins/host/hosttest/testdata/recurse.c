/* recurse: calls itself until the stack is full. */
#include <stdint.h>
static volatile int sink;
__attribute__((noinline)) static int deeper(int n) {
	if (n == -1) return 0;
	int m = deeper(n + 1);
	sink = m;
	return m + n;
}
#define EVAL { (void)frame; return (uint64_t)(uint32_t)deeper(1) & 1; }
#include "guest.h"
