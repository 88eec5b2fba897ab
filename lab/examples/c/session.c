// SPDX-License-Identifier: Apache-2.0
/*
 * See session.h. Numbers and layout are those of include/uapi/linux/liveupdate.h, which is newer than the headers
 * that come with most C libraries.
 */
#include "session.h"

#include <errno.h>
#include <sys/ioctl.h>

#define LIVEUPDATE_SESSION_PRESERVE_FD _IO(0xBA, 0x40)
#define LIVEUPDATE_SESSION_RETRIEVE_FD _IO(0xBA, 0x41)

/* `fd` goes in with the first request and comes out of the second. */
struct file_by_token {
	uint32_t size;
	int32_t fd;
	uint64_t token __attribute__((aligned(8)));
};

_Static_assert(sizeof(struct file_by_token) == 16, "as the kernel has it");

int session_preserve(int session, uint64_t token, int file)
{
	struct file_by_token request = { .size = sizeof(request), .fd = file, .token = token };

	return ioctl(session, LIVEUPDATE_SESSION_PRESERVE_FD, &request) ? -errno : 0;
}

int session_retrieve(int session, uint64_t token, int *file)
{
	struct file_by_token request = { .size = sizeof(request), .fd = -1, .token = token };

	if (ioctl(session, LIVEUPDATE_SESSION_RETRIEVE_FD, &request))
		return -errno;
	*file = request.fd;
	return 0;
}
