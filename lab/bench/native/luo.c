// SPDX-License-Identifier: Apache-2.0
#include "luo.h"
#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>

struct by_name {
	uint32_t size;
	int32_t fd;
	uint8_t name[64];
};

struct by_token {
	uint32_t size;
	int32_t fd;
	uint64_t token;
};

struct no_argument {
	uint32_t size;
	uint32_t reserved;
};

enum {
	CREATE_SESSION = _IO(0xba, 0x00),
	PRESERVE_FD = _IO(0xba, 0x40),
	FINISH = _IO(0xba, 0x42),
};

static int request(int fd, unsigned long number, void *argument)
{
	return ioctl(fd, number, argument) < 0 ? -errno : 0;
}

int luo_create(int device, const char *name)
{
	struct by_name argument = { .size = sizeof(argument) };
	int error;

	if (strlen(name) >= sizeof(argument.name))
		return -EINVAL;
	memcpy(argument.name, name, strlen(name));
	error = request(device, CREATE_SESSION, &argument);
	return error ? error : argument.fd;
}

int luo_preserve(int session, int file, uint64_t token)
{
	struct by_token argument = { .size = sizeof(argument), .fd = file, .token = token };

	return request(session, PRESERVE_FD, &argument);
}

int luo_finish(int session)
{
	struct no_argument argument = { .size = sizeof(argument) };

	return request(session, FINISH, &argument);
}
