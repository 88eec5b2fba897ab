// SPDX-License-Identifier: Apache-2.0
/*
 * Damages resume programs and has the carrier's reader look at them, under sanitizers. The numbers it draws follow from
 * its seed alone.
 *
 *     fuzz SEED ROUNDS        prints how many programs were taken and how many refused
 */
#include "program.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static uint8_t whole[64 << 10];
static size_t filled;
static uint64_t drawn;

static uint64_t draw(uint64_t below)
{
	drawn ^= drawn << 13;
	drawn ^= drawn >> 7;
	drawn ^= drawn << 17;
	return drawn % below;
}

static void put(const void *data, size_t bytes)
{
	if (bytes)
		memcpy(whole + filled, data, bytes);
	filled += bytes;
}

/* An instruction with some of its numbers and texts. */
static void add(uint32_t code, const uint64_t *numbers, unsigned count, const char *const *texts, unsigned text_count)
{
	uint32_t head[2] = { code, 8 * count };

	for (unsigned i = 0; i < text_count; i++)
		head[1] += strlen(texts[i]) + 1;
	put(head, sizeof(head));
	put(numbers, 8 * count);
	for (unsigned i = 0; i < text_count; i++)
		put(texts[i], strlen(texts[i]) + 1);
	while (filled % 8)
		put("", 1);
}

#define NUMBERS(...) (const uint64_t[]){ __VA_ARGS__ }, sizeof((uint64_t[]){ __VA_ARGS__ }) / 8
#define TEXTS(...) (const char *const[]){ __VA_ARGS__ }, sizeof((const char *[]){ __VA_ARGS__ }) / sizeof(char *)

/* A program as the agent compiles it, with one of nearly each instruction. */
static void add_machine(void)
{
	size_t head = filled, begin;
	uint64_t bytes;

	add(MACHINE, NUMBERS(0, 100, 0), TEXTS("machine:vm"));
	begin = filled;
	add(PATIENCE, NUMBERS(60, 120, 1000), NULL, 0);
	add(MODULE, NUMBERS(4), TEXTS("/lib/modules/7/kernel/drivers/net/tun.ko.xz", "debug=1"));
	add(MOUNTED, NUMBERS(120), TEXTS("/srv/data"));
	add(PRESENT, NUMBERS(120), TEXTS("/dev/disk/by-id/virtio-one"));
	add(INTERFACE, NUMBERS(120), TEXTS("br0"));
	add(PROFILE, NUMBERS(120), TEXTS("libvirt-one (enforce)"));
	add(NODE, NUMBERS(0660, 0, 6), TEXTS("/dev/disk/by-id/virtio-one"));
	add(DIRECTORY, NUMBERS(0700, 64055, 64055), TEXTS("/run/luo-carrier/0"));
	add(USER, NUMBERS(64055, 64055), NULL, 0);
	add(RIGHTS, NUMBERS(0x1ffffffffff, 0x3000, 0x1000), NULL, 0);
	add(CONFINE, NULL, 0, NULL, 0);
	add(LABEL, NULL, 0, TEXTS("libvirt-one"));
	add(GROUP, NUMBERS(108), NULL, 0);
	add(LIMIT, NUMBERS(7, 1024, 524288), NULL, 0);
	add(VARIABLE, NULL, 0, TEXTS("PATH=/usr/bin:/bin"));
	add(STAND, NULL, 0, TEXTS("/"));
	add(UMASK, NUMBERS(027), NULL, 0);
	add(WORD, NULL, 0, TEXTS("-S"));
	add(HAND, NUMBERS(1), NULL, 0);
	add(MARK, NUMBERS(1), NULL, 0);
	add(NOTE, NULL, 0, TEXTS("starting"));
	add(START, NULL, 0, TEXTS("/usr/bin/qemu-system-x86_64"));
	add(CONNECT, NULL, 0, TEXTS("/run/luo-carrier/0/cpr"));
	add(ATTACH, NUMBERS(1), NULL, 0);
	add(PLAY, NUMBERS(0, 0, 40), NULL, 0);
	add(CLOSE, NULL, 0, NULL, 0);
	add(MONITOR, NULL, 0, TEXTS("/run/vm/qmp"));
	add(TELL, NULL, 0, TEXTS("{\"execute\":\"cont\"}"));
	add(UNTIL, NULL, 0, TEXTS("\"running\": true", "", "{\"execute\":\"query-status\"}"));
	bytes = filled - begin;
	memcpy(whole + head + 8 + 16, &bytes, 8);
}

static void finish(void)
{
	uint32_t length = filled - PROGRAM_HEADER_BYTES;

	memcpy(whole + 12, &length, 4);
	memcpy(whole + 16, &(uint64_t){ hash_of(whole, length) }, 8);
}

static void make(void)
{
	memset(whole, 0, sizeof(whole));
	memcpy(whole, "LUORESUM\2", 9);
	filled = PROGRAM_HEADER_BYTES;
	add(SESSION, NULL, 0, TEXTS("luo-console"));
	add(FETCH, NUMBERS(0, 0xffffffffffff8000ull), NULL, 0);
	add(FETCH, NUMBERS(0, 7), NULL, 0);
	add(LOOPBACK, NULL, 0, NULL, 0);
	add_machine();
	add_machine();
	finish();
}

/* Touches everything that a program says, as the carrier does. */
static size_t use(struct part part)
{
	struct instruction each;
	size_t sum = 0;

	while (next_instruction(&part, &each))
		for (int i = 0; i < 3; i++)
			sum += each.number[i] + (each.text[i] ? strlen(each.text[i]) : 0);
	return sum;
}

/* Whether a damaged copy, of exactly its size so that a sanitizer sees its end, is taken. */
static int taken(size_t bytes)
{
	uint8_t *copy = malloc(bytes ? bytes : 1);
	struct part part;
	int is_taken;

	memcpy(copy, whole, bytes);
	is_taken = !check_program(copy, bytes, &part);
	if (is_taken && use(part) == 1)
		puts("");
	free(copy);
	return is_taken;
}

int main(int count, char *arguments[])
{
	unsigned rounds = count == 3 ? strtoul(arguments[2], NULL, 10) : 0, accepted = 0;

	drawn = count == 3 ? strtoull(arguments[1], NULL, 10) | 1 : 1;
	make();
	if (!taken(filled)) {
		puts("the program was refused before it was damaged");
		return 1;
	}
	for (unsigned round = 0; round < rounds; round++) {
		make();
		for (uint64_t damage = 1 + draw(4); damage; damage--) {
			size_t at = PROGRAM_HEADER_BYTES + draw(filled - PROGRAM_HEADER_BYTES);

			if (draw(3) == 0)
				/* A small number where one may be: a length or a place. */
				memcpy(whole + at / 8 * 8, &(uint32_t){ draw(300) }, 4);
			else if (draw(4) == 0 && filled > PROGRAM_HEADER_BYTES + 16)
				filled -= 8 * draw(2);
			else
				whole[at] ^= 1 << draw(8);
		}
		if (draw(8))
			finish();
		else
			whole[draw(PROGRAM_HEADER_BYTES)] ^= 1 << draw(8);
		accepted += taken(filled);
	}
	printf("%u taken, %u refused\n", accepted, rounds - accepted);
	return 0;
}
