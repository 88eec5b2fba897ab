// SPDX-License-Identifier: Apache-2.0
/*
 * The kernel's live update interface, with one function for each request and nothing more. The requests are those of
 * the kernel's include/uapi/linux/liveupdate.h, repeated here because headers of older kernels lack them. Each function
 * returns a descriptor or 0, or a negative errno.
 */
#ifndef LUO_BENCH_LUO_H
#define LUO_BENCH_LUO_H

#include <stdint.h>

/* Opens /dev/liveupdate. -EBUSY: somebody else has it open. */
int luo_open(void);
/* Creates an outgoing session. -EEXIST: the name is taken. */
int luo_create(int device, const char *name);
/* Takes an incoming session. -ENOENT: no session has that name. */
int luo_take(int device, const char *name);
/* Preserves a file. -EBUSY: it is preserved already, in whatever session. */
int luo_preserve(int session, int file, uint64_t token);
/* Retrieves a file. -ENOENT: no such token. */
int luo_retrieve(int session, uint64_t token);
int luo_finish(int session);

#endif
