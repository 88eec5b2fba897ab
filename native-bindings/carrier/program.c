// SPDX-License-Identifier: Apache-2.0
#include "program.h"
#include "sha256.h"
#include <limits.h>
#include <linux/module.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

/* Where an instruction may stand. */
enum place { OUTSIDE, INSIDE };

static const struct form {
	enum code code;
	const char *name;
	uint8_t numbers, texts;
	enum place place;
} forms[] = {
	{ SESSION, "session", 0, 1, OUTSIDE },
	{ FETCH, "file", 2, 0, OUTSIDE },
	{ LOOPBACK, "loopback", 0, 0, OUTSIDE },
	{ WRITABLE, "writable", 0, 0, OUTSIDE },
	{ NODE, "node", 3, 1, INSIDE },
	{ MACHINE, "machine", 3, 1, OUTSIDE },
	{ TOGETHER, "together", 1, 0, OUTSIDE },
	{ DIRECTORY, "directory", 3, 1, INSIDE },
	{ USER, "user", 2, 0, INSIDE },
	{ GROUP, "group", 1, 0, INSIDE },
	{ LIMIT, "limit", 3, 0, INSIDE },
	{ VARIABLE, "variable", 0, 1, INSIDE },
	{ STAND, "stand", 0, 1, INSIDE },
	{ UMASK, "umask", 1, 0, INSIDE },
	{ WORD, "word", 0, 1, INSIDE },
	{ HAND, "hand", 1, 0, INSIDE },
	{ START, "start", 0, 1, INSIDE },
	{ MOUNTED, "mounted", 1, 1, INSIDE },
	{ PRESENT, "present", 1, 1, INSIDE },
	{ INTERFACE, "interface", 1, 1, INSIDE },
	{ PATIENCE, "patience", 3, 0, INSIDE },
	{ RIGHTS, "rights", 3, 0, INSIDE },
	{ NO_NEW_PRIVILEGES, "noNewPrivileges", 0, 0, INSIDE },
	{ MODULE, "module", 1, 2, INSIDE },
	{ CONNECT, "connect", 0, 1, INSIDE },
	{ ATTACH, "attach", 1, 0, INSIDE },
	{ PLAY, "play", 3, 0, INSIDE },
	{ SHUT, "shut", 0, 0, INSIDE },
	{ CLOSE, "close", 0, 0, INSIDE },
	{ MONITOR, "monitor", 0, 1, INSIDE },
	{ TELL, "tell", 0, 1, INSIDE },
	{ UNTIL, "until", 0, 3, INSIDE },
	{ MARK, "mark", 1, 0, INSIDE },
	{ NOTE, "note", 0, 1, INSIDE },
};

#define FORMS (sizeof(forms) / sizeof(forms[0]))
#define HEAD_BYTES 8

static uint32_t u32_at(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t u64_at(const uint8_t *at)
{
	return u32_at(at) | (uint64_t)u32_at(at + 4) << 32;
}

static const struct form *form_of(uint32_t code)
{
	for (size_t i = 0; i < FORMS; i++)
		if (forms[i].code == code)
			return &forms[i];
	return NULL;
}

/* Takes an instruction apart. Returns what is wrong with it, or NULL. */
static const char *take(struct part *part, struct instruction *instruction)
{
	size_t left = part->end - part->at, bytes, padded;
	const uint8_t *at = part->at + HEAD_BYTES;
	const struct form *form;

	if (left < HEAD_BYTES)
		return "it ends within an instruction";
	form = form_of(u32_at(part->at));
	bytes = u32_at(part->at + 4);
	if (!form)
		return "it has an instruction that there is not";
	if (bytes > left - HEAD_BYTES)
		return "an instruction reaches beyond the end";
	padded = (bytes + 7) / 8 * 8;
	if (padded > left - HEAD_BYTES || bytes < 8u * form->numbers)
		return "an instruction has not the length it should have";
	*instruction = (struct instruction){ .code = form->code, .name = form->name };
	part->at = at + padded;
	for (int i = 0; i < form->numbers; i++, at += 8, bytes -= 8)
		instruction->number[i] = u64_at(at);
	for (int i = 0; i < form->texts; i++) {
		size_t length = strnlen((const char *)at, bytes);

		if (length == bytes)
			return "a text has no end";
		instruction->text[i] = (const char *)at;
		at += length + 1;
		bytes -= length + 1;
	}
	return bytes ? "an instruction is longer than it should be" : NULL;
}

bool next_instruction(struct part *part, struct instruction *instruction)
{
	return part->at < part->end && !take(part, instruction);
}

/* How many there are of what is counted, in the program and in the machine that is looked at. */
struct counts {
	uint32_t sessions, files, machines;
	uint32_t words, variables, groups, handed, attached;
	bool patient, started, connected, monitored;
};

static bool is_path(const char *text)
{
	return text[0] == '/' && text[1];
}

/* A path of a Unix socket. It may be longer than an address: it is connected to by what is opened there. */
static bool is_socket_path(const char *text)
{
	return is_path(text) && strlen(text) < PATH_MAX;
}

static bool is_id(uint64_t number)
{
	/* The last one stands for "none" in the kernel's calls. */
	return number < UINT32_MAX;
}

/* What a machine waits for before its VMM is started: a path, or a network interface. */
static const char *check_need(const struct instruction *each, const struct counts *counts)
{
	const char *text = each->text[0];
	bool sound = each->code == INTERFACE ? *text && strlen(text) < IFNAMSIZ && !strchr(text, '/')
					     : is_path(text) && strlen(text) < PATH_MAX;

	return !counts->started && sound && each->number[0] && each->number[0] <= LONGEST_WAIT_S
		       ? NULL
		       : "a machine waits too late, too long, or for something that cannot be";
}

static const char *check_outside(const struct instruction *each, struct counts *counts)
{
	switch (each->code) {
	case SESSION:
		if (counts->sessions++ >= MOST_SESSIONS || !*each->text[0] || strlen(each->text[0]) > 63)
			return "there are too many sessions, or one has no name that the kernel takes";
		return NULL;
	case FETCH:
		if (counts->files++ >= MOST_FILES || each->number[0] >= counts->sessions)
			return "there are too many files, or one is of a session that there is not";
		return NULL;
	case TOGETHER:
		return each->number[0] ? NULL : "no machine could be started";
	default:
		return NULL;
	}
}

static const char *check_inside(const struct instruction *each, struct counts *counts)
{
	const uint64_t *number = each->number;

	switch (each->code) {
	case DIRECTORY:
		return is_path(each->text[0]) && number[0] <= 07777 && is_id(number[1]) && is_id(number[2])
			       ? NULL
			       : "a directory has no path, mode or owner that can be";
	case USER:
		return is_id(number[0]) && is_id(number[1]) ? NULL : "a user has no number that can be";
	case GROUP:
		return counts->groups++ < MOST_GROUPS && is_id(number[0]) ? NULL : "there are too many groups, or one is no number";
	case MODULE:
		return !counts->started && is_path(each->text[0]) && !(number[0] & ~(uint64_t)MODULE_INIT_COMPRESSED_FILE)
			       ? NULL
			       : "a module is loaded too late, has no path, or is loaded in another way than there is";
	case RIGHTS:
		/* The kernel has no others (`cap_ambient_invariant_ok`). */
		return number[2] & ~number[1] ? "an ambient capability is not inheritable" : NULL;
	case LIMIT:
		return number[0] < RLIM_NLIMITS && number[1] <= number[2] ? NULL : "a limit is none that there is";
	case VARIABLE:
		return counts->variables++ < MOST_VARIABLES && strchr(each->text[0], '=') ? NULL : "a variable has no value";
	case STAND:
		return each->text[0][0] == '/' ? NULL : "a working directory is no path";
	case UMASK:
		return number[0] <= 0777 ? NULL : "a umask is none";
	case WORD:
		return counts->words++ < MOST_WORDS ? NULL : "a command line has too many words";
	case HAND:
		return counts->handed++ < MOST_HANDED && number[0] < counts->files ? NULL : "a file to hand over is not there";
	case START:
		if (counts->started || !counts->patient || !is_path(each->text[0]))
			return "a machine is started twice or without patience, or its program is no path";
		counts->started = true;
		return NULL;
	case NODE:
		return is_path(each->text[0]) && !strstr(each->text[0], "/../") && number[0] <= 0777 && is_id(number[1]) && is_id(number[2])
			       ? NULL
			       : "a device node has no path, mode or owner that can be";
	case MOUNTED:
	case PRESENT:
	case INTERFACE:
		return check_need(each, counts);
	case CONNECT:
		counts->connected = true;
		return counts->started && is_socket_path(each->text[0]) ? NULL : "a connection is made to no socket";
	case ATTACH:
		return counts->attached++ < MOST_ATTACHED && number[0] < counts->files ? NULL : "a file to send is not there";
	case PLAY:
		counts->attached = 0;
		return counts->connected && number[0] < counts->files && number[1] <= INT64_MAX && number[2] <= INT64_MAX - number[1]
			       ? NULL
			       : "a stretch to play is of no file, or there is no connection";
	case SHUT:
	case CLOSE:
		return counts->connected ? NULL : "a connection ends that there is not";
	case MONITOR:
		counts->monitored = true;
		return counts->started && is_socket_path(each->text[0]) ? NULL : "a monitor is no socket";
	case TELL:
	case UNTIL:
		return counts->monitored ? NULL : "a monitor is told something that there is not";
	case PATIENCE:
		counts->patient = true;
		return number[0] && number[0] <= number[1] && number[1] <= LONGEST_WAIT_S && number[2]
			       ? NULL
			       : "there is no such patience with a VMM";
	case MARK:
		return number[0] <= 2 ? NULL : "a mark is none that there is";
	default:
		return NULL;
	}
}

static const char *check_body(struct part body)
{
	struct counts counts = { 0 };
	struct part whole = body;

	while (whole.at < whole.end) {
		struct instruction each;
		/* The end of the machine that is looked at; NULL outside. */
		const uint8_t *end = NULL;
		const char *problem = take(&whole, &each);

		if (problem)
			return problem;
		if (form_of(each.code)->place == INSIDE)
			return "an instruction of a machine stands outside of one";
		problem = check_outside(&each, &counts);
		if (problem)
			return problem;
		if (each.code != MACHINE)
			continue;
		if (counts.machines++ >= MOST_MACHINES || each.number[0] >= counts.files || each.number[1] > INT64_MAX ||
		    each.number[2] > (uint64_t)(whole.end - whole.at))
			return "there are too many machines, or one has no end or no file for its mark";
		end = whole.at + each.number[2];
		counts = (struct counts){ .sessions = counts.sessions, .files = counts.files, .machines = counts.machines };
		for (struct part own = { whole.at, end }; own.at < end; whole.at = own.at) {
			problem = take(&own, &each);
			if (!problem && form_of(each.code)->place == OUTSIDE)
				problem = "an instruction stands inside a machine that may not";
			if (!problem)
				problem = check_inside(&each, &counts);
			if (problem)
				return problem;
		}
	}
	return NULL;
}

const char *check_program(const uint8_t *data, size_t bytes, struct part *part)
{
	static const uint8_t nothing[16];
	uint8_t digest[32];
	struct part body;
	const char *problem;
	uint32_t length;

	if (bytes < PROGRAM_HEADER_BYTES || memcmp(data, "LUORESUM", 8))
		return "it is no resume program";
	if (u32_at(data + 8) != PROGRAM_FORMAT)
		return "it is of another format";
	length = u32_at(data + 12);
	if (length > MOST_BODY_BYTES || length > bytes - PROGRAM_HEADER_BYTES || memcmp(data + 48, nothing, sizeof(nothing)))
		return "it is cut off, or its head is damaged";
	sha256(data + 8, 8, data + PROGRAM_HEADER_BYTES, length, digest);
	if (memcmp(digest, data + 16, sizeof(digest)))
		return "its digest is another";
	body = (struct part){ data + PROGRAM_HEADER_BYTES, data + PROGRAM_HEADER_BYTES + length };
	problem = check_body(body);
	if (!problem)
		*part = body;
	return problem;
}

void print_table(void)
{
	for (size_t i = 0; i < FORMS; i++)
		printf("%d %s %d %d\n", forms[i].code, forms[i].name, forms[i].numbers, forms[i].texts);
}
