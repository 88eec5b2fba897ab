// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files to read and change in /sys/kernel/debug/luo_lab:
 *
 *   NAME/OPERATION_error     errno that preserve, freeze, retrieve or finish of
 *                            this device fails with; 0 for none. Stays until
 *                            reset. Finish knows only 16 (EBUSY): LUO asks
 *                            whether a file is ready, not why it is not
 *   NAME/OPERATION_delay_ms  how long the operation takes, before it fails or
 *                            does its work; a finish only if it does its work
 *   NAME/needs               the device it needs, or "none"; changed only while
 *                            it is not preserved (EBUSY)
 *   NAME/state               idle, preserved or frozen
 *   shared                   the state of all deviceN, incoming and outgoing
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/fs.h>
#include <linux/seq_file.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "luo_lab.h"

#define DELAY_MAX_MS	60000
/* Greater ones are the kernel's own and must not be seen by userspace. */
#define ERROR_MAX	EHWPOISON

static const char *const op_names[LUO_LAB_OPS] = {
	[LUO_LAB_PRESERVE] = "preserve",
	[LUO_LAB_FREEZE] = "freeze",
	[LUO_LAB_RETRIEVE] = "retrieve",
	[LUO_LAB_FINISH] = "finish",
};

static const char *const state_names[] = {
	[LUO_LAB_IDLE] = "idle",
	[LUO_LAB_PRESERVED] = "preserved",
	[LUO_LAB_FROZEN] = "frozen",
};

/**
 * luo_lab_wait - Takes the time that is set for an operation on a device.
 * @dev: The device.
 * @op:  The operation.
 *
 * Context: May sleep; a signal does not shorten it.
 */
void luo_lab_wait(const struct luo_lab_device *dev, enum luo_lab_op op)
{
	u32 delay_ms = READ_ONCE(dev->switches[op].delay_ms);

	if (!delay_ms)
		return;
	/*
	 * Said, because a test cannot measure it: just after a kexec the kernel
	 * still calibrates its clock, and seconds are up to 2 % too short.
	 */
	pr_info("%s %s waits %u ms\n", dev->name, op_names[op], delay_ms);
	msleep(delay_ms);
}

/**
 * luo_lab_act - Does what is switched for an operation on a device.
 * @dev: The device.
 * @op:  The operation, which is to return the result if it is not 0.
 *
 * Return: 0, or the negative errno that was chosen.
 */
int luo_lab_act(const struct luo_lab_device *dev, enum luo_lab_op op)
{
	luo_lab_wait(dev, op);

	return -(int)READ_ONCE(dev->switches[op].error);
}

static int get_u32(void *data, u64 *value)
{
	*value = READ_ONCE(*(u32 *)data);
	return 0;
}

static int set_at_most(void *data, u64 value, u64 most)
{
	if (value > most)
		return -ERANGE;
	WRITE_ONCE(*(u32 *)data, value);
	return 0;
}

static int set_error(void *data, u64 value)
{
	return set_at_most(data, value, ERROR_MAX);
}

static int set_finish_error(void *data, u64 value)
{
	if (value && value != EBUSY)
		return -EINVAL;
	return set_error(data, value);
}

static int set_delay(void *data, u64 value)
{
	return set_at_most(data, value, DELAY_MAX_MS);
}

DEFINE_DEBUGFS_ATTRIBUTE(error_fops, get_u32, set_error, "%llu\n");
DEFINE_DEBUGFS_ATTRIBUTE(finish_error_fops, get_u32, set_finish_error, "%llu\n");
DEFINE_DEBUGFS_ATTRIBUTE(delay_fops, get_u32, set_delay, "%llu\n");

static int state_show(struct seq_file *seq, void *unused)
{
	const struct luo_lab_device *dev = seq->private;

	guard(mutex)(&luo_lab_lock);
	seq_printf(seq, "%s\n", state_names[dev->state]);

	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

static int shared_show(struct seq_file *seq, void *unused)
{
	luo_lab_shared_show(seq);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(shared);

static int needs_show(struct seq_file *seq, void *unused)
{
	const struct luo_lab_device *dev = seq->private;

	guard(mutex)(&luo_lab_lock);
	seq_printf(seq, "%s\n", dev->needs ? dev->needs->name : "none");

	return 0;
}

/* The device of this name; NULL for "none"; -EINVAL for an unknown name. */
static struct luo_lab_device *by_name(const char *name)
{
	int i;

	if (!strcmp(name, "none"))
		return NULL;
	for (i = 0; i < LUO_LAB_DEVICES; i++) {
		if (!strcmp(name, luo_lab_devices[i].name))
			return &luo_lab_devices[i];
	}
	return ERR_PTR(-EINVAL);
}

static ssize_t needs_write(struct file *file, const char __user *buf, size_t count, loff_t *ppos)
{
	struct luo_lab_device *dev = file_inode(file)->i_private;
	struct luo_lab_device *needs;
	char text[sizeof(dev->name) + 1];

	if (*ppos || count >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, buf, count))
		return -EFAULT;
	text[count] = '\0';

	needs = by_name(strim(text));
	if (IS_ERR(needs))
		return PTR_ERR(needs);
	if (needs == dev)
		return -EINVAL;

	guard(mutex)(&luo_lab_lock);
	if (dev->state != LUO_LAB_IDLE)
		return -EBUSY;
	dev->needs = needs;
	*ppos += count;

	return count;
}
DEFINE_SHOW_STORE_ATTRIBUTE(needs);

static void __init add_switches(struct luo_lab_device *dev, struct dentry *directory)
{
	int op;

	for (op = 0; op < LUO_LAB_OPS; op++) {
		struct luo_lab_switch *own = &dev->switches[op];
		char name[24];

		snprintf(name, sizeof(name), "%s_error", op_names[op]);
		debugfs_create_file(name, 0600, directory, &own->error,
				    op == LUO_LAB_FINISH ? &finish_error_fops : &error_fops);
		snprintf(name, sizeof(name), "%s_delay_ms", op_names[op]);
		debugfs_create_file(name, 0600, directory, &own->delay_ms, &delay_fops);
	}
}

/**
 * luo_lab_switches_init - Makes the files described above.
 *
 * Nothing is said if it fails: without debugfs the devices work all the same.
 */
void __init luo_lab_switches_init(void)
{
	struct dentry *top = debugfs_create_dir("luo_lab", NULL);
	int i;

	debugfs_create_file("shared", 0400, top, NULL, &shared_fops);
	for (i = 0; i < LUO_LAB_DEVICES; i++) {
		struct luo_lab_device *dev = &luo_lab_devices[i];
		struct dentry *directory = debugfs_create_dir(dev->name, top);

		debugfs_create_file("needs", 0600, directory, dev, &needs_fops);
		debugfs_create_file("state", 0400, directory, dev, &state_fops);
		add_switches(dev, directory);
	}
}
