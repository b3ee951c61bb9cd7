/* bomb: calls without loops, 2 to the power of 24 times. */
#include <stdint.h>
static volatile uint32_t calls;
#define LEVEL(n, below) __attribute__((noinline)) static void f##n(void) { below(); below(); }
__attribute__((noinline)) static void f0(void) { calls++; }
LEVEL(1, f0) LEVEL(2, f1) LEVEL(3, f2) LEVEL(4, f3) LEVEL(5, f4) LEVEL(6, f5) LEVEL(7, f6) LEVEL(8, f7)
LEVEL(9, f8) LEVEL(10, f9) LEVEL(11, f10) LEVEL(12, f11) LEVEL(13, f12) LEVEL(14, f13) LEVEL(15, f14) LEVEL(16, f15)
LEVEL(17, f16) LEVEL(18, f17) LEVEL(19, f18) LEVEL(20, f19) LEVEL(21, f20) LEVEL(22, f21) LEVEL(23, f22) LEVEL(24, f23)
#define EVAL { (void)frame; f24(); return TK_OK; }
#include "guest.h"
