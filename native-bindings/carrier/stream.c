// SPDX-License-Identifier: Apache-2.0
#include "stream.h"
#include "log.h"
#include "patience.h"
#include "work.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define PIECE_BYTES (256u << 10)
/* Between its bind and its listen a socket refuses, and nothing tells of the second. */
#define REFUSED_MS 1
/* How often a long stretch says how far it is. */
#define SAY_EVERY_MS 10000
/* How often to look who listens while it is a stranger. */
#define STRANGER_MS 5

/* The connection, and what goes with the first byte of the next stretch. */
static int stream = -1, attached[MOST_ATTACHED];
static unsigned attached_count;

static int try_to_connect(const char *path, uid_t owner)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int there = open(path, O_PATH | O_CLOEXEC), fd = -1, error = there < 0 ? errno : 0;
	struct stat facts;

	/* A user may have put a link to somebody else's socket there, on which root would then be the client. */
	if (!error && (fstat(there, &facts) || !S_ISSOCK(facts.st_mode) || facts.st_uid != owner))
		error = ECONNREFUSED;
	if (!error && (fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0)
		error = errno;
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d", there);
	if (!error && connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		error = errno;
		close(fd);
	}
	close(there);
	return error ? -error : fd;
}

/* Whether a connection leads to the VMM itself. */
static bool is_from(int fd, pid_t pid)
{
	struct ucred peer;
	socklen_t size = sizeof(peer);

	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) && peer.pid == pid;
}

int connect_to(const char *path)
{
	char directory[PATH_MAX], what[500], events[4096];
	int length = strrchr(path, '/') - path;
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), fd;
	bool said = false, goes_on = true, changed;

	snprintf(directory, sizeof(directory), "%.*s", length ? length : 1, path);
	snprintf(what, sizeof(what), "listen on %.400s", path);
	if (watch < 0 || inotify_add_watch(watch, directory, IN_CREATE | IN_MOVED_TO) < 0) {
		fail("%s cannot be watched: %s", directory, strerror(errno));
		close(watch);
		return -1;
	}
	for (;;) {
		fd = try_to_connect(path, work.uid);
		if (fd >= 0 && is_from(fd, work.vmm))
			break;
		if (fd < 0 && fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN) {
			fail("%s: %s", path, strerror(-fd));
			break;
		}
		if (!said)
			say(work.machine->number, "waits", "for its VMM to %s", what);
		said = true;
		goes_on = wait_a_while(watch, POLLIN, fd >= 0 ? STRANGER_MS : fd == -ENOENT ? INT_MAX : REFUSED_MS, what, &changed);
		if (fd >= 0)
			close(fd);
		fd = -1;
		if (!goes_on)
			break;
		while (read(watch, events, sizeof(events)) > 0)
			;
	}
	close(watch);
	return fd < 0 ? -1 : fd;
}

bool send_stretch(const struct instruction *each)
{
	static char data[PIECE_BYTES];
	int file = file_of(each->number[0]);
	uint64_t offset = each->number[1], bytes = each->number[2], taken = 0;
	int64_t said_ms = now_ms();
	unsigned count = attached_count;
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * MOST_ATTACHED)];
	} control = { .header = { CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr message = { .msg_control = count ? &control : NULL,
				  .msg_controllen = count ? CMSG_SPACE(count * sizeof(int)) : 0 };

	attached_count = 0;
	if (count)
		memcpy(CMSG_DATA(&control.header), attached, count * sizeof(int));
	if (count && !bytes)
		return fail("there is no byte for descriptors to go with");
	while (bytes) {
		ssize_t got = pread(file, data, bytes < sizeof(data) ? bytes : sizeof(data), offset), sent;
		struct iovec rest = { data, got };

		if (got == 0 && each->number[2] == TO_ITS_END && offset > each->number[1])
			return true;
		if (got <= 0)
			return fail("the saved state ends at byte %llu", (unsigned long long)offset);
		message.msg_iov = &rest;
		message.msg_iovlen = 1;
		sent = sendmsg(stream, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return fail("the VMM does not take its state: %s", strerror(errno));
		if (sent < 0) {
			if (!ready(stream, POLLOUT, "take its state"))
				return false;
			continue;
		}
		/* Descriptors go with the first byte, once. */
		message.msg_control = NULL;
		message.msg_controllen = 0;
		offset += sent;
		bytes -= sent;
		taken += sent;
		/* A VMM that takes a byte now and then does not go on. */
		if (taken >= work.least_bytes) {
			begin_wait();
			taken = 0;
		}
		/* Whoever watches the log sees that it goes on. */
		if (now_ms() - said_ms < SAY_EVERY_MS)
			continue;
		said_ms = now_ms();
		say(work.machine->number, "playing", "%llu bytes are left", (unsigned long long)bytes);
	}
	return true;
}

bool connect_stream(const struct instruction *each)
{
	stream = connect_to(each->text[0]);
	return stream >= 0;
}

bool attach_file(const struct instruction *each)
{
	attached[attached_count++] = file_of(each->number[0]);
	return true;
}

bool shut_stream(const struct instruction *each)
{
	(void)each;
	shutdown(stream, SHUT_WR);
	return true;
}

bool close_stream(const struct instruction *each)
{
	(void)each;
	close(stream);
	stream = -1;
	return true;
}
