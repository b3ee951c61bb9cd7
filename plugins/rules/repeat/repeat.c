/* repeat: stops texts that an author has sent before with a few words changed.
 *
 * Signals: the SimHash of the text (see "hash" in docs/ABI.md), of which near-duplicates differ in few bits, against those
 * of the author's last items. The rule keeps up to 32 of them for each author. Short texts and edits are left alone. See
 * README.md.
 */
#include "ticketing.h"

enum { MOST = 32 };
enum { CODE_REPEAT = 1 };
enum { REFUSED_NUMBER = 1, REFUSED_ACTION };

static int32_t keep = 16;             /* how many texts of an author are remembered */
static int32_t seconds = 7 * 86400;   /* for how long */
static int32_t bits = 18;             /* texts that differ in no more bits are the same */
static int32_t copies = 2;            /* so many are allowed, the first one included */
static int32_t min_bytes = 40;        /* shorter texts are not looked at */
static uint32_t action = TK_HOLD;

/* What is stored under the author's identity: the newest first. */
typedef struct { uint64_t hash, at; } seen;

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

static uint64_t tk_eval_rule(tk_bytes frame) {
	static seen list[MOST + 1];
	tk_bytes author = tk_value(frame, TK_AUTHOR);
	int32_t length = tk_field(TK_TEXT, 0, 0);
	if (author.n == 0 || length < min_bytes || tk_number(frame, TK_REVISION) > 1) return TK_ABSTAIN;

	uint64_t now = (uint64_t)tk_now_ms(), hash = (uint64_t)tk_hash(TK_HASH_SIM, TK_TEXT);
	int32_t size = tk_kv_get(author.p, (int32_t)author.n, list + 1, sizeof list - sizeof *list);
	int32_t known = size < 0 || size > (int32_t)(sizeof list - sizeof *list) ? 0 : size / (int32_t)sizeof *list, same = 1, nearest = 64;
	for (int32_t i = 1; i <= known; i++) {
		if (list[i].at + (uint64_t)seconds * 1000 < now) continue;
		int32_t differ = __builtin_popcountll(list[i].hash ^ hash);
		if (differ > bits) continue;
		same++;
		if (differ < nearest) nearest = differ;
	}
	list[0] = (seen){hash, now};
	int32_t all = known + 1 > keep ? keep : known + 1;
	tk_kv_put(author.p, (int32_t)author.n, list, all * (int32_t)sizeof *list, seconds);
	if (same <= copies) return TK_OK;

	static const char detail[] = "The author has sent nearly the same text before.";
	tk_add_label("near-duplicate", 10000);
	tk_detail(detail, sizeof detail - 1);
	return tk_verdict(action, (uint32_t)(64 - nearest) * 10000 / 64, 80, CODE_REPEAT);
}
