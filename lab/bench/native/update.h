// SPDX-License-Identifier: Apache-2.0
/* Guests through a kexec: saving all of them before it, bringing all of them back after it. */
#ifndef LUO_BENCH_UPDATE_H
#define LUO_BENCH_UPDATE_H

#include "clock.h"
#include "guest.h"

/* What happened to one guest after the kexec, in ticks. */
struct resumed {
	uint64_t started, loaded, running;
};

/* What happened to all of them: the state of before the kexec, and two moments after it. */
struct update {
	struct state *state;
	uint64_t retrieved;
	struct resumed guest[MOST_GUESTS];
};

/* Preserves what can be preserved while the guests run. Call it once a boot, before save_guests. */
void prepare_guests(struct guest guest[], unsigned guests);
/*
 * Stops and saves all guests at once. Nothing of them may be lost from here on but by a kexec.
 *
 * since: a moment of this boot, the earlier the better, to know the speed of the time stamp counter by.
 */
void save_guests(struct guest guest[], unsigned guests, struct moment since);
/* Brings all guests back that the kernel before saved; they run again. */
void restore_guests(struct guest guest[], unsigned guests, const char *template, unsigned memory_mib,
		    struct update *update);

#endif
