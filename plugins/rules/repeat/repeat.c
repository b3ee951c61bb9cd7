/* repeat: stops texts that an author has sent before with a few words changed.
 *
 * Signals: the SimHash of the text (see "hash" in docs/ABI.md), of which near-duplicates differ in few bits, against those
 * of the author's last items. The rule keeps up to 32 of them for each author. Short texts and edits are left alone. See
 * README.md.
 *
 * Memory: a value for each author would fill the slot's 1 MiB when many write, and what comes then would not be remembered.
 * So the authors of a slot share a fixed number of values that have room together, and in one that is full the oldest text
 * makes room for the newest.
 */
#include "ticketing.h"

enum { MOST = 32 };      /* texts of an author */
enum { SHELVES = 1200 }; /* values in a slot */
enum { ROOM = 48 };      /* texts on a shelf */
enum { CODE_REPEAT = 1 };
enum { REFUSED_NUMBER = 1, REFUSED_ACTION };

static int32_t keep = 16;             /* how many texts of an author are remembered */
static int32_t seconds = 7 * 86400;   /* for how long */
static int32_t bits = 18;             /* texts that differ in no more bits are the same */
static int32_t copies = 2;            /* so many are allowed, the first one included */
static int32_t min_bytes = 40;        /* shorter texts are not looked at */
static uint32_t action = TK_HOLD;

typedef struct {
	uint64_t hash;   /* of the text */
	uint32_t author; /* hash of the author's identity */
	uint32_t at;     /* seconds */
} seen;

/* What is stored under the shelf's number: the newest first. */
typedef struct { seen texts[ROOM]; } shelf;
_Static_assert(SHELVES * (64 + sizeof(uint16_t) + sizeof(shelf)) < 1 << 20, "all shelves fit into a slot");

static int32_t tk_init_rule(tk_bytes config) {
	if (!tk_json_int(config, "keep", 1, MOST, &keep) || !tk_json_int(config, "seconds", 1, 31 * 86400, &seconds) ||
	    !tk_json_int(config, "bits", 0, 32, &bits) || !tk_json_int(config, "copies", 1, MOST, &copies) ||
	    !tk_json_int(config, "min_bytes", 1, 65536, &min_bytes))
		return REFUSED_NUMBER;
	tk_bytes a = tk_json_text(tk_json_get(config, "action"));
	if (a.n == 0 || tk_is(a, "hold")) return 0;
	if (tk_is(a, "flag")) action = TK_FLAG;
	else if (tk_is(a, "reject")) action = TK_REJECT;
	else return REFUSED_ACTION;
	return 0;
}

/* fnv hashes bytes: FNV-1a. */
static uint64_t fnv(tk_bytes b) {
	uint64_t h = 0xcbf29ce484222325;
	for (uint32_t i = 0; i < b.n; i++) h = (h ^ (uint8_t)b.p[i]) * 0x100000001b3;
	return h;
}

/* remember puts a text on its shelf, before those that are still to be remembered. */
static void remember(uint16_t number, const shelf *old, int32_t known, seen text) {
	static shelf new;
	int32_t n = 0, own = 1;
	new.texts[n++] = text;
	for (int32_t i = 0; i < known && n < ROOM; i++) {
		const seen *s = &old->texts[i];
		if ((int64_t)s->at + seconds < (int64_t)text.at || (s->author == text.author && own++ >= keep)) continue;
		new.texts[n++] = *s;
	}
	if (tk_kv_put(&number, sizeof number, &new, n * (int32_t)sizeof(seen), seconds) == 0) return;
	static const char line[] = "A text is not remembered: the rule's memory in this slot is full.";
	tk_add_label("not-remembered", 10000);
	tk_log(TK_WARN, line, sizeof line - 1);
}

static uint64_t tk_eval_rule(tk_bytes frame) {
	static shelf old;
	tk_bytes author = tk_value(frame, TK_AUTHOR);
	int32_t length = tk_field(TK_TEXT, 0, 0);
	if (author.n == 0 || length < min_bytes || tk_number(frame, TK_REVISION) > 1) return TK_ABSTAIN;

	uint64_t who = fnv(author);
	uint16_t number = (uint16_t)(who % SHELVES);
	seen text = {(uint64_t)tk_hash(TK_HASH_SIM, TK_TEXT), (uint32_t)(who >> 32), (uint32_t)(tk_now_ms() / 1000)};
	int32_t size = tk_kv_get(&number, sizeof number, &old, sizeof old);
	int32_t known = size < 0 || size > (int32_t)sizeof old ? 0 : size / (int32_t)sizeof(seen), same = 1, nearest = 64;
	for (int32_t i = 0; i < known; i++) {
		const seen *s = &old.texts[i];
		if (s->author != text.author || (int64_t)s->at + seconds < (int64_t)text.at) continue;
		int32_t differ = __builtin_popcountll(s->hash ^ text.hash);
		if (differ > bits) continue;
		same++;
		if (differ < nearest) nearest = differ;
	}
	remember(number, &old, known, text);
	if (same <= copies) return TK_OK;

	static const char detail[] = "The author has sent nearly the same text before.";
	tk_add_label("near-duplicate", 10000);
	tk_detail(detail, sizeof detail - 1);
	return tk_verdict(action, (uint32_t)(64 - nearest) * 10000 / 64, 80, CODE_REPEAT);
}
