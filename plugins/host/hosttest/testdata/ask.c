/* ask: does what the title says, for the imports that came with manifests. Numbers that it wants to show are in its code. */
#include "ticketing.h"

TK_IMPORT("match_all") int32_t ask_match_all(int32_t set, int32_t field, void *ptr, int32_t cap);
TK_IMPORT("norm") int32_t ask_norm(int32_t form, int32_t field, void *ptr, int32_t cap);
TK_IMPORT("hash") int64_t ask_hash(int32_t kind, int32_t field);
TK_IMPORT("list_has") int32_t ask_list_has(int32_t list, int32_t field);
TK_IMPORT("kv_get") int32_t ask_kv_get(const void *key, int32_t key_len, void *ptr, int32_t cap);
TK_IMPORT("kv_put") int32_t ask_kv_put(const void *key, int32_t key_len, const void *val, int32_t val_len, int32_t ttl);
TK_IMPORT("rand") int64_t ask_rand(void);

static int32_t tk_init_rule(tk_bytes config) { (void)config; return 0; }

static char big[8192];

static uint64_t code(int64_t n) { return tk_verdict(TK_NONE, 0, 0, (uint32_t)n); }

/* shown says the bytes as its sentence and their number as its code. */
static uint64_t shown(int32_t n) {
	if (n >= 0) tk_detail(big, n);
	return code(n);
}

/* fill puts a hundred values under keys that begin with the text. It shows how many it could, times a hundred, and why not the rest. */
static uint64_t fill(tk_bytes text, int32_t ttl) {
	char key[64];
	int32_t n = text.n < 60 ? (int32_t)text.n : 60, did = 0, why = 0;
	for (int32_t i = 0; i < n; i++) key[i] = ((const char *)text.p)[i];
	for (int32_t i = 0; i < 100; i++) {
		key[n] = (char)i;
		int32_t e = ask_kv_put(key, n + 1, big, 4000, ttl);
		if (e) why = e;
		else did++;
	}
	return code(did * 100 - why);
}

static uint64_t state(tk_bytes what, tk_bytes text) {
	if (tk_is(what, "put")) return code(ask_kv_put("k", 1, text.p, (int32_t)text.n, 0));
	if (tk_is(what, "put for a minute")) return code(ask_kv_put("k", 1, text.p, (int32_t)text.n, 60));
	if (tk_is(what, "fill")) return fill(text, 0);
	if (tk_is(what, "fill for a minute")) return fill(text, 60);
	if (tk_is(what, "get a hundred times")) {
		int64_t sum = 0;
		for (int32_t i = 0; i < 100; i++) sum += ask_kv_get("k", 1, big, 1);
		return code(sum);
	}
	if (tk_is(what, "remove")) return code(ask_kv_put("k", 1, 0, 0, 0));
	if (tk_is(what, "get")) return shown(ask_kv_get("k", 1, big, 1024));
	if (tk_is(what, "get little")) return code(ask_kv_get("k", 1, big, 1));
	if (tk_is(what, "put too much")) return code(ask_kv_put("k", 1, big, 4097, 0));
	if (tk_is(what, "put most")) return code(ask_kv_put("k", 1, big, 4096, 0));
	if (tk_is(what, "no key")) return code(ask_kv_put("", 0, big, 1, 0));
	if (tk_is(what, "past ttl")) return code(ask_kv_put("k", 1, big, 1, -1));
	if (tk_is(what, "long key")) {
		ask_kv_put(big, 200, "long", 4, 0);
		return code(ask_kv_get(big, 200, big + 4096, 1024));
	}
	if (tk_is(what, "count")) return code(tk_counter_add(1, TK_AUTHOR, 1, 3600));
	if (tk_is(what, "third fails")) {
		int64_t n = tk_counter_add(1, TK_AUTHOR, 1, 3600);
		if (n > 2) __builtin_trap();
		return code(n);
	}
	if (tk_is(what, "count and put")) {
		int64_t n = tk_counter_add(1, TK_AUTHOR, 1, 3600);
		int32_t had = ask_kv_get("last", 4, big, 1024);
		ask_kv_put("last", 4, text.p, (int32_t)text.n, 0);
		shown(had);
		return code(n * 1000 + had);
	}
	if (tk_is(what, "put then trap")) {
		ask_kv_put("k", 1, "x", 1, 0);
		__builtin_trap();
	}
	return TK_OK;
}

static uint64_t tk_eval_rule(tk_bytes frame) {
	tk_bytes what = tk_value(frame, TK_TITLE), text = tk_value(frame, TK_TEXT);
	if (tk_is(what, "hits")) {
		int32_t n = ask_match_all(0, TK_TEXT, big, 1024);
		for (int32_t i = 0; i < n && i < 32; i++) {
			char label[2] = {(char)('a' + tk_u32((uint8_t *)big + 8 * i)), (char)('A' + tk_u32((uint8_t *)big + 8 * i + 4))};
			tk_label(label, 2, 0);
		}
		return code(n);
	}
	if (tk_is(what, "hits of little room")) return code(ask_match_all(0, TK_TEXT, big, 12) * 100 + (int32_t)tk_u32((uint8_t *)big + 8));
	if (tk_is(what, "lower")) return shown(ask_norm(1, TK_TEXT, big, 1024));
	if (tk_is(what, "folded")) return shown(ask_norm(2, TK_TEXT, big, 1024));
	if (tk_is(what, "skeleton")) return shown(ask_norm(3, TK_TEXT, big, 1024));
	if (tk_is(what, "form 4")) return code(ask_norm(4, TK_TEXT, big, 1024));
	if (tk_is(what, "little room")) return code(ask_norm(1, TK_TEXT, big, 1));
	if (tk_is(what, "hash")) return code(ask_hash(1, TK_TEXT));
	if (tk_is(what, "similar")) {
		int64_t h = ask_hash(2, TK_TEXT);
		for (int i = 0; i < 8; i++) big[i] = (char)(h >> 8 * i);
		for (int i = 0; i < 16; i++) big[100 + i] = "0123456789abcdef"[h >> (60 - 4 * i) & 15];
		tk_detail(big + 100, 16);
		return TK_OK;
	}
	if (tk_is(what, "hash of the author")) return code(ask_hash(1, TK_AUTHOR));
	if (tk_is(what, "list")) return code(ask_list_has(0, TK_TEXT));
	if (tk_is(what, "list 9")) return code(ask_list_has(9, TK_TEXT));
	if (tk_is(what, "random")) return code(ask_rand());
	if (tk_is(what, "second random")) { ask_rand(); return code(ask_rand()); }
	if (tk_is(what, "now")) return code(tk_now_ms() / 1000);
	if (tk_is(what, "frame's time")) return code((int64_t)tk_u64(frame.p + 8) / 1000);
	if (tk_is(what, "name")) return code(tk_field(TK_AUTHOR_NAME, big, 1024));
	if (tk_is(what, "name in the frame")) return code(tk_value(frame, TK_AUTHOR_NAME).n);
	if (tk_is(what, "match the name")) return code(tk_match(0, TK_AUTHOR_NAME));
	if (tk_is(what, "hash the name")) return code(ask_hash(1, TK_AUTHOR_NAME));
	if (tk_is(what, "count the name")) return code(tk_counter_add(1, TK_AUTHOR_NAME, 1, 60));
	return state(what, text);
}
