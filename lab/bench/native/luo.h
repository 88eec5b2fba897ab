// SPDX-License-Identifier: Apache-2.0
/*
 * The rest of the kernel's live update interface: what the carrier's device.h has not, because the carrier only takes.
 * The requests are those of the kernel's include/uapi/linux/liveupdate.h, repeated here because headers of older kernels
 * lack them. Each function returns a descriptor or 0, or a negative errno.
 */
#ifndef LUO_BENCH_LUO_H
#define LUO_BENCH_LUO_H

#include "device.h"

/* Creates an outgoing session. -EEXIST: the name is taken. */
int luo_create(int device, const char *name);
/* Preserves a file. -EBUSY: it is preserved already, in whatever session. */
int luo_preserve(int session, int file, uint64_t token);
int luo_finish(int session);

#endif
