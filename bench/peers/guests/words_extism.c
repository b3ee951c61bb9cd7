/* The rule for Extism, which does all the work itself, in a way that suits this host best. The words come with the configuration and
 * become an automaton at the first call, which the instance keeps. A text is walked in the pieces of eight bytes in which Extism hands it
 * over, without a loop inside of a piece: with a time-out every turn of a loop is dear.
 *
 * State DEAD is inside of a word that is none of ours, START is before a word. What ends a word leads from the state of a whole word of
 * ours to a state for its hit, which nothing leaves, and from all others to START.
 */
#include "extism.h"

enum { WORDS = 64, STATES = 1024, CLASSES = 37, CONFIG = 2048 };
enum { BREAK, DEAD = 0, START, FIRST_HIT = STATES };

static uint16_t next[STATES + WORDS][CLASSES];
static uint8_t class[256]; /* BREAK for what is in no word */
static uint16_t states;
static _Alignas(8) uint8_t spelled[CONFIG];

static void classify(void) {
	for (uint8_t i = 0; i < 26; i++) class['a' + i] = class['A' + i] = 1 + i;
	for (uint8_t i = 0; i < 10; i++) class['0' + i] = 27 + i;
	next[DEAD][BREAK] = next[START][BREAK] = START;
	states = START + 1;
}

/* config reads the configuration's words, which spaces part, and returns their size; 0 for none, or for too many. */
static uint32_t config(void) {
	uint64_t key = ex_alloc(8);
	ex_store_u64(key, 0x7473696c64726f77); /* "wordlist" */
	uint64_t block = ex_config_get(key);
	uint64_t size = block ? ex_length(block) : 0, at = 0;
	if (size > sizeof spelled) return 0;
	for (; at + 8 <= size; at += 8) *(uint64_t *)(spelled + at) = ex_load_u64(block + at);
	for (; at < size; at++) spelled[at] = (uint8_t)ex_load_u8(block + at);
	return (uint32_t)size;
}

/* finish makes what was read since the last space a word. */
static void finish(uint16_t state, uint16_t word) {
	uint16_t hit = FIRST_HIT + word;
	next[state][BREAK] = hit;
	for (uint32_t c = 0; c < CLASSES; c++) next[hit][c] = hit;
}

/* build makes the automaton; it says whether there was room. */
static int build(void) {
	classify();
	uint32_t size = config();
	uint16_t state = START, word = 0;
	for (uint32_t i = 0; i < size; i++) {
		uint8_t c = class[spelled[i]];
		if (c == BREAK) {
			if (word == WORDS) return 0;
			finish(state, word++);
			state = START;
			continue;
		}
		if (!next[state][c]) {
			if (states == STATES) return 0;
			next[states][BREAK] = START;
			next[state][c] = states++;
		}
		state = next[state][c];
	}
	if (state == START || word == WORDS) return 0;
	finish(state, word);
	return 1;
}

static inline uint16_t walk(uint16_t state, uint64_t piece) {
#pragma clang loop unroll(full)
	for (int i = 0; i < 8; i++, piece >>= 8) state = next[state][class[(uint8_t)piece]];
	return state;
}

/* last returns the bytes behind the last whole piece of a text; what is missing to eight bytes is 0, which is in no word. */
static uint64_t last(uint64_t size) {
	uint64_t rest = size % 8;
	if (!rest) return 0;
	if (size > 8) return ex_input_load_u64(size - 8) >> (8 * (8 - rest));
	uint64_t piece = 0;
	for (uint64_t i = 0; i < rest; i++) piece |= (uint64_t)ex_input_load_u8(i) << (8 * i);
	return piece;
}

EX_EXPORT("judge") int32_t judge(void) {
	if (!states && !build()) return 1;
	uint64_t size = ex_input_length();
	uint16_t state = START;
	for (uint64_t at = 0; at + 8 <= size && state < FIRST_HIT; at += 8) state = walk(state, ex_input_load_u64(at));
	if (state < FIRST_HIT) state = walk(state, last(size));
	if (state >= FIRST_HIT) ex_answer((uint64_t)state - FIRST_HIT);
	return 0;
}

/* empty is a rule with nothing to say. */
EX_EXPORT("empty") int32_t empty(void) { return 0; }

/* forever never comes back. */
EX_EXPORT("forever") int32_t forever(void) {
	for (volatile uint32_t turns = 0;; turns++) continue;
}
