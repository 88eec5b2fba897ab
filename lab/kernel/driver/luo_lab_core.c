// SPDX-License-Identifier: GPL-2.0-only
/*
 * The base of every other file of the driver. It has the devices and their
 * lock, the device of a file, its number for the next kernel, and the log. It
 * also has the nodes under /dev/luo_lab, which are read and written like a
 * small file.
 *
 * Opening a node for truncation empties it. Reading in the next kernel shows
 * nothing until the device has been retrieved there. Retrieving replaces
 * anything written meanwhile.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/fs.h>
#include <linux/printk.h>
#include <linux/string.h>
#include <linux/uaccess.h>

#include "luo_lab.h"

/* Protects what changes in all devices, and the state they share. */
DEFINE_MUTEX(luo_lab_lock);
struct luo_lab_device luo_lab_devices[LUO_LAB_DEVICES];

/**
 * luo_lab_of_file - The device behind an open file of ours.
 * @file: A file with luo_lab_fops.
 *
 * Return: The device.
 */
struct luo_lab_device *luo_lab_of_file(const struct file *file)
{
	return container_of((struct miscdevice *)file->private_data, struct luo_lab_device, misc);
}

/**
 * luo_lab_index - A number for a device that means the same in the next kernel.
 * @dev: The device.
 *
 * Return: Its place in luo_lab_devices.
 */
u32 luo_lab_index(const struct luo_lab_device *dev)
{
	return dev - luo_lab_devices;
}

/**
 * luo_lab_log - Writes the line of one callback: "#N NAME OPERATION: RESULT (WHY)".
 * @name: The device, or "shared".
 * @op:   The operation.
 * @err:  Its result, 0 or a negative errno.
 * @why:  printf format of a reason, or NULL for none.
 */
void luo_lab_log(const char *name, const char *op, int err, const char *why, ...)
{
	static atomic_t calls = ATOMIC_INIT(0);
	struct va_format reason = { .fmt = why };
	unsigned int call = atomic_inc_return(&calls);
	va_list values;

	if (!why) {
		pr_info("#%u %s %s: %d\n", call, name, op, err);
		return;
	}
	va_start(values, why);
	reason.va = &values;
	pr_info("#%u %s %s: %d (%pV)\n", call, name, op, err, &reason);
	va_end(values);
}

static int luo_lab_open(struct inode *inode, struct file *file)
{
	struct luo_lab_device *dev = luo_lab_of_file(file);

	if (!(file->f_flags & O_TRUNC) || !(file->f_mode & FMODE_WRITE))
		return 0;

	guard(mutex)(&luo_lab_lock);
	if (dev->state == LUO_LAB_FROZEN)
		return -EBUSY;
	memset(dev->contents, 0, LUO_LAB_CONTENTS_MAX);
	dev->length = 0;

	return 0;
}

static ssize_t luo_lab_read(struct file *file, char __user *buf, size_t count, loff_t *ppos)
{
	struct luo_lab_device *dev = luo_lab_of_file(file);

	guard(mutex)(&luo_lab_lock);

	return simple_read_from_buffer(buf, count, ppos, dev->contents, dev->length);
}

static ssize_t luo_lab_write(struct file *file, const char __user *buf, size_t count, loff_t *ppos)
{
	struct luo_lab_device *dev = luo_lab_of_file(file);
	ssize_t written;

	guard(mutex)(&luo_lab_lock);
	if (dev->state == LUO_LAB_FROZEN)
		return -EBUSY;
	if (file->f_flags & O_APPEND)
		*ppos = dev->length;
	if (count && *ppos >= LUO_LAB_CONTENTS_MAX)
		return -ENOSPC;

	written = simple_write_to_buffer(dev->contents, LUO_LAB_CONTENTS_MAX, ppos, buf, count);
	if (written > 0)
		dev->length = max_t(size_t, dev->length, *ppos);

	return written;
}

const struct file_operations luo_lab_fops = {
	.owner = THIS_MODULE,
	.open = luo_lab_open,
	.read = luo_lab_read,
	.write = luo_lab_write,
	.llseek = no_seek_end_llseek,
};
