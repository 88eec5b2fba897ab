// SPDX-License-Identifier: Apache-2.0
#include "talk.h"
#include "log.h"
#include "program.h"
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

#define LINE_BYTES (256u << 10)
#define PIECE_BYTES (256u << 10)
/* Between its bind and its listen a socket refuses, and nothing tells of the second. */
#define REFUSED_MS 1
/* How often a long stretch says how far it is. */
#define SAY_EVERY_MS 10000
/* How often to look who listens while it is a stranger. */
#define STRANGER_MS 5

/* --- sockets ----------------------------------------------------------------------------------- */

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

int connect_to(struct vmm *vmm, const char *path)
{
	char directory[PATH_MAX], what[500], events[4096];
	int length = strrchr(path, '/') - path;
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), fd;
	bool said = false, goes_on = true, changed;

	snprintf(directory, sizeof(directory), "%.*s", length ? length : 1, path);
	snprintf(what, sizeof(what), "listen on %.400s", path);
	if (watch < 0 || inotify_add_watch(watch, directory, IN_CREATE | IN_MOVED_TO) < 0) {
		fail(vmm, "%s cannot be watched: %s", directory, strerror(errno));
		close(watch);
		return -1;
	}
	for (;;) {
		fd = try_to_connect(path, vmm->uid);
		if (fd >= 0 && is_from(fd, vmm->pid))
			break;
		if (fd < 0 && fd != -ENOENT && fd != -ECONNREFUSED && fd != -EAGAIN) {
			fail(vmm, "%s: %s", path, strerror(-fd));
			break;
		}
		if (!said)
			say(vmm->machine, "waits", "for its VMM to %s", what);
		said = true;
		goes_on = wait_a_while(vmm, watch, POLLIN, fd >= 0 ? STRANGER_MS : fd == -ENOENT ? INT_MAX : REFUSED_MS, what, &changed);
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

bool play(struct vmm *vmm, int to, int file, uint64_t offset, uint64_t bytes, const int *attached, unsigned count)
{
	static char data[PIECE_BYTES];
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * MOST_ATTACHED)];
	} control = { .header = { CMSG_LEN(count * sizeof(int)), SOL_SOCKET, SCM_RIGHTS } };
	struct msghdr message = { .msg_control = count ? &control : NULL,
				  .msg_controllen = count ? CMSG_SPACE(count * sizeof(int)) : 0 };

	int64_t said_ms = now_ms();
	uint64_t taken = 0;

	if (count)
		memcpy(CMSG_DATA(&control.header), attached, count * sizeof(int));
	if (count && !bytes)
		return fail(vmm, "there is no byte for descriptors to go with");
	while (bytes) {
		ssize_t got = pread(file, data, bytes < sizeof(data) ? bytes : sizeof(data), offset), sent;
		struct iovec rest = { data, got };

		if (got <= 0)
			return fail(vmm, "the saved state ends at byte %llu", (unsigned long long)offset);
		message.msg_iov = &rest;
		message.msg_iovlen = 1;
		sent = sendmsg(to, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (sent < 0 && errno != EAGAIN && errno != EINTR)
			return fail(vmm, "the VMM does not take its state: %s", strerror(errno));
		if (sent < 0) {
			if (!ready(vmm, to, POLLOUT, "take its state"))
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
		if (taken >= vmm->least_bytes) {
			begin_wait(vmm);
			taken = 0;
		}
		/* Whoever watches the log sees that it goes on. */
		if (now_ms() - said_ms < SAY_EVERY_MS)
			continue;
		said_ms = now_ms();
		say(vmm->machine, "playing", "%llu bytes are left", (unsigned long long)bytes);
	}
	return true;
}

/* --- the monitor ------------------------------------------------------------------------------- */

/* What has come of the monitor: of one machine in this process. */
static char line[LINE_BYTES];
static size_t filled, used;

/* The next line, without its end. NULL: `problem` */
static const char *next_line(struct vmm *vmm, int monitor)
{
	for (;;) {
		char *end = memchr(line + used, '\n', filled - used), *begin = line + used;
		ssize_t got;

		if (end) {
			*end = '\0';
			used = end + 1 - line;
			return begin;
		}
		memmove(line, begin, filled - used);
		filled -= used;
		used = 0;
		if (filled == sizeof(line)) {
			fail(vmm, "a line of the monitor has over %u bytes", LINE_BYTES);
			return NULL;
		}
		if (!ready(vmm, monitor, POLLIN, "answer on its monitor"))
			return NULL;
		got = read(monitor, line + filled, sizeof(line) - filled);
		if (got == 0 || (got < 0 && errno != EAGAIN && errno != EINTR)) {
			fail(vmm, "the VMM hung up its monitor");
			return NULL;
		}
		if (got > 0)
			filled += got;
	}
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool send_command(struct vmm *vmm, int monitor, const char *command)
{
	const char *pieces[] = { command, "\r\n" };

	for (int i = 0; i < 2; i++)
		for (size_t left = strlen(pieces[i]); left;) {
			ssize_t sent = send(monitor, pieces[i] + strlen(pieces[i]) - left, left, MSG_NOSIGNAL);

			if (sent < 0 && errno != EAGAIN && errno != EINTR)
				return fail(vmm, "the VMM hung up its monitor");
			if (sent < 0 && !ready(vmm, monitor, POLLOUT, "read from its monitor"))
				return false;
			left -= sent > 0 ? sent : 0;
		}
	return true;
}

/* The answer to a command. `events`: how many came before it, which may tell of what has changed since it was given. */
static const char *answer_to(struct vmm *vmm, int monitor, const char *command, unsigned *events)
{
	const char *answer;

	*events = 0;
	if (!send_command(vmm, monitor, command))
		return NULL;
	for (; (answer = next_line(vmm, monitor)); ++*events) {
		if (begins(answer, "{\"return\""))
			return answer;
		if (begins(answer, "{\"error\"")) {
			fail(vmm, "QEMU answered %.300s to %.100s", answer, command);
			return NULL;
		}
	}
	return NULL;
}

bool begin_monitor(struct vmm *vmm, int monitor)
{
	const char *greeting = next_line(vmm, monitor);

	if (!greeting)
		return false;
	if (!begins(greeting, "{\"QMP\""))
		return fail(vmm, "a monitor greets with QMP, this one with %.100s", greeting);
	return tell(vmm, monitor, "{\"execute\":\"qmp_capabilities\"}");
}

bool tell(struct vmm *vmm, int monitor, const char *command)
{
	unsigned events;

	return answer_to(vmm, monitor, command, &events);
}

/* Whether one of several texts, with `|` between them, is in an answer. */
static bool has_one_of(const char *answer, const char *texts)
{
	char text[100];

	for (size_t length; *texts; texts += length + (texts[length] == '|')) {
		length = strcspn(texts, "|");
		snprintf(text, sizeof(text), "%.*s", (int)length, texts);
		if (strstr(answer, text))
			return true;
	}
	return false;
}

bool until(struct vmm *vmm, int monitor, const char *wanted, const char *refused, const char *command)
{
	for (;;) {
		unsigned events;
		const char *answer = answer_to(vmm, monitor, command, &events);

		if (!answer)
			return false;
		if (*wanted == '!' ? !has_one_of(answer, wanted + 1) : !!strstr(answer, wanted))
			return true;
		if (*refused && strstr(answer, refused))
			return fail(vmm, "QEMU answered %.300s to %.100s", answer, command);
		/* What has changed since is told by an event, which QEMU may have sent before its answer. */
		if (!events && !next_line(vmm, monitor))
			return false;
	}
}
