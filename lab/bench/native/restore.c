// SPDX-License-Identifier: Apache-2.0
/* First every file of every guest, then all guests at once, one thread each: start QEMU, play both streams, go on. */
#include "update.h"
#include "luo.h"
#include "report.h"
#include "session.h"
#include "streams.h"
#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct restoring {
	struct guest *guest;
	const struct guest_state *state;
	const char *template;
	unsigned number, memory_mib;
	int file[MOST_FILES];
	struct resumed *resumed;
};

static int retrieve(int session, uint64_t token)
{
	int file = retrieve_file(session, token);

	if (file < 0)
		fail("retrieve %llx: %s", (unsigned long long)token, strerror(-file));
	return file;
}

static void *restore_guest(void *argument)
{
	struct restoring *this = argument;
	struct guest *guest = this->guest;
	int main;

	guest_start(guest, this->template, this->number, this->memory_mib, true);
	play_cpr(guest, this->state, this->file);
	main = guest_connect(guest, "main");
	this->resumed->started = __rdtsc();
	/* Connected, QEMU reads from this socket and does nothing else until there is something to read. */
	play_main(guest, this->state, main);
	qmp_begin(&guest->qmp, guest_connect(guest, "qmp"));
	while (strstr(qmp_command(&guest->qmp, "{\"execute\": \"query-status\"}"), "\"inmigrate\""))
		;
	this->resumed->loaded = __rdtsc();
	qmp_command(&guest->qmp, "{\"execute\": \"cont\"}");
	this->resumed->running = __rdtsc();
	close(main);
	for (unsigned i = 0; i < this->state->files; i++)
		close(this->file[i]);
	return NULL;
}

void restore_guests(struct guest guest[], unsigned guests, const char *template, unsigned memory_mib,
		    struct update *update)
{
	static struct restoring restoring[MOST_GUESTS];
	pthread_t thread[MOST_GUESTS];
	int device = open_device(), session, file;

	if (device < 0)
		fail("/dev/liveupdate: %s", strerror(-device));
	session = take_session(device, SESSION_NAME);
	if (session < 0)
		fail("take session %s: %s", SESSION_NAME, strerror(-session));
	close(device);
	file = retrieve(session, STATE_TOKEN);
	update->state = mmap(NULL, sizeof(*update->state), PROT_READ, MAP_SHARED, file, 0);
	if (update->state == MAP_FAILED)
		fail("mmap the state: %s", strerror(errno));
	close(file);
	if (update->state->guests != guests)
		fail("%u guests were saved, expected %u", update->state->guests, guests);
	for (unsigned i = 0; i < guests; i++) {
		const struct guest_state *state = &update->state->guest[i];

		restoring[i] = (struct restoring){ .guest = &guest[i], .state = state, .template = template, .number = i,
						   .memory_mib = memory_mib, .resumed = &update->guest[i] };
		for (unsigned j = 0; j < state->files; j++)
			restoring[i].file[j] = retrieve(session, state->token[j]);
	}
	update->retrieved = __rdtsc();
	for (unsigned i = 0; i < guests; i++)
		if (pthread_create(&thread[i], NULL, restore_guest, &restoring[i]))
			fail("no thread for guest %u", i);
	for (unsigned i = 0; i < guests; i++)
		pthread_join(thread[i], NULL);
	if ((errno = -luo_finish(session)))
		fail("finish session %s: %s", SESSION_NAME, strerror(errno));
	close(session);
}
