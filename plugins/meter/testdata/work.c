// Work of the kinds that rules do, for the meter's benchmarks and differential tests: it needs no host.
#include <stdint.h>

#define EXPORT(name) __attribute__((export_name(name)))

static char text[4096];
static uint32_t numbers[1024];

EXPORT("text") char *text_at(void) { return text; }

static const char *words[] = {
	"winner", "casino", "viagra", "lottery", "bitcoin", "giveaway", "subscribe", "followers", "cheap", "discount",
	"earn money", "click here", "free iphone", "work from home", "crypto", "telegram", "whatsapp", "onlyfans", "jackpot", "refund",
};

// words: how many of 20 words are in the first n bytes of the text, in the simplest way.
EXPORT("words") uint32_t count_words(uint32_t n) {
	uint32_t hits = 0;
	for (uint32_t w = 0; w < sizeof words / sizeof *words; w++) {
		for (uint32_t i = 0; i < n; i++) {
			uint32_t k = 0;
			while (words[w][k] && i + k < n && (text[i + k] | 32) == (words[w][k] | 32))
				k++;
			if (!words[w][k]) {
				hits++;
				break;
			}
		}
	}
	return hits;
}

// hash: FNV-1a of the first n bytes.
EXPORT("hash") uint64_t hash(uint32_t n) {
	uint64_t h = 14695981039346656037u;
	for (uint32_t i = 0; i < n; i++)
		h = (h ^ (uint8_t)text[i]) * 1099511628211u;
	return h;
}

// utf8: the number of code points among the first n bytes that are not letters of ASCII.
EXPORT("utf8") uint32_t strange(uint32_t n) {
	uint32_t found = 0;
	for (uint32_t i = 0; i < n;) {
		uint8_t c = text[i];
		uint32_t size = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
		if (size > 1)
			found++;
		else
			switch (c | 32) {
			case 'a' ... 'z':
				break;
			case ' ' | 32:
			case '.':
			case ',':
				found += 0;
				break;
			default:
				found++;
			}
		i += size;
	}
	return found;
}

static void sort_part(int32_t lo, int32_t hi) {
	while (lo < hi) {
		uint32_t pivot = numbers[(lo + hi) / 2];
		int32_t i = lo, j = hi;
		while (i <= j) {
			while (numbers[i] < pivot)
				i++;
			while (numbers[j] > pivot)
				j--;
			if (i <= j) {
				uint32_t t = numbers[i];
				numbers[i++] = numbers[j];
				numbers[j--] = t;
			}
		}
		sort_part(lo, j);
		lo = i;
	}
}

// sort: sorts n numbers and returns a sum that depends on their order.
EXPORT("sort") uint32_t sort(uint32_t n) {
	uint32_t seed = 1, sum = 0;
	for (uint32_t i = 0; i < n; i++)
		numbers[i] = seed = seed * 1664525 + 1013904223;
	sort_part(0, (int32_t)n - 1);
	for (uint32_t i = 0; i < n; i++)
		sum = sum * 31 + numbers[i];
	return sum;
}

// calls: the worst for a meter, nothing but small calls.
EXPORT("calls") uint32_t calls(uint32_t n) { return n < 2 ? n : calls(n - 1) + calls(n - 2); }
