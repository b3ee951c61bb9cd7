/* The guest of the conformance suite in C. The title is the order, the answer is in the code (a number) or in the detail (a
 * text). Every language's guest does the same; the orders are in plugins/conformance/cases.go. */
#include "ticketing.h"

static int32_t start_code;

static int32_t tk_init_rule(tk_bytes config) {
	return tk_json_int(config, "accept", 1, 1, &start_code) ? 0 : 1;
}

static char big[70000];

static uint64_t code(int64_t n) { return tk_verdict(TK_NONE, 0, 0, (uint32_t)n); }
static uint64_t text(int32_t n) {
	if (n < 0) return code(n);
	tk_detail(big, n > 1024 ? 1024 : n);
	return code(n);
}

static uint64_t hit(int64_t h) { return h < 0 ? code(-1) : code(h >> 32); }

static uint64_t memory(tk_bytes what, tk_bytes value) {
	if (tk_is(what, "kv_put")) return code(tk_kv_put("key", 3, value.p, (int32_t)value.n, 60));
	if (tk_is(what, "kv_get")) return text(tk_kv_get("key", 3, big, sizeof big));
	if (tk_is(what, "kv_delete")) return code(tk_kv_put("key", 3, 0, 0, 0));
	if (tk_is(what, "count")) return code(tk_counter_add(1, TK_AUTHOR, 1, 60));
	return ~(uint64_t)0;
}

static uint64_t failures(tk_bytes what) {
	if (tk_is(what, "trap")) __builtin_trap();
	if (tk_is(what, "loop")) for (;;) tk_field(TK_TEXT, big, sizeof big);
	if (tk_is(what, "spin")) for (volatile int i = 0;;) i++;
	if (tk_is(what, "error")) return tk_error(42);
	if (tk_is(what, "bad verdict")) return (uint64_t)9 << 60;
	if (tk_is(what, "long label")) tk_label(big, 65, 0);
	return ~(uint64_t)0;
}

static uint64_t tk_eval_rule(tk_bytes frame) {
	tk_bytes what = tk_value(frame, TK_TITLE), value = tk_value(frame, TK_TEXT);
	if (tk_is(what, "none")) return TK_OK;
	if (tk_is(what, "abstain")) return TK_ABSTAIN;
	if (tk_is(what, "everything")) {
		tk_label("first", 5, 1234);
		tk_label("second", 6, 1234);
		tk_detail("why", 3);
		return tk_verdict(TK_REJECT, 1234, 56, 78);
	}
	if (tk_is(what, "text")) {
		for (uint32_t i = 0; i < value.n; i++) big[i] = (char)value.p[i];
		return text((int32_t)value.n);
	}
	if (tk_is(what, "whole")) return code(tk_field(TK_TEXT, big, sizeof big));
	if (tk_is(what, "kind")) return code((int64_t)tk_number(frame, TK_KIND));
	if (tk_is(what, "approved")) return code((int64_t)tk_number(frame, TK_APPROVED));
	if (tk_is(what, "edit")) return code(tk_u32(frame.p + 4) & 1);
	if (tk_is(what, "time")) return code((int64_t)(tk_u64(frame.p + 8) / 1000));
	if (tk_is(what, "has parent")) return code(tk_value(frame, TK_PARENT).n != 0);
	if (tk_is(what, "has name")) return code(tk_value(frame, TK_AUTHOR_NAME).n != 0);
	if (tk_is(what, "match")) return hit(tk_match(0, TK_TEXT));
	if (tk_is(what, "match_all")) return code(tk_match_all(0, TK_TEXT, big, sizeof big));
	if (tk_is(what, "regex")) return hit(tk_regex(0, TK_TEXT));
	if (tk_is(what, "lower")) return text(tk_norm(TK_LOWER, TK_TEXT, big, sizeof big));
	if (tk_is(what, "folded")) return text(tk_norm(TK_FOLDED, TK_TEXT, big, sizeof big));
	if (tk_is(what, "skeleton")) return text(tk_norm(TK_SKELETON, TK_TEXT, big, sizeof big));
	if (tk_is(what, "hash")) return code(tk_hash(TK_HASH_TEXT, TK_TEXT));
	if (tk_is(what, "simhash")) return code(tk_hash(TK_HASH_SIM, TK_TEXT));
	if (tk_is(what, "list")) return code(tk_list_has(0, TK_TEXT));
	if (tk_is(what, "rand")) return code(tk_rand());
	if (tk_is(what, "log")) { tk_log(TK_WARN, "a line", 6); return TK_OK; }
	uint64_t answer = memory(what, value);
	return answer != ~(uint64_t)0 ? answer : failures(what);
}
