// SPDX-License-Identifier: Apache-2.0
/*
 * Memory is preserved while guests run, which is the heavy part. Then one thread for each guest records its CPR stream,
 * while the guest still runs. When all threads are done, all guests are stopped, and only the state of their devices is
 * left to save.
 */
#include "update.h"
#include "luo.h"
#include "report.h"
#include "session.h"
#include "streams.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

struct kept {
	ino_t inode;
	uint64_t token;
};

static int session;
static struct state *state;
static pthread_barrier_t all_recorded;
static struct kept kept[MOST_GUESTS][MOST_FILES];
static unsigned kept_files[MOST_GUESTS];

static void preserve(int file, uint64_t token, const char *what)
{
	int error = luo_preserve(session, file, token);

	if (error)
		fail("preserve %s: %s", what, strerror(-error));
}

static uint64_t keep(struct guest *guest, int file)
{
	struct kept *mine = kept[guest->number];
	unsigned *count = &kept_files[guest->number];
	struct stat facts;

	fstat(file, &facts);
	for (unsigned i = 0; i < *count; i++)
		if (mine[i].inode == facts.st_ino)
			return mine[i].token;
	if (*count == MOST_FILES)
		fail("guest %d has more than %d files", guest->number, MOST_FILES);
	mine[*count] = (struct kept){ facts.st_ino, guest_token(guest->number, *count) };
	preserve(file, mine[*count].token, "a file of a guest");
	return mine[(*count)++].token;
}

static void keep_memory(struct guest *guest)
{
	char path[64];
	DIR *directory;
	struct dirent *entry;

	snprintf(path, sizeof(path), "/proc/%d/fd", guest->pid);
	directory = opendir(path);
	if (!directory)
		fail("%s: %s", path, strerror(errno));
	while ((entry = readdir(directory))) {
		char target[300] = "";
		int file;

		if (readlinkat(dirfd(directory), entry->d_name, target, sizeof(target) - 1) < 0 ||
		    strncmp(target, "/memfd:", 7))
			continue;
		file = openat(dirfd(directory), entry->d_name, O_RDWR | O_CLOEXEC);
		if (file < 0)
			fail("%s/%s: %s", path, entry->d_name, strerror(errno));
		keep(guest, file);
		close(file);
	}
	closedir(directory);
}

void prepare_guests(struct guest guest[], unsigned guests)
{
	int device = open_device();
	int file = memfd_create("state", MFD_CLOEXEC);

	if (device < 0)
		fail("/dev/liveupdate: %s", strerror(-device));
	session = luo_create(device, SESSION_NAME);
	if (session < 0)
		fail("create session %s: %s", SESSION_NAME, strerror(-session));
	close(device);
	if (file < 0 || ftruncate(file, sizeof(*state)))
		fail("memfd for the state: %s", strerror(errno));
	state = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, file, 0);
	if (state == MAP_FAILED)
		fail("mmap the state: %s", strerror(errno));
	preserve(file, STATE_TOKEN, "the state");
	close(file);
	for (unsigned i = 0; i < guests; i++)
		keep_memory(&guest[i]);
}

static void *save_guest(void *argument)
{
	struct guest *guest = argument;
	struct guest_state *mine = &state->guest[guest->number];
	int main = guest_listen(guest, "main"), cpr = guest_listen(guest, "cpr");
	int recorded = record_cpr(guest, mine, keep, cpr);

	if (pthread_barrier_wait(&all_recorded) == PTHREAD_BARRIER_SERIAL_THREAD)
		state->suspended_ticks = __rdtsc();
	pthread_barrier_wait(&all_recorded);
	close(recorded);
	record_main(guest, mine, main);
	mine->saved_ticks = __rdtsc();
	return NULL;
}

void save_guests(struct guest guest[], unsigned guests, struct moment since)
{
	pthread_t thread[MOST_GUESTS];

	state->guests = guests;
	pthread_barrier_init(&all_recorded, NULL, guests);
	for (unsigned i = 0; i < guests; i++)
		if (pthread_create(&thread[i], NULL, save_guest, &guest[i]))
			fail("no thread for guest %u", i);
	for (unsigned i = 0; i < guests; i++)
		pthread_join(thread[i], NULL);
	state->ticks_per_us = ticks_per_us(since, moment_now());
}
