// SPDX-License-Identifier: Apache-2.0
#include "guest.h"
#include "report.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST_ARGUMENTS 80
#define INCOMING \
	"{\"channel-type\":\"%s\",\"addr\":{\"transport\":\"socket\",\"type\":\"unix\",\"path\":\"" RUN_DIRECTORY \
	"/%d.%s\"}}"

static struct sockaddr_un address_of(const struct guest *guest, const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };

	snprintf(address.sun_path, sizeof(address.sun_path), RUN_DIRECTORY "/%d.%s", guest->number, name);
	return address;
}

/* Puts a number in place of each `mark` in a line. */
static void substitute(char *line, size_t size, const char *mark, unsigned value)
{
	char *at;

	while ((at = strstr(line, mark))) {
		char rest[512];

		snprintf(rest, sizeof(rest), "%s", at + strlen(mark));
		snprintf(at, size - (at - line), "%u%s", value, rest);
	}
}

static int read_arguments(char *arguments[], const char *template, int number, unsigned memory_mib)
{
	FILE *file = fopen(template, "re");
	char line[512];
	int count = 0;

	if (!file)
		fail("%s: %s", template, strerror(errno));
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = '\0';
		if (count == MOST_ARGUMENTS)
			fail("%s: more than %d arguments", template, MOST_ARGUMENTS);
		substitute(line, sizeof(line), "@guest@", number);
		substitute(line, sizeof(line), "@memory@", memory_mib);
		arguments[count++] = strdup(line);
	}
	fclose(file);
	return count;
}

static void become_qemu(char *arguments[])
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC), console = open("/dev/console", O_WRONLY | O_CLOEXEC);

	setsid();
	dup2(nothing, 0);
	dup2(nothing, 1);
	/* QEMU is silent unless something is wrong. */
	dup2(console >= 0 ? console : nothing, 2);
	execv(arguments[0], arguments);
	_exit(127);
}

void guest_start(struct guest *guest, const char *template, int number, unsigned memory_mib, bool incoming)
{
	static const char *const sockets[] = { "qmp", "cpr", "main" };
	char *arguments[MOST_ARGUMENTS + 6];
	char main[200], cpr[200];
	int count = read_arguments(arguments, template, number, memory_mib), given = count;

	*guest = (struct guest){ .number = number };
	for (int i = 0; i < 3; i++)
		unlink(address_of(guest, sockets[i]).sun_path);
	if (incoming) {
		snprintf(main, sizeof(main), INCOMING, "main", number, "main");
		snprintf(cpr, sizeof(cpr), INCOMING, "cpr", number, "cpr");
		arguments[count++] = "-S";
		arguments[count++] = "-incoming";
		arguments[count++] = main;
		arguments[count++] = "-incoming";
		arguments[count++] = cpr;
	}
	arguments[count] = NULL;
	guest->pid = fork();
	if (guest->pid < 0)
		fail("fork: %s", strerror(errno));
	if (guest->pid == 0)
		become_qemu(arguments);
	guest->pidfd = syscall(SYS_pidfd_open, guest->pid, 0);
	if (guest->pidfd < 0)
		fail("pidfd_open %d: %s", guest->pid, strerror(errno));
	while (given)
		free(arguments[--given]);
}

static int try_connect(const struct sockaddr_un *address)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int error;

	if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		return fd;
	error = errno;
	close(fd);
	return -error;
}

int guest_connect(const struct guest *guest, const char *name)
{
	struct sockaddr_un address = address_of(guest, name);
	int watch = inotify_init1(IN_CLOEXEC), fd;

	if (watch < 0 || inotify_add_watch(watch, RUN_DIRECTORY, IN_CREATE) < 0)
		fail("inotify on " RUN_DIRECTORY ": %s", strerror(errno));
	while ((fd = try_connect(&address)) < 0) {
		struct pollfd ready[] = { { guest->pidfd, POLLIN, 0 }, { watch, POLLIN, 0 } };
		/* Between its bind and its listen a socket refuses, and nothing tells of the second. */
		int timeout = fd == -ECONNREFUSED ? 1 : -1;
		char events[4096];

		if (fd != -ENOENT && fd != -ECONNREFUSED)
			fail("%s: %s", address.sun_path, strerror(-fd));
		poll(ready, 2, timeout);
		if (ready[0].revents)
			fail("the QEMU of guest %d ended before it listened on %s", guest->number, address.sun_path);
		if (ready[1].revents && read(watch, events, sizeof(events)) < 0)
			fail("inotify: %s", strerror(errno));
	}
	close(watch);
	return fd;
}

int guest_listen(const struct guest *guest, const char *name)
{
	struct sockaddr_un address = address_of(guest, name);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	unlink(address.sun_path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) || listen(fd, 1))
		fail("%s: %s", address.sun_path, strerror(errno));
	return fd;
}

void guest_end(struct guest *guest)
{
	qmp_end(&guest->qmp);
	kill(guest->pid, SIGKILL);
	waitpid(guest->pid, NULL, 0);
	close(guest->pidfd);
}
