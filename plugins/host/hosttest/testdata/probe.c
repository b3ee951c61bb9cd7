/* probe: does what the title says, on the text. For everything that the imports can be made to do. Numbers that it wants to
 * show are in its code. */
#include "ticketing.h"

static int32_t tk_init_rule(tk_bytes config) { (void)config; return 0; }

static char big[80000];

static uint64_t code(int64_t n) { return tk_verdict(TK_NONE, 0, 0, (uint32_t)n); }

static uint64_t outputs(tk_bytes what) {
	static const char label[] = "0123456789012345678901234567890123456789012345678901234567890123456789";
	if (tk_is(what, "labels")) for (int i = 0; i < 33; i++) tk_label(label, 3, 0);
	if (tk_is(what, "most labels")) for (int i = 0; i < 32; i++) tk_label(label, 64, 10000);
	if (tk_is(what, "long label")) tk_label(label, 65, 0);
	if (tk_is(what, "no label")) tk_label(label, 0, 0);
	if (tk_is(what, "broken label")) tk_label("\xff", 1, 0);
	if (tk_is(what, "odd label score")) return code(tk_label(label, 1, 10001));
	if (tk_is(what, "detail")) tk_detail("broken \xff text", 13);
	if (tk_is(what, "long detail")) tk_detail(big, 1025);
	if (tk_is(what, "wild label")) tk_label((const char *)(uintptr_t)0xfffffff0u, 64, 0);
	if (tk_is(what, "wild field")) tk_field(TK_TEXT, (void *)(uintptr_t)0xfffffff0u, 0x7fffffff);
	if (tk_is(what, "log")) for (int i = 0; i < 100; i++) tk_log(2, label, 64);
	if (tk_is(what, "calls")) for (int i = 0; i < 1000; i++) tk_now_ms();
	if (tk_is(what, "many calls")) for (;;) tk_now_ms();
	return TK_OK;
}

static uint64_t counters(tk_bytes what) {
	if (tk_is(what, "add")) return code(tk_counter_add(1, TK_AUTHOR, 1, 60));
	if (tk_is(what, "add text")) return code(tk_counter_add(2, TK_TEXT, 3, 3600));
	if (tk_is(what, "add then trap")) {
		tk_counter_add(1, TK_AUTHOR, 5, 60);
		tk_counter_add(1, TK_TEXT, 7, 60);
		__builtin_trap();
	}
	if (tk_is(what, "add then bad verdict")) {
		tk_counter_add(1, TK_AUTHOR, 5, 60);
		return ~(uint64_t)0;
	}
	if (tk_is(what, "subtract")) return code(tk_counter_add(1, TK_AUTHOR, -100, 60));
	if (tk_is(what, "long window")) return code(tk_counter_add(1, TK_AUTHOR, 1, 31 * 86400 + 1));
	if (tk_is(what, "no window")) return code(tk_counter_add(1, TK_AUTHOR, 1, 0));
	if (tk_is(what, "huge delta")) return code(tk_counter_add(1, TK_AUTHOR, (int64_t)1 << 31, 60));
	if (tk_is(what, "add parent")) return code(tk_counter_add(1, TK_PARENT, 1, 60));
	if (tk_is(what, "add nothing")) return code(tk_counter_add(1, 99, 1, 60));
	return TK_OK;
}

static uint64_t fields(tk_bytes what, tk_bytes text) {
	if (tk_is(what, "length")) return code(tk_field(TK_TEXT, 0, 0));
	if (tk_is(what, "inline")) return code(text.n);
	if (tk_is(what, "last byte")) {
		int32_t n = tk_field(TK_TEXT, big, sizeof big);
		return code(n > 0 && (uint32_t)n <= sizeof big ? big[n - 1] : -1);
	}
	if (tk_is(what, "no field")) return code(tk_field(99, big, 8));
	if (tk_is(what, "no parent")) return code(tk_field(TK_PARENT, big, 16));
	if (tk_is(what, "now")) return code(tk_now_ms() / 1000);
	return TK_OK;
}

/* The high half of a hit is its score, the low half its code. */
static uint64_t hit(int64_t h) {
	return h < 0 ? tk_verdict(TK_FLAG, 9999, 0, (uint32_t)h) : tk_verdict(TK_FLAG, (uint32_t)(h >> 32), 0, (uint32_t)h);
}

static uint64_t searches(tk_bytes what) {
	if (tk_is(what, "match 0")) return hit(tk_match(0, TK_TEXT));
	if (tk_is(what, "match 1")) return hit(tk_match(1, TK_TEXT));
	if (tk_is(what, "match 9")) return hit(tk_match(9, TK_TEXT));
	if (tk_is(what, "match id")) return hit(tk_match(0, TK_ID));
	if (tk_is(what, "match parent")) return hit(tk_match(0, TK_PARENT));
	if (tk_is(what, "regex 0")) return hit(tk_regex(0, TK_TEXT));
	if (tk_is(what, "regex 1")) return hit(tk_regex(1, TK_TEXT));
	return TK_OK;
}

static uint64_t tk_eval_rule(tk_bytes frame) {
	tk_bytes title = tk_value(frame, TK_TITLE);
	if (tk_is(title, "abstain")) return TK_ABSTAIN;
	if (tk_is(title, "error")) return tk_error(42);
	return outputs(title) | counters(title) | fields(title, tk_value(frame, TK_TEXT)) | searches(title);
}
