// SPDX-License-Identifier: Apache-2.0
/*
 * The floor: a live update of virtual machines with the least possible userspace. It is the init of both kernels. It
 * does what the agent does, in the same order and to the same QEMU. But it is a program of a few hundred lines, without
 * a runtime, a journal, a service manager or clients. It measures how fast the agent could be at best; plan.h describes
 * its arguments. For every guest that runs again it says
 *
 *     floor: run {"step":N,"guest":N,"guests":N,"memoryMiB":N,"ends":{"save":US,…}}
 *
 * where `ends` is when each part of the blackout was over, in microseconds since the first guest was stopped, and after
 * the last step `floor: end`. The log's next line after `floor: failed` is the machine's last.
 */
#include "clock.h"
#include "plan.h"
#include "report.h"
#include "update.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/kexec.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef RB_KEXEC
#define RB_KEXEC 0x45584543
#endif

/* New guests run this long before they are stopped for the first time: their firmware is done by then. */
#define FIRST_RUN_S 3

static struct guest guest[MOST_GUESTS];

static void mount_or_fail(const char *type, const char *where)
{
	if (mount(type, where, type, 0, NULL) && errno != EBUSY)
		fail("mount %s: %s", where, strerror(errno));
}

static void set_up(void)
{
	mount_or_fail("proc", "/proc");
	mount_or_fail("devtmpfs", "/dev");
	mount_or_fail("tmpfs", "/run");
	mkdir(RUN_DIRECTORY, 0700);
}

static void report(const struct plan *plan, const struct update *update, struct moment born, uint64_t ready)
{
	const struct load load = plan_to_restore(plan);
	double per_us = update->state->ticks_per_us;
	uint64_t zero = update->state->suspended_ticks;
	uint64_t kernel = ticks_at_boot(born, per_us);

	for (unsigned i = 0; i < load.guests; i++) {
		const struct resumed *resumed = &update->guest[i];
		const uint64_t ends[] = { update->state->guest[i].saved_ticks, kernel, born.ticks, ready,
					  update->retrieved, resumed->started, resumed->loaded, resumed->running };
		unsigned long long us[8];

		for (int part = 0; part < 8; part++)
			us[part] = (ends[part] - zero) / per_us;
		say("run {\"step\":%u,\"guest\":%u,\"guests\":%u,\"memoryMiB\":%u,\"ends\":{\"save\":%llu,\"kexec\":%llu,"
		    "\"boot\":%llu,\"userspace\":%llu,\"retrieve\":%llu,\"start\":%llu,\"load\":%llu,\"resume\":%llu}}",
		    plan->step, i, load.guests, load.memory_mib, us[0], us[1], us[2], us[3], us[4], us[5], us[6], us[7]);
	}
}

static void load_kernel(const struct plan *plan)
{
	const char *path = plan_next_kernel(plan);
	char line[2048];
	int image = open(path, O_RDONLY | O_CLOEXEC);

	if (image < 0)
		fail("%s: %s", path, strerror(errno));
	plan_next_command_line(plan, line, sizeof(line));
	if (syscall(SYS_kexec_file_load, image, -1, strlen(line) + 1, line, KEXEC_FILE_NO_INITRAMFS))
		fail("kexec_file_load %s: %s", path, strerror(errno));
	close(image);
}

static void start_guests(const struct plan *plan)
{
	const struct load load = plan_to_save(plan);
	struct timespec first_run = { .tv_sec = FIRST_RUN_S };

	for (unsigned i = 0; i < load.guests; i++)
		guest_start(&guest[i], plan->template, i, load.memory_mib, false);
	for (unsigned i = 0; i < load.guests; i++)
		qmp_begin(&guest[i].qmp, guest_connect(&guest[i], "qmp"));
	nanosleep(&first_run, NULL);
}

static void bring_back(const struct plan *plan, struct moment born, uint64_t ready)
{
	const struct load load = plan_to_restore(plan);
	struct update update;

	restore_guests(guest, load.guests, plan->template, load.memory_mib, &update);
	report(plan, &update, born, ready);
}

static void take_away(const struct plan *plan, struct moment since)
{
	const struct load load = plan_to_save(plan);

	prepare_guests(guest, load.guests);
	load_kernel(plan);
	save_guests(guest, load.guests, since);
	reboot(RB_KEXEC);
	fail("reboot: %s", strerror(errno));
}

int main(int count, char *arguments[])
{
	struct moment born = moment_now();
	struct plan plan;
	uint64_t ready;

	set_up();
	ready = __rdtsc();
	plan_read(&plan, count, arguments);
	if (plan.step > 0)
		bring_back(&plan, born, ready);
	if (plan_ends(&plan)) {
		say("end");
		reboot(RB_POWER_OFF);
		fail("power off: %s", strerror(errno));
	}
	if (plan_changes(&plan)) {
		for (unsigned i = 0; plan.step > 0 && i < plan_to_restore(&plan).guests; i++)
			guest_end(&guest[i]);
		start_guests(&plan);
	}
	take_away(&plan, born);
}
