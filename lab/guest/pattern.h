// SPDX-License-Identifier: Apache-2.0
/*
 * How a counting guest uses its memory: the same for every guest and for the checker (lab/test/support/guest-lines.ts).
 * Memory is a row of slices, and each tick looks at one of them, in turn. A slice that is looked at for the n-th time
 * must hold generation n: word i of the whole memory is then start(seed, n) + i * STEP. Every word read goes into a
 * running sum. Then the slice is written again, as generation n + 1. A page may be lost, swapped with another, or as
 * old as the pass before. The guest itself sees that when its turn comes, and the sum is wrong from then on.
 *
 * Words have 32 bits: a guest in 32-bit mode and a checker in JavaScript both count in them.
 */
#ifndef LUO_LAB_PATTERN_H
#define LUO_LAB_PATTERN_H

#include <stdint.h>

#define PATTERN_STEP 0x9e3779b1u
#define PERIOD_NS 250000000u

struct pattern {
	uint32_t *memory;
	uint32_t words; /* of the whole memory */
	uint32_t slice; /* words of one slice; divides the above */
	uint32_t seed;
	uint32_t sum;
};

/* The finalizer of a 32-bit multiplicative hash: neighbouring generations have nothing in common. */
static inline uint32_t pattern_start(uint32_t seed, uint32_t generation)
{
	uint32_t value = seed + generation * 0x85ebca6bu;

	value = (value ^ (value >> 16)) * 0x7feb352du;
	value = (value ^ (value >> 15)) * 0x846ca68bu;
	return value ^ (value >> 16);
}

/* Writes generation 0 everywhere. */
static inline void pattern_fill(struct pattern *pattern)
{
	uint32_t value = pattern_start(pattern->seed, 0);

	for (uint32_t i = 0; i < pattern->words; i++, value += PATTERN_STEP)
		pattern->memory[i] = value;
	pattern->sum = pattern->seed;
}

/*
 * Looks at one slice and writes it again.
 *
 * count: of this tick, from 0.
 * Returns whether every word was what it must be.
 */
static inline int pattern_tick(struct pattern *pattern, uint32_t count)
{
	uint32_t slices = pattern->words / pattern->slice;
	uint32_t first = count % slices * pattern->slice, generation = count / slices;
	uint32_t expected = pattern_start(pattern->seed, generation) + first * PATTERN_STEP;
	uint32_t next = pattern_start(pattern->seed, generation + 1) + first * PATTERN_STEP;
	volatile uint32_t *word = pattern->memory + first;
	uint32_t sum = pattern->sum, wrong = 0;

	for (uint32_t i = 0; i < pattern->slice; i++, expected += PATTERN_STEP, next += PATTERN_STEP) {
		uint32_t found = word[i];

		wrong |= found ^ expected;
		sum = (sum << 5 | sum >> 27) + found;
		word[i] = next;
	}
	pattern->sum = sum;
	return !wrong;
}

#endif
