// SPDX-License-Identifier: Apache-2.0
#include "plan.h"
#include "report.h"
#include "state.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/utsname.h>

static unsigned number(const char *argument, const char **text, char until)
{
	char *end;
	unsigned long value = strtoul(*text, &end, 10);

	if (end == *text || (*end && *end != until) || value > 65536)
		fail("argument %s: expected a number at \"%s\"", argument, *text);
	*text = *end ? end + 1 : end;
	return value;
}

static void read_loads(struct plan *plan, const char *argument, const char *text)
{
	while (*text) {
		struct load *load = &plan->load[plan->loads++];

		if (plan->loads > MOST_LOADS)
			fail("argument %s: expected at most %d loads", argument, MOST_LOADS);
		load->guests = number(argument, &text, 'x');
		load->memory_mib = number(argument, &text, ',');
		if (!load->guests || load->guests > MOST_GUESTS)
			fail("argument %s: expected 1 to %d guests", argument, MOST_GUESTS);
	}
}

/* The value of an argument if it has this name. */
static const char *named(const char *argument, const char *name)
{
	size_t length = strlen(name);

	return !strncmp(argument, name, length) && argument[length] == '=' ? argument + length + 1 : NULL;
}

void plan_read(struct plan *plan, int count, char *arguments[])
{
	const char *text;

	*plan = (struct plan){ .runs = 1 };
	for (int i = 1; i < count; i++) {
		const char *argument = arguments[i];

		if ((text = named(argument, "template")))
			snprintf(plan->template, sizeof(plan->template), "%s", text);
		else if ((text = named(argument, "kernels"))) {
			if (sscanf(text, "%199[^,],%199s", plan->kernel[0], plan->kernel[1]) != 2)
				fail("argument %s: expected two paths", argument);
		} else if ((text = named(argument, "runs")))
			plan->runs = number(argument, &text, '\0');
		else if ((text = named(argument, "step")))
			plan->step = number(argument, &text, '\0');
		else if ((text = named(argument, "plan")))
			read_loads(plan, argument, text);
		else
			fail("argument %s: expected template=, kernels=, runs=, plan= or step=", argument);
	}
	if (!plan->template[0] || !plan->kernel[1][0] || !plan->runs || !plan->loads)
		fail("expected the arguments template=, kernels=, runs= and plan=");
	if (plan->step > plan->runs * plan->loads)
		fail("argument step=%u: there are %u", plan->step, plan->runs * plan->loads);
}

bool plan_ends(const struct plan *plan)
{
	return plan->step == plan->runs * plan->loads;
}

struct load plan_to_save(const struct plan *plan)
{
	return plan->load[plan->step / plan->runs];
}

struct load plan_to_restore(const struct plan *plan)
{
	return plan->load[(plan->step - 1) / plan->runs];
}

bool plan_changes(const struct plan *plan)
{
	return plan->step % plan->runs == 0;
}

const char *plan_next_kernel(const struct plan *plan)
{
	struct utsname running;

	uname(&running);
	return plan->kernel[strstr(plan->kernel[0], running.release) ? 1 : 0];
}

void plan_next_command_line(const struct plan *plan, char *line, unsigned size)
{
	char now[2048], *step;
	FILE *file = fopen("/proc/cmdline", "re");

	if (!file || !fgets(now, sizeof(now), file))
		fail("/proc/cmdline: %s", strerror(errno));
	fclose(file);
	now[strcspn(now, "\n")] = '\0';
	step = strstr(now, " step=");
	if (!step)
		fail("the command line has no step");
	*step = '\0';
	/* It is the last argument. */
	if ((unsigned)snprintf(line, size, "%s step=%u", now, plan->step + 1) >= size)
		fail("the command line is too long");
}
