// SPDX-License-Identifier: Apache-2.0
/* The floor's one session: its name, and its tokens. */
#ifndef LUO_BENCH_SESSION_H
#define LUO_BENCH_SESSION_H

#include <stdint.h>

#define SESSION_NAME "floor"
#define STATE_TOKEN 0x10000u

static inline uint64_t guest_token(unsigned guest, unsigned file)
{
	return guest << 8 | file;
}

#endif
