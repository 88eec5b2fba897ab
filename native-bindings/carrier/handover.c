// SPDX-License-Identifier: Apache-2.0
#include "handover.h"
#include "device.h"
#include "log.h"
#include "setup.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Where the agent puts the program: `programToken` of liveupdate/tokens.ts. */
#define PROGRAM_TOKEN 0xffffffffffff4000ull
/* The index session, by its name and by its former one. */
static const char *const index_names[] = { "luo-console", "luo-agent" };

static uint8_t program[PROGRAM_HEADER_BYTES + MOST_BODY_BYTES];
/* What was taken of the kernel. The program has numbers of its own for them: places in here. */
static struct {
	const char *name;
	int fd;
} taken[MOST_SESSIONS + sizeof(index_names) / sizeof(index_names[0])];
static int sessions[MOST_SESSIONS];
/* The program, once it has been looked at. */
static struct part whole;

/* Reads a program and looks at it. Returns what is wrong, or NULL. */
static const char *read_program(int file, struct part *part)
{
	static char why[200];
	size_t bytes = 0;
	ssize_t got;
	const char *problem;

	while (bytes < sizeof(program) && (got = pread(file, program + bytes, sizeof(program) - bytes, bytes)) > 0)
		bytes += got;
	problem = check_program(program, bytes, part);
	if (!problem)
		return NULL;
	snprintf(why, sizeof(why), "the resume program cannot be used: %s", problem);
	return why;
}

/* Takes a session, unless it was. One that cannot be taken costs only its machines. Returns its place in `taken`. */
static int take(int device, const char *name, unsigned *count)
{
	for (unsigned i = 0; i < *count; i++)
		if (!strcmp(taken[i].name, name))
			return i;
	taken[*count].name = name;
	taken[*count].fd = take_session(device, name);
	if (taken[*count].fd < 0)
		say(ALL, "problem", "session %s: %s", name, strerror(-taken[*count].fd));
	return (*count)++;
}

static int retrieve(const struct instruction *each)
{
	int session = sessions[each->number[0]];
	int file = taken[session].fd < 0 ? -ENOENT : retrieve_file(taken[session].fd, each->number[1]);

	if (file < 0)
		say(ALL, "problem", "token %#llx of session %s: %s", (unsigned long long)each->number[1], taken[session].name,
		    strerror(-file));
	else
		say(ALL, "file", "token %#llx of session %s", (unsigned long long)each->number[1], taken[session].name);
	return file;
}

/* Goes through the instructions outside of machines. `given`: the first of files that are there already, or -1. */
static void begin(struct part part, int given, struct handover *all)
{
	struct instruction each;

	while (next_instruction(&part, &each)) {
		switch (each.code) {
		case SESSION:
			break;
		case FETCH:
			all->files[all->file_count] = given < 0 ? retrieve(&each) : given + (int)all->file_count;
			all->file_count++;
			break;
		case MACHINE:
			all->machines[all->machine_count] = (struct machine){ .number = all->machine_count,
									      .session = each.text[0],
									      .part = { part.at, part.at + each.number[2] },
									      .mark_file = all->files[each.number[0]],
									      .mark_offset = each.number[1] };
			all->machine_count++;
			part.at += each.number[2];
			break;
		case TOGETHER:
			all->together = each.number[0];
			break;
		default:
			set_up_more(&each);
			break;
		}
	}
}

/* Finds the program in the sessions of the index's names. Returns its file, or a negative errno. */
static int find_program(int device, unsigned *count)
{
	int file = -ENOENT;

	for (unsigned i = 0; i < sizeof(index_names) / sizeof(index_names[0]) && file < 0; i++) {
		int session = take_session(device, index_names[i]);

		if (session < 0)
			continue;
		/* Kept in any case: the agent needs it. */
		taken[*count].name = index_names[i];
		taken[(*count)++].fd = session;
		file = retrieve_file(session, PROGRAM_TOKEN);
	}
	return file;
}

const char *take_sessions(int device, struct handover *handover)
{
	int file = find_program(device, &handover->session_count);
	struct part part;
	struct instruction each;
	unsigned number = 0;
	const char *problem;

	if (file < 0)
		return handover->session_count ? "the index session has no resume program" : "no index session was handed over";
	problem = read_program(file, &whole);
	close(file);
	for (part = whole; !problem && next_instruction(&part, &each);)
		if (each.code == SESSION)
			sessions[number++] = take(device, each.text[0], &handover->session_count);
		else if (each.code == MACHINE)
			part.at += each.number[2];
	return problem;
}

void take_files(struct handover *handover)
{
	begin(whole, -1, handover);
}

const char *use_given(int file, int first_file, struct handover *handover)
{
	const char *problem = read_program(file, &whole);

	if (!problem)
		begin(whole, first_file, handover);
	return problem;
}
