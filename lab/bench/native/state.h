// SPDX-License-Identifier: Apache-2.0
/*
 * The state that goes through the kexec beside the guests' own files. It is in one memfd, which is preserved before
 * anything stops and written through a mapping until the very end. It has QEMU's output on both channels, the file that
 * came with each piece, and the times. Positions are offsets, because the next kernel maps it somewhere else.
 */
#ifndef LUO_BENCH_STATE_H
#define LUO_BENCH_STATE_H

#include <stdint.h>

#define MOST_GUESTS 8
#define MOST_PIECES 64
#define MOST_FILES 64
#define STATE_BYTES (2u << 20)

/* A piece of the CPR stream as it came out of one recvmsg, with the files beside it. */
struct piece {
	uint32_t bytes;
	uint32_t files;
};

/* One guest. `data` holds its CPR stream and then its main stream. */
struct guest_state {
	uint32_t pieces, files;
	struct piece piece[MOST_PIECES];
	uint64_t token[MOST_FILES];
	uint32_t cpr_bytes, main_bytes;
	uint64_t saved_ticks;
	uint8_t data[STATE_BYTES];
};

struct state {
	double ticks_per_us;
	uint64_t suspended_ticks;
	uint32_t guests;
	struct guest_state guest[MOST_GUESTS];
};

#endif
