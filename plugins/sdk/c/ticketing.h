/* ticketing.h: everything that a rule in C needs. One header, no libc.
 *
 * A rule defines tk_init_rule and tk_eval_rule (below) and includes this file once. The contract is documented in
 * docs/ABI.md. Build with "ticketing plugin build" in the rule's directory, which also appends the manifest, or:
 *
 *   clang --target=wasm32 -std=c11 -O2 -ffreestanding -nostdlib -mbulk-memory -Wl,--no-entry -Wl,--strip-all \
 *         -Wl,-z,stack-size=16384 rule.c -o rule.wasm
 */
#ifndef TICKETING_H
#define TICKETING_H

#include <stddef.h>
#include <stdint.h>

#define TK_IMPORT(name) __attribute__((import_module("ticketing"), import_name(name)))
#define TK_EXPORT(name) __attribute__((export_name(name), used))

/* Fields of an item. TK_LOCALE is reserved: no item has it. */
enum {
	TK_KIND = 1, TK_ID, TK_POST, TK_PARENT, TK_TITLE, TK_TEXT, TK_AUTHOR, TK_AUTHOR_AGE, TK_APPROVED, TK_REJECTED, TK_HELD,
	TK_REPORTS, TK_LOCALE, TK_REVISION, TK_AUTHOR_NAME
};

enum { TK_KIND_POST = 1, TK_KIND_COMMENT, TK_KIND_TICKET }; /* the last is reserved: rules do not judge tickets */
enum { TK_NONE, TK_ALLOW, TK_FLAG, TK_HOLD, TK_REJECT };
enum { TK_LOWER = 1, TK_FOLDED, TK_SKELETON }; /* forms of tk_norm */
enum { TK_HASH_TEXT = 1, TK_HASH_SIM };         /* kinds of tk_hash */
enum { TK_DEBUG, TK_INFO, TK_WARN, TK_ERROR };  /* levels of tk_log */
enum { TK_NO_ENTRY = -1, TK_DENIED = -2, TK_LIMIT = -3, TK_BAD_ARGUMENT = -4, TK_TOO_BIG = -5, TK_UNAVAILABLE = -6 };

/* The host's functions. Counters and values live in the slot of the item's author, one of 1,024, which its authors share. */
TK_IMPORT("field") int32_t tk_field(int32_t field, void *ptr, int32_t cap);
TK_IMPORT("match") int64_t tk_match(int32_t set, int32_t field);
TK_IMPORT("match_all") int32_t tk_match_all(int32_t set, int32_t field, void *ptr, int32_t cap);
TK_IMPORT("regex") int64_t tk_regex(int32_t set, int32_t field);
TK_IMPORT("label") int32_t tk_label(const char *ptr, int32_t len, int32_t score);
TK_IMPORT("detail") int32_t tk_detail(const char *ptr, int32_t len);
TK_IMPORT("log") void tk_log(int32_t level, const char *ptr, int32_t len);
TK_IMPORT("counter_add") int64_t tk_counter_add(int32_t ns, int32_t key_field, int64_t delta, int32_t window_s);
TK_IMPORT("now_ms") int64_t tk_now_ms(void);
TK_IMPORT("norm") int32_t tk_norm(int32_t form, int32_t field, void *ptr, int32_t cap);
TK_IMPORT("hash") int64_t tk_hash(int32_t kind, int32_t field);
TK_IMPORT("list_has") int32_t tk_list_has(int32_t list, int32_t field);
TK_IMPORT("kv_get") int32_t tk_kv_get(const void *key, int32_t key_len, void *ptr, int32_t cap);
TK_IMPORT("kv_put") int32_t tk_kv_put(const void *key, int32_t key_len, const void *val, int32_t val_len, int32_t ttl_s);
TK_IMPORT("rand") int64_t tk_rand(void);

/* A stretch of bytes. Not terminated. */
typedef struct { const uint8_t *p; uint32_t n; } tk_bytes;

/* What a rule defines. tk_init_rule gets its configuration (a JSON object without the words and patterns) and returns 0
 * when it likes it; the bytes are gone afterwards. tk_eval_rule judges the item in the frame. Its verdict must not follow from
 * what variables keep of items before: golden tests fail a rule of which that is so. */
static int32_t tk_init_rule(tk_bytes config);
static uint64_t tk_eval_rule(tk_bytes frame);

/* ---- the input buffer and the exports ---- */

static _Alignas(8) uint8_t tk_input[65536];

TK_EXPORT("tk_buf") uint64_t tk_buf(void) { return (uint64_t)(uintptr_t)tk_input << 32 | sizeof tk_input; }
TK_EXPORT("tk_init") int32_t tk_init(const uint8_t *p, uint32_t n) { return tk_init_rule((tk_bytes){p, n}); }
TK_EXPORT("tk_eval") uint64_t tk_eval(const uint8_t *p, uint32_t n) { return tk_eval_rule((tk_bytes){p, n}); }

/* ---- verdicts ---- */

#define TK_OK ((uint64_t)0)
#define TK_ABSTAIN ((uint64_t)1 << 60)

static inline uint64_t tk_verdict(uint32_t action, uint32_t score, uint32_t severity, uint32_t code) {
	return (uint64_t)action << 56 | (uint64_t)score << 40 | (uint64_t)severity << 32 | code;
}

static inline uint64_t tk_error(uint32_t code) { return (uint64_t)2 << 60 | code; }

/* ---- the frame ---- */

static inline uint32_t tk_u16(const uint8_t *p) { return p[0] | (uint32_t)p[1] << 8; }
static inline uint32_t tk_u32(const uint8_t *p) { return tk_u16(p) | tk_u16(p + 2) << 16; }
static inline uint64_t tk_u64(const uint8_t *p) { return tk_u32(p) | (uint64_t)tk_u32(p + 4) << 32; }

/* tk_value returns a field as far as it lies in the frame, nothing if the item does not have it. */
static inline tk_bytes tk_value(tk_bytes frame, uint32_t field) {
	uint32_t fields = tk_u32(frame.p + 24);
	for (uint32_t i = 0; i < fields; i++) {
		const uint8_t *e = frame.p + 32 + 12 * i;
		if (tk_u16(e) == field) return (tk_bytes){frame.p + tk_u32(e + 4), tk_u32(e + 8)};
	}
	return (tk_bytes){frame.p, 0};
}

static inline uint64_t tk_number(tk_bytes frame, uint32_t field) {
	tk_bytes v = tk_value(frame, field);
	return v.n == 8 ? tk_u64(v.p) : 0;
}

/* ---- text to be sent ---- */

typedef struct { char b[1024]; uint32_t n; } tk_text;

/* tk_add appends a C string as far as there is room. */
static inline void tk_add(tk_text *t, const char *s) {
	while (*s && t->n < sizeof t->b) t->b[t->n++] = *s++;
}

static inline int32_t tk_send_detail(const tk_text *t) { return tk_detail(t->b, (int32_t)t->n); }

static inline uint32_t tk_strlen(const char *s) {
	uint32_t n = 0;
	while (s[n]) n++;
	return n;
}

static inline int32_t tk_add_label(const char *s, int32_t score) { return tk_label(s, (int32_t)tk_strlen(s), score); }

/* ---- just enough JSON for a configuration: the host has checked that it is well-formed ---- */

static inline uint32_t tk_json_space(tk_bytes j, uint32_t i) {
	while (i < j.n && (j.p[i] == ' ' || j.p[i] == '\n' || j.p[i] == '\t' || j.p[i] == '\r')) i++;
	return i;
}

/* tk_json_end returns where the value that begins at i ends. */
static inline uint32_t tk_json_end(tk_bytes j, uint32_t i) {
	uint32_t depth = 0;
	while (i < j.n) {
		uint8_t c = j.p[i];
		if (c == '"') {
			for (i++; i < j.n && j.p[i] != '"'; i++) if (j.p[i] == '\\') i++;
			i++;
		} else if (c == '{' || c == '[') {
			depth++;
			i++;
			continue;
		} else if (c == '}' || c == ']') {
			if (depth == 0) return i;
			depth--;
			i++;
		} else if (c == ',' || c == ':' || c <= ' ') {
			if (depth == 0) return i;
			i++;
			continue;
		} else {
			while (i < j.n && j.p[i] > ' ' && j.p[i] != ',' && j.p[i] != '}' && j.p[i] != ']' && j.p[i] != ':') i++;
		}
		if (depth == 0) return i;
	}
	return j.n;
}

/* tk_json_next walks an object or a list. *at is 0 at first; key is empty in a list. Returns 0 at the end. */
static inline int tk_json_next(tk_bytes j, uint32_t *at, tk_bytes *key, tk_bytes *value) {
	uint32_t i = tk_json_space(j, 0);
	if (i >= j.n || (j.p[i] != '{' && j.p[i] != '[')) return 0;
	int object = j.p[i] == '{';
	i = tk_json_space(j, *at ? *at : i + 1);
	if (i < j.n && j.p[i] == ',') i = tk_json_space(j, i + 1);
	if (i >= j.n || j.p[i] == '}' || j.p[i] == ']') return 0;
	*key = (tk_bytes){j.p, 0};
	if (object) {
		uint32_t end = tk_json_end(j, i);
		if (end < i + 2) return 0;
		*key = (tk_bytes){j.p + i + 1, end - i - 2};
		i = tk_json_space(j, end);
		if (i < j.n && j.p[i] == ':') i = tk_json_space(j, i + 1);
	}
	*at = tk_json_end(j, i);
	*value = (tk_bytes){j.p + i, *at - i};
	return 1;
}

static inline int tk_is(tk_bytes b, const char *s) {
	uint32_t i = 0;
	for (; i < b.n; i++) if (!s[i] || b.p[i] != (uint8_t)s[i]) return 0;
	return !s[i];
}

/* tk_json_get returns the member of an object, nothing if it is not there. */
static inline tk_bytes tk_json_get(tk_bytes j, const char *name) {
	uint32_t at = 0;
	tk_bytes key, value;
	while (tk_json_next(j, &at, &key, &value)) if (tk_is(key, name)) return value;
	return (tk_bytes){j.p, 0};
}

/* tk_json_text returns what stands between the quotes of a JSON text (escapes as they are), nothing for other values. */
static inline tk_bytes tk_json_text(tk_bytes j) {
	return j.n >= 2 && j.p[0] == '"' ? (tk_bytes){j.p + 1, j.n - 2} : (tk_bytes){j.p, 0};
}

/* tk_json_hex reads the four hexadecimal digits of a \u escape that may begin at s.p[at], -1 if there is none. */
static inline int32_t tk_json_hex(tk_bytes s, uint32_t at) {
	int32_t c = 0;
	if (at + 6 > s.n || s.p[at] != '\\' || s.p[at + 1] != 'u') return -1;
	for (uint32_t i = at + 2; i < at + 6; i++) {
		uint8_t d = s.p[i], lower = d | 0x20;
		if (d >= '0' && d <= '9') c = c << 4 | (d - '0');
		else if (lower >= 'a' && lower <= 'f') c = c << 4 | (lower - 'a' + 10);
		else return -1;
	}
	return c;
}

/* tk_json_escape reads the escape at s.p[*at] and moves behind it. Half of a pair of surrogates, the character 0, which would end a
 * C string, and what is no escape are U+FFFD. */
static inline uint32_t tk_json_escape(tk_bytes s, uint32_t *at) {
	uint8_t c = *at + 1 < s.n ? s.p[*at + 1] : 0;
	int32_t high = tk_json_hex(s, *at), low;
	if (high >= 0) {
		*at += 6;
		if (high < 0xd800 || high > 0xdfff) return high ? (uint32_t)high : 0xfffd;
		low = tk_json_hex(s, *at);
		if (high > 0xdbff || low < 0xdc00 || low > 0xdfff) return 0xfffd;
		*at += 6;
		return 0x10000 + ((uint32_t)(high - 0xd800) << 10) + (uint32_t)(low - 0xdc00);
	}
	*at += 2;
	switch (c) {
	case '"': case '\\': case '/': return c;
	case 'b': return '\b';
	case 'f': return '\f';
	case 'n': return '\n';
	case 'r': return '\r';
	case 't': return '\t';
	}
	return 0xfffd;
}

/* tk_utf8 writes a character, and returns how many bytes it has. */
static inline uint32_t tk_utf8(uint8_t out[4], uint32_t c) {
	if (c < 0x80) {
		out[0] = (uint8_t)c;
		return 1;
	}
	uint32_t n = c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
	for (uint32_t i = n - 1; i > 0; i--, c >>= 6) out[i] = (uint8_t)(0x80 | (c & 0x3f));
	out[0] = (uint8_t)((n == 2 ? 0xc0 : n == 3 ? 0xe0 : 0xf0) | c);
	return n;
}

/* tk_json_copy copies a JSON text as a C string of less than cap bytes, in UTF-8 with its escapes undone. Returns 0 when it does
 * not fit. */
static inline int tk_json_copy(char *to, uint32_t cap, tk_bytes json) {
	tk_bytes s = tk_json_text(json);
	uint32_t n = 0;
	for (uint32_t i = 0; i < s.n;) {
		uint8_t c[4];
		uint32_t size = 1;
		if (s.p[i] == '\\') size = tk_utf8(c, tk_json_escape(s, &i));
		else c[0] = s.p[i++];
		if (n + size >= cap) return 0;
		for (uint32_t k = 0; k < size; k++) to[n++] = (char)c[k];
	}
	to[n] = 0;
	return 1;
}

/* tk_json_int sets *out to a member that is a whole number from low to high. Leaves it as it is when there is no such
 * member; returns 0 when there is one that is something else. */
static inline int tk_json_int(tk_bytes j, const char *name, int32_t low, int32_t high, int32_t *out) {
	tk_bytes v = tk_json_get(j, name);
	if (v.n == 0) return 1;
	uint32_t i = v.p[0] == '-';
	int64_t n = 0;
	if (i == v.n || v.n - i > 10) return 0;
	for (; i < v.n; i++) {
		if (v.p[i] < '0' || v.p[i] > '9') return 0;
		n = n * 10 + (v.p[i] - '0');
	}
	if (v.p[0] == '-') n = -n;
	if (n < low || n > high) return 0;
	*out = (int32_t)n;
	return 1;
}

#endif
