/* extism.h: as much of Extism's host functions as the guests here need. Offsets are of memory that Extism's kernel owns: a guest reads
 * and writes it through calls, eight bytes at most at a time. */
#ifndef EXTISM_H
#define EXTISM_H

#include <stdint.h>

#define EX_IMPORT(name) __attribute__((import_module("extism:host/env"), import_name(name)))
#define EX_EXPORT(name) __attribute__((export_name(name), used))

EX_IMPORT("input_length") uint64_t ex_input_length(void);
EX_IMPORT("input_offset") uint64_t ex_input_offset(void);
EX_IMPORT("input_load_u8") uint32_t ex_input_load_u8(uint64_t at);
EX_IMPORT("input_load_u64") uint64_t ex_input_load_u64(uint64_t at);
EX_IMPORT("alloc") uint64_t ex_alloc(uint64_t size);
EX_IMPORT("length") uint64_t ex_length(uint64_t block);
EX_IMPORT("load_u8") uint32_t ex_load_u8(uint64_t at);
EX_IMPORT("load_u64") uint64_t ex_load_u64(uint64_t at);
EX_IMPORT("store_u64") void ex_store_u64(uint64_t at, uint64_t value);
EX_IMPORT("output_set") void ex_output_set(uint64_t block, uint64_t size);
EX_IMPORT("config_get") uint64_t ex_config_get(uint64_t key);

/* ex_answer makes the number of a word the output; without a hit there is none. */
static inline void ex_answer(uint64_t word) {
	uint64_t block = ex_alloc(8);
	ex_store_u64(block, word);
	ex_output_set(block, 8);
}

#endif
