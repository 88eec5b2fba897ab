// SPDX-License-Identifier: Apache-2.0
/* See machine.h. The TypeScript example runs the same machine; each can go on with the other's. */
#define _GNU_SOURCE
#include "machine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum {
	PAGES = 1024,
	PAGE_WORDS = 1024,
	WORDS = PAGES * PAGE_WORDS,
	MEMORY_BYTES = WORDS * 4,
	STATE_BYTES = 4096,
};

static const int64_t SECOND = 1000000000;

enum { STATE_WORDS = 10 };

union state {
	struct {
		char magic[8];
		uint64_t count;
		/* The machine's clock, and CLOCK_REALTIME at the same moment, in ns. */
		int64_t clock, wall;
		uint32_t memory_checksum;
		/* Of what is before it. */
		uint32_t checksum;
	};
	uint32_t words[STATE_WORDS];
};

_Static_assert(sizeof(union state) == STATE_WORDS * 4, "the same in every VMM that runs this machine");

static const char MAGIC[8] = "COUNTER1";

static int64_t now(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return time.tv_sec * SECOND + time.tv_nsec;
}

static int64_t machine_clock(const struct machine *machine)
{
	return now(CLOCK_BOOTTIME) + machine->clock_offset;
}

/* FNV-1a over words, each turned by five bits: a single word that differs always makes another checksum. */
static uint32_t checksum(const uint32_t *words, uint32_t number)
{
	uint32_t sum = 2166136261u;

	for (uint32_t i = 0; i < number; i++) {
		sum ^= words[i];
		sum = (sum << 5 | sum >> 27) * 16777619u;
	}
	return sum;
}

static void write_page(struct machine *machine, uint32_t page, uint64_t count)
{
	for (uint32_t word = page * PAGE_WORDS; word < (page + 1) * PAGE_WORDS; word++)
		machine->memory[word] = (uint32_t)count * 2654435761u ^ word * 2246822507u;
}

void machine_say(const struct machine *machine, const char *what)
{
	int64_t clock = machine_clock(machine);

	printf("%s %llu clock %lld.%09lld checksum %08x\n", what, (unsigned long long)machine->count,
	       (long long)(clock / SECOND), (long long)(clock % SECOND), checksum(machine->memory, WORDS));
}

static const char *map_memory(struct machine *machine)
{
	machine->memory = mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, machine->memory_file, 0);
	return machine->memory == MAP_FAILED ? strerror(errno) : NULL;
}

static const char *create_file(const char *name, off_t size, int *file)
{
	*file = memfd_create(name, MFD_CLOEXEC);
	return *file < 0 || ftruncate(*file, size) ? strerror(errno) : NULL;
}

const char *machine_create(struct machine *machine)
{
	const char *wrong;

	*machine = (struct machine){ .clock_offset = -now(CLOCK_BOOTTIME) };
	wrong = create_file("machine-memory", MEMORY_BYTES, &machine->memory_file);
	if (!wrong)
		wrong = create_file("machine-state", STATE_BYTES, &machine->state_file);
	if (!wrong)
		wrong = map_memory(machine);
	for (uint32_t page = 0; !wrong && page < PAGES; page++)
		write_page(machine, page, 0);
	return wrong;
}

static const char *write_state(struct machine *machine, const union state *state)
{
	ssize_t written = pwrite(machine->state_file, state, sizeof(*state), 0);

	return written == (ssize_t)sizeof(*state) ? NULL : strerror(written < 0 ? errno : EIO);
}

static const char *check_size(int file, off_t size, const char *wrong)
{
	struct stat facts;

	if (fstat(file, &facts))
		return strerror(errno);
	return facts.st_size == size ? NULL : wrong;
}

const char *machine_restore(struct machine *machine, int memory_file, int state_file)
{
	union state state;
	int64_t away;
	const char *wrong;

	*machine = (struct machine){ .memory_file = memory_file, .state_file = state_file };
	wrong = check_size(memory_file, MEMORY_BYTES, "the memory has not the size of this machine's");
	if (!wrong)
		wrong = check_size(state_file, STATE_BYTES, "the device state has not the size of this machine's");
	if (wrong)
		return wrong;
	if (pread(state_file, &state, sizeof(state), 0) != sizeof(state))
		return "the device state cannot be read";
	if (memcmp(state.magic, MAGIC, sizeof(MAGIC)))
		return "there is no device state: the machine was not suspended, or has run since";
	if (state.checksum != checksum(state.words, STATE_WORDS - 1))
		return "the device state is not what was written";
	wrong = map_memory(machine);
	if (wrong)
		return wrong;
	if (state.memory_checksum != checksum(machine->memory, WORDS))
		return "the memory is not what it was when the machine was suspended";
	machine->count = state.count;
	/* CLOCK_BOOTTIME starts again with each kernel; CLOCK_REALTIME goes on, but may have been set. */
	away = now(CLOCK_REALTIME) - state.wall;
	machine->clock_offset = state.clock + (away > 0 ? away : 0) - now(CLOCK_BOOTTIME);
	return NULL;
}

const char *machine_run(struct machine *machine)
{
	const char *wrong = write_state(machine, &(union state){ 0 });

	machine->running = !wrong;
	return wrong;
}

void machine_count(struct machine *machine)
{
	machine->count++;
	write_page(machine, machine->count % PAGES, machine->count);
	machine_say(machine, "count");
}

const char *machine_suspend(struct machine *machine)
{
	union state state = { .count = machine->count };

	machine->running = false;
	memcpy(state.magic, MAGIC, sizeof(MAGIC));
	state.clock = machine_clock(machine);
	state.wall = now(CLOCK_REALTIME);
	state.memory_checksum = checksum(machine->memory, WORDS);
	state.checksum = checksum(state.words, STATE_WORDS - 1);
	return write_state(machine, &state);
}
