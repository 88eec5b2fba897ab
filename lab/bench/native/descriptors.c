// SPDX-License-Identifier: Apache-2.0
/*
 * Preserves and retrieves many small memfds as fast as C can, for comparison.
 *
 *     descriptors preserve COUNTxTIMES...   before the kexec; then waits, because its end would undo it
 *     descriptors retrieve COUNTxTIMES...   after it
 *
 * COUNT descriptors go into a separate session, TIMES times over. For each session it prints one line,
 * `COUNT MICROSECONDS`: the requests alone, without making the files and the session. At the end, `done`.
 */
#include "luo.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static _Noreturn void fail(const char *what, int error)
{
	fprintf(stderr, "descriptors: %s: %s\n", what, strerror(error));
	exit(1);
}

static double now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1e6 + time.tv_nsec / 1e3;
}

static int one_page(void)
{
	int file = memfd_create("bench", MFD_CLOEXEC);

	if (file < 0 || ftruncate(file, PAGE) || pwrite(file, "x", 1, 0) != 1)
		fail("memfd", errno);
	return file;
}

static double preserve(int device, const char *name, int *file, unsigned count)
{
	int session = luo_create(device, name), error = 0;
	double began;

	if (session < 0)
		fail(name, -session);
	for (unsigned i = 0; i < count; i++)
		file[i] = one_page();
	began = now_us();
	for (unsigned i = 0; i < count && !error; i++)
		error = luo_preserve(session, file[i], i);
	began = now_us() - began;
	if (error)
		fail("preserve", -error);
	/* The session has them now, and stays open until the end. */
	for (unsigned i = 0; i < count; i++)
		close(file[i]);
	return began;
}

static double retrieve(int device, const char *name, int *file, unsigned count)
{
	int session = take_session(device, name), error = 0;
	double began;

	if (session < 0)
		fail(name, -session);
	began = now_us();
	for (unsigned i = 0; i < count && !error; i++)
		error = (file[i] = retrieve_file(session, i)) < 0 ? -file[i] : 0;
	began = now_us() - began;
	if (error)
		fail("retrieve", error);
	for (unsigned i = 0; i < count; i++)
		close(file[i]);
	if ((error = -luo_finish(session)))
		fail("finish", error);
	close(session);
	return began;
}

int main(int count, char *arguments[])
{
	int preserving = count > 1 && !strcmp(arguments[1], "preserve");
	int device = open_device();
	struct rlimit files;

	if (count < 3 || (!preserving && strcmp(arguments[1], "retrieve"))) {
		fprintf(stderr, "usage: descriptors preserve|retrieve COUNTxTIMES...\n");
		return 2;
	}
	if (device < 0)
		fail("/dev/liveupdate", -device);
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	for (int i = 2; i < count; i++) {
		unsigned descriptors, times;

		if (sscanf(arguments[i], "%ux%u", &descriptors, &times) != 2 || !descriptors) {
			fprintf(stderr, "descriptors: '%s': expected COUNTxTIMES\n", arguments[i]);
			return 2;
		}
		for (unsigned j = 0; j < times; j++) {
			int *file = calloc(descriptors, sizeof(*file));
			char name[64];
			double us;

			snprintf(name, sizeof(name), "c-%u-%u", descriptors, j);
			us = (preserving ? preserve : retrieve)(device, name, file, descriptors);
			printf("%u %.1f\n", descriptors, us);
			free(file);
		}
	}
	close(device);
	puts("done");
	fflush(stdout);
	while (preserving)
		pause();
}
