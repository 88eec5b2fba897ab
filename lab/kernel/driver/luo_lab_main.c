// SPDX-License-Identifier: GPL-2.0-only
/*
 * Making the devices, and telling LUO and debugfs of them. Beside each node in
 * sysfs is the name of the device it needs (/sys/class/misc/luo_lab_NAME/needs),
 * for programs that have no access to debugfs.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/device.h>
#include <linux/init.h>
#include <linux/printk.h>
#include <linux/slab.h>
#include <linux/sysfs.h>

#include "luo_lab.h"

static const char *const kind_names[LUO_LAB_KINDS] = {
	[LUO_LAB_MEMORY] = "memory",
	[LUO_LAB_IOMMU] = "iommu",
	[LUO_LAB_DEVICE] = "device",
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
