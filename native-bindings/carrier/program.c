// SPDX-License-Identifier: Apache-2.0
#include "program.h"
#include <ctype.h>
#include <limits.h>
#include <linux/module.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#define HEAD_BYTES 8

static const struct form {
	const char *name;
	enum place place;
	/* Lower case: a number. Upper case: a text. */
	const char *values;
	enum been after, before, brings;
	uint32_t most;
	bool of_play;
} forms[CODES] = {
#define FORM(NAME, name, code, place, ...) [code] = { #name, place, __VA_ARGS__ },
#define FORM_WITHOUT_ACT(NAME, name, code, place, act, ...) FORM(NAME, name, code, place, __VA_ARGS__)
	OUTSIDE_INSTRUCTIONS(FORM) MACHINE_INSTRUCTIONS(FORM_WITHOUT_ACT)
};

static uint32_t u32_at(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t u64_at(const uint8_t *at)
{
	return u32_at(at) | (uint64_t)u32_at(at + 4) << 32;
}

/* Takes an instruction apart. Returns what is wrong with it, or NULL. */
static const char *take(struct part *part, struct instruction *instruction)
{
	size_t left = part->end - part->at, bytes, padded;
	const uint8_t *at = part->at + HEAD_BYTES;
	unsigned numbers = 0, texts = 0;
	const struct form *form;
	uint32_t code;

	if (left < HEAD_BYTES)
		return "it ends within an instruction";
	code = u32_at(part->at);
	bytes = u32_at(part->at + 4);
	if (code >= CODES || !forms[code].name)
		return "it has an instruction that there is not";
	if (bytes > left - HEAD_BYTES)
		return "an instruction reaches beyond the end";
	padded = (bytes + 7) / 8 * 8;
	if (padded > left - HEAD_BYTES)
		return "an instruction has not the length it should have";
	form = &forms[code];
	*instruction = (struct instruction){ .code = code, .name = form->name, .place = form->place };
	part->at = at + padded;
	for (const char *kind = form->values; *kind; kind++) {
		size_t length = islower(*kind) ? 8 : strnlen((const char *)at, bytes) + 1;

		if (length > bytes)
			return "a number is cut off, or a text has no end";
		if (islower(*kind))
			instruction->number[numbers++] = u64_at(at);
		else
			instruction->text[texts++] = (const char *)at;
		at += length;
		bytes -= length;
	}
	return bytes ? "an instruction is longer than it should be" : NULL;
}

bool next_instruction(struct part *part, struct instruction *instruction)
{
	return part->at < part->end && !take(part, instruction);
}

/* How many there are of each instruction, and what has been in the machine that is looked at. */
struct counts {
	uint32_t of[CODES];
	enum been been;
};

/* Also of a Unix socket, which may be longer than an address: it is connected to by what is opened there. */
static bool is_path(const char *text)
{
	return text[0] == '/' && text[1] && strlen(text) < PATH_MAX;
}

/*
 * A profile of AppArmor, alone or with its mode behind it. A name for anything else could confine less: `unconfined`, one
 * of a namespace, several at once (`aa_label_strn_parse`, security/apparmor/label.c).
 */
static bool is_profile(const char *text)
{
	size_t bytes = strlen(text);

	for (const char *each = text; *each; each++)
		if (*each < ' ' || *each > '~')
			return false;
	return bytes && bytes < MOST_PROFILE_BYTES && !strchr(" :&", text[0]) && text[bytes - 1] != ' ' &&
	       !strstr(text, "//&") && strcmp(text, "unconfined");
}

/* Whether a value is one that there can be, by its letter in the table. */
static bool is_sound(char kind, uint64_t number, const char *text, const struct counts *counts)
{
	switch (kind) {
	/* Any number. */
	case 'n': return true;
	/* A count, permissions, a mode, an offset, a mark. */
	case 'c': return number;
	case 'p': return number <= 0777;
	case 'm': return number <= 07777;
	case 'o': return number <= INT64_MAX;
	case 'k': return number <= 2;
	/* A nice value, from 0 for the first of all. */
	case 'v': return number < 40;
	/* A user or group: the last number stands for "none" in the kernel's calls. */
	case 'i': return number < UINT32_MAX;
	/* A session and a file of the program, by the order in which it has them. */
	case 's': return number < counts->of[SESSION];
	case 'f': return number < counts->of[FETCH];
	/* A resource limit, a time to wait in seconds, flags to load a module. */
	case 'l': return number < RLIM_NLIMITS;
	case 't': return number && number <= LONGEST_WAIT_S;
	case 'z': return !(number & ~(uint64_t)MODULE_INIT_COMPRESSED_FILE);
	/* Any text. */
	case 'T': return true;
	/* A path, one that a node is given away by, one that may be the root. */
	case 'P': return is_path(text);
	case 'N': return is_path(text) && !strstr(text, "/../");
	case 'D': return text[0] == '/';
	/* A variable with its value, the names of a session and of a network interface. */
	case 'V': return strchr(text, '=');
	case 'S': return *text && strlen(text) < 64;
	case 'I': return *text && strlen(text) < IFNAMSIZ && !strchr(text, '/');
	/* A profile of AppArmor. */
	case 'A': return is_profile(text);
	default: return false;
	}
}

/* Whether the values of an instruction fit each other. */
static bool fit(const struct instruction *each)
{
	const uint64_t *number = each->number;

	switch (each->code) {
	case LIMIT:
		return number[1] <= number[2];
	case PATIENCE:
		return number[0] <= number[1];
	case RIGHTS:
		/* The kernel has no others (`cap_ambient_invariant_ok`). */
		return !(number[2] & ~number[1]);
	case PLAY:
		return number[2] == TO_ITS_END || number[2] <= INT64_MAX - number[1];
	default:
		return true;
	}
}

static const char *check(const struct instruction *each, struct counts *counts)
{
	const struct form *form = &forms[each->code];
	unsigned numbers = 0, texts = 0;

	if ((form->after & ~counts->been) || (form->before & counts->been))
		return "stands too early or too late";
	for (const char *kind = form->values; *kind; kind++)
		if (islower(*kind) ? !is_sound(*kind, each->number[numbers++], NULL, counts)
				   : !is_sound(*kind, 0, each->text[texts++], counts))
			return "has a value that cannot be";
	if (!fit(each))
		return "has values that do not fit each other";
	if (++counts->of[each->code] > form->most && form->most)
		return "is there too often";
	counts->been |= form->brings;
	/* What the next one is of has begun: a `play`, or a machine. */
	for (int i = 0; i < CODES; i++)
		if ((each->code == PLAY && forms[i].of_play) || (each->code == MACHINE && forms[i].place != OUTSIDE))
			counts->of[i] = 0;
	if (each->code == MACHINE)
		counts->been = NOTHING;
	return NULL;
}

static const char *check_body(struct part body)
{
	static char why[100];
	struct counts counts = { 0 };
	struct part whole = body;
	struct instruction each;
	/* The end of the machine that is looked at. */
	const uint8_t *end = body.at;
	const char *problem;

	while (whole.at < whole.end) {
		struct part own = { whole.at, whole.at < end ? end : whole.end };

		problem = take(&own, &each);
		if (problem)
			return problem;
		if ((whole.at < end) != (each.place != OUTSIDE))
			problem = "stands inside or outside of a machine, where it may not";
		whole.at = own.at;
		if (!problem)
			problem = check(&each, &counts);
		if (!problem && each.code == MACHINE && each.number[2] > (uint64_t)(whole.end - whole.at))
			problem = "has no end";
		if (problem) {
			snprintf(why, sizeof(why), "an instruction \"%s\" %s", each.name, problem);
			return why;
		}
		if (each.code == MACHINE)
			end = whole.at + each.number[2];
	}
	return NULL;
}

uint64_t hash_of(const uint8_t *data, size_t body_bytes)
{
	/* FNV-1a with 64 bits (Fowler, Noll and Vo). */
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 8; i < PROGRAM_HEADER_BYTES + body_bytes; i++)
		if (i < 16 || i >= PROGRAM_HEADER_BYTES)
			hash = (hash ^ data[i]) * 0x100000001b3;
	return hash;
}

const char *check_program(const uint8_t *data, size_t bytes, struct part *part)
{
	struct part body;
	const char *problem;
	uint32_t length;

	if (bytes < PROGRAM_HEADER_BYTES || memcmp(data, "LUORESUM", 8))
		return "it is no resume program";
	if (u32_at(data + 8) != PROGRAM_FORMAT)
		return "it is of another format";
	length = u32_at(data + 12);
	if (length > MOST_BODY_BYTES || length > bytes - PROGRAM_HEADER_BYTES)
		return "it is cut off, or its head is damaged";
	if (hash_of(data, length) != u64_at(data + 16))
		return "it is damaged";
	body = (struct part){ data + PROGRAM_HEADER_BYTES, data + PROGRAM_HEADER_BYTES + length };
	problem = check_body(body);
	if (!problem)
		*part = body;
	return problem;
}

void print_table(void)
{
	for (int i = 0; i < CODES; i++) {
		int numbers = 0, texts = 0;

		for (const char *kind = forms[i].values; kind && *kind; kind++)
			*(islower(*kind) ? &numbers : &texts) += 1;
		if (forms[i].name)
			printf("%d %s %d %d %u\n", i, forms[i].name, numbers, texts, forms[i].most);
	}
}
