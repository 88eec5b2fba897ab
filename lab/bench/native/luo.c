// SPDX-License-Identifier: Apache-2.0
#include "luo.h"
#include <errno.h>
#include <fcntl.h>
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
	RETRIEVE_SESSION = _IO(0xba, 0x01),
	PRESERVE_FD = _IO(0xba, 0x40),
	RETRIEVE_FD = _IO(0xba, 0x41),
	FINISH = _IO(0xba, 0x42),
};

static int request(int fd, unsigned long number, void *argument)
{
	return ioctl(fd, number, argument) < 0 ? -errno : 0;
}

static int session(int device, unsigned long number, const char *name)
{
	struct by_name argument = { .size = sizeof(argument) };
	int error;

	if (strlen(name) >= sizeof(argument.name))
		return -EINVAL;
	memcpy(argument.name, name, strlen(name));
	error = request(device, number, &argument);
	return error ? error : argument.fd;
}

int luo_open(void)
{
	int fd = open("/dev/liveupdate", O_RDWR | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int luo_create(int device, const char *name)
{
	return session(device, CREATE_SESSION, name);
}

int luo_take(int device, const char *name)
{
	return session(device, RETRIEVE_SESSION, name);
}

int luo_preserve(int session, int file, uint64_t token)
{
	struct by_token argument = { .size = sizeof(argument), .fd = file, .token = token };

	return request(session, PRESERVE_FD, &argument);
}

int luo_retrieve(int session, uint64_t token)
{
	struct by_token argument = { .size = sizeof(argument), .token = token };
	int error = request(session, RETRIEVE_FD, &argument);

	return error ? error : argument.fd;
}

int luo_finish(int session)
{
	struct no_argument argument = { .size = sizeof(argument) };

	return request(session, FINISH, &argument);
}
