// SPDX-License-Identifier: GPL-2.0-only
/*
 * The devices themselves: nodes under /dev/luo_lab that are read and written
 * like a small file, and, beside each in sysfs, the name of the device it needs
 * (/sys/class/misc/luo_lab_NAME/needs), for whoever has no access to debugfs.
 *
 * Opening one for truncation empties it. Reading in the next kernel shows
 * nothing until the device has been retrieved there; retrieving replaces what
 * may have been written meanwhile.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/atomic.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>
#include <linux/uaccess.h>

#include "luo_lab.h"

/* Protects what changes in all devices, and the state they share. */
DEFINE_MUTEX(luo_lab_lock);
struct luo_lab_device luo_lab_devices[LUO_LAB_DEVICES];

static const char *const kind_names[LUO_LAB_KINDS] = {
	[LUO_LAB_MEMORY] = "memory",
	[LUO_LAB_IOMMU] = "iommu",
	[LUO_LAB_DEVICE] = "device",
};

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

static ssize_t needs_show(struct device *device, struct device_attribute *attr, char *buf)
{
	struct miscdevice *misc = dev_get_drvdata(device);
	struct luo_lab_device *dev = container_of(misc, struct luo_lab_device, misc);

	guard(mutex)(&luo_lab_lock);

	return sysfs_emit(buf, "%s\n", dev->needs ? dev->needs->name : "none");
}
static DEVICE_ATTR_RO(needs);

static struct attribute *luo_lab_attrs[] = {
	&dev_attr_needs.attr,
	NULL,
};
ATTRIBUTE_GROUPS(luo_lab);

static int __init add_device(struct luo_lab_device *dev)
{
	u32 index = luo_lab_index(dev);
	int err;

	dev->kind = index / LUO_LAB_PER_KIND;
	dev->number = index % LUO_LAB_PER_KIND;
	if (dev->kind > 0)
		dev->needs = dev - LUO_LAB_PER_KIND;
	snprintf(dev->name, sizeof(dev->name), "%s%u", kind_names[dev->kind], dev->number);
	snprintf(dev->misc_name, sizeof(dev->misc_name), "luo_lab_%s", dev->name);
	snprintf(dev->node_name, sizeof(dev->node_name), "luo_lab/%s", dev->name);

	dev->contents = kzalloc(LUO_LAB_CONTENTS_MAX, GFP_KERNEL);
	if (!dev->contents)
		return -ENOMEM;

	dev->misc = (struct miscdevice) {
		.minor = MISC_DYNAMIC_MINOR,
		.name = dev->misc_name,
		.nodename = dev->node_name,
		.mode = 0600,
		.fops = &luo_lab_fops,
		.groups = luo_lab_groups,
	};
	err = misc_register(&dev->misc);
	if (err)
		kfree(dev->contents);

	return err;
}

static int __init luo_lab_init(void)
{
	int i, err;

	for (i = 0; i < LUO_LAB_DEVICES; i++) {
		err = add_device(&luo_lab_devices[i]);
		if (err) {
			pr_err("no device %s: %d\n", luo_lab_devices[i].name, err);
			goto err_remove;
		}
	}

	/* Last: from here on LUO may call. */
	err = luo_lab_files_init();
	if (err == -EOPNOTSUPP) {
		pr_info("live update is off, so there are no devices\n");
		err = 0;
		goto err_remove;
	}
	if (err) {
		pr_err("LUO does not take the handlers: %d\n", err);
		goto err_remove;
	}
	luo_lab_switches_init();

	return 0;

err_remove:
	while (i--) {
		misc_deregister(&luo_lab_devices[i].misc);
		kfree(luo_lab_devices[i].contents);
	}
	return err;
}
device_initcall(luo_lab_init);
