// SPDX-License-Identifier: Apache-2.0
/*
 * What the carrier asks of /dev/liveupdate (the kernel's include/uapi/linux/liveupdate.h, repeated here because headers of
 * older kernels lack it). Each returns a close-on-exec descriptor, or a negative errno.
 */
#ifndef CARRIER_DEVICE_H
#define CARRIER_DEVICE_H

#include <stdint.h>

/* -ENOENT: this kernel has none. -EBUSY: somebody else has it open. */
int open_device(void);
/* -ENOENT: no incoming session has that name, of at most 63 bytes. */
int take_session(int device, const char *name);
/* -ENOENT: the session has no such token. */
int retrieve_file(int session, uint64_t token);

#endif
