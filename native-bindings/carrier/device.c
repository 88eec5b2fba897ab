// SPDX-License-Identifier: Apache-2.0
#include "device.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>

struct by_name {
	uint32_t size;
	int32_t fd;
	char name[64];
};

struct by_token {
	uint32_t size;
	int32_t fd;
	uint64_t token;
};

#define RETRIEVE_SESSION _IO(0xba, 0x01)
#define RETRIEVE_FD _IO(0xba, 0x41)

int open_device(void)
{
	int fd = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int take_session(int device, const char *name)
{
	struct by_name argument = { .size = sizeof(argument) };

	if (strlen(name) >= sizeof(argument.name))
		return -EINVAL;
	memcpy(argument.name, name, strlen(name));
	return ioctl(device, RETRIEVE_SESSION, &argument) < 0 ? -errno : argument.fd;
}

int retrieve_file(int session, uint64_t token)
{
	struct by_token argument = { .size = sizeof(argument), .token = token };

	return ioctl(session, RETRIEVE_FD, &argument) < 0 ? -errno : argument.fd;
}
