// SPDX-License-Identifier: GPL-2.0-only
/*
 * File handlers, one for each kind of device: the part before the kexec. The
 * part after it is in luo_lab_incoming.c.
 *
 *   preserve    checks that what the device needs has been preserved before in
 *               the same session, and allocates the page that is handed over
 *   freeze      copies the contents into it; what is written after preserving
 *               survives, as with a memfd. Writing is -EBUSY from here on
 *   unfreeze    the kexec did not happen: writing is possible again
 *   unpreserve  gives the page back
 *
 * All descriptors of one device are one to LUO: preserving a second one is
 * -EBUSY. The need of a preserved device is noted with it, so that a later
 * change in debugfs does not affect it. The driver also checks that a device is
 * undone before the one it needs, since LUO promises that.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/err.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "luo_lab.h"

static bool luo_lab_can_preserve(struct liveupdate_file_handler *handler, struct file *file)
{
	return file->f_op == &luo_lab_fops &&
	       luo_lab_of_file(file)->kind == luo_lab_kind_of(handler);
}

/* Why @dev must not be preserved in @session now, or NULL. */
static const char *missing(const struct luo_lab_device *dev, const void *session)
{
	if (!dev->needs)
		return NULL;
	if (dev->needs->state == LUO_LAB_IDLE)
		return "is not preserved";
	if (dev->needs->session != session)
		return "is preserved in another session";
	return NULL;
}

static int luo_lab_preserve(struct liveupdate_file_op_args *args)
{
	struct luo_lab_device *dev = luo_lab_of_file(args->file);
	const void *session;
	struct luo_lab_ser *ser;
	const char *why;
	int err;

	err = luo_lab_act(dev, LUO_LAB_PRESERVE);
	if (err) {
		luo_lab_log(dev->name, "preserve", err, "as switched");
		return err;
	}

	session = luo_lab_session();
	if (!session) {
		luo_lab_log(dev->name, "preserve", -EBADF, "the session is being closed");
		return -EBADF;
	}

	ser = kho_alloc_preserve(PAGE_SIZE);
	if (IS_ERR(ser)) {
		luo_lab_log(dev->name, "preserve", PTR_ERR(ser), "no memory to hand over");
		return PTR_ERR(ser);
	}

	mutex_lock(&luo_lab_lock);
	why = missing(dev, session);
	if (why) {
		luo_lab_log(dev->name, "preserve", -ENXIO, "%s %s", dev->needs->name, why);
		mutex_unlock(&luo_lab_lock);
		kho_unpreserve_free(ser);
		return -ENXIO;
	}
	dev->state = LUO_LAB_PRESERVED;
	dev->session = session;
	dev->held = dev->needs;
	if (dev->held)
		dev->held->holders++;
	luo_lab_shared_join(dev);
	mutex_unlock(&luo_lab_lock);

	args->serialized_data = virt_to_phys(ser);
	args->private_data = ser;
	luo_lab_log(dev->name, "preserve", 0, NULL);

	return 0;
}

static void luo_lab_unpreserve(struct liveupdate_file_op_args *args)
{
	struct luo_lab_device *dev = luo_lab_of_file(args->file);

	scoped_guard(mutex, &luo_lab_lock) {
		if (dev->holders)
			pr_err("%s is undone before %u that need it\n", dev->name, dev->holders);
		if (dev->held)
			dev->held->holders--;
		dev->held = NULL;
		dev->session = NULL;
		dev->state = LUO_LAB_IDLE;
		luo_lab_shared_leave(dev);
	}
	kho_unpreserve_free(args->private_data);
	luo_lab_log(dev->name, "unpreserve", 0, NULL);
}

static int luo_lab_freeze(struct liveupdate_file_op_args *args)
{
	struct luo_lab_device *dev = luo_lab_of_file(args->file);
	struct luo_lab_ser *ser = args->private_data;
	int err;

	err = luo_lab_act(dev, LUO_LAB_FREEZE);
	if (err) {
		luo_lab_log(dev->name, "freeze", err, "as switched");
		return err;
	}

	scoped_guard(mutex, &luo_lab_lock) {
		ser->number = dev->number;
		ser->needs = dev->held ? luo_lab_index(dev->held) : LUO_LAB_NOTHING;
		ser->adopted = 0;
		ser->length = dev->length;
		memcpy(ser->switches, &dev->switches[LUO_LAB_FIRST_INCOMING],
		       sizeof(ser->switches));
		memcpy(ser->contents, dev->contents, dev->length);
		dev->state = LUO_LAB_FROZEN;
	}
	luo_lab_log(dev->name, "freeze", 0, NULL);

	return 0;
}

static void luo_lab_unfreeze(struct liveupdate_file_op_args *args)
{
	struct luo_lab_device *dev = luo_lab_of_file(args->file);

	scoped_guard(mutex, &luo_lab_lock)
		dev->state = LUO_LAB_PRESERVED;
	luo_lab_log(dev->name, "unfreeze", 0, NULL);
}

static unsigned long luo_lab_get_id(struct file *file)
{
	return (unsigned long)luo_lab_of_file(file);
}

static const struct liveupdate_file_ops luo_lab_file_ops = {
	.can_preserve = luo_lab_can_preserve,
	.preserve = luo_lab_preserve,
	.unpreserve = luo_lab_unpreserve,
	.freeze = luo_lab_freeze,
	.unfreeze = luo_lab_unfreeze,
	.retrieve = luo_lab_retrieve,
	.can_finish = luo_lab_can_finish,
	.finish = luo_lab_finish,
	.get_id = luo_lab_get_id,
	.owner = THIS_MODULE,
};

#define HANDLER(of_kind, name)							\
	[of_kind] = {								\
		.kind = of_kind,						\
		.lu = { .ops = &luo_lab_file_ops, .compatible = name },		\
	}

static struct luo_lab_handler handlers[LUO_LAB_KINDS] = {
	HANDLER(LUO_LAB_MEMORY, "luo-lab-memory-v1"),
	HANDLER(LUO_LAB_IOMMU, "luo-lab-iommu-v1"),
	HANDLER(LUO_LAB_DEVICE, "luo-lab-device-v1"),
};

/**
 * luo_lab_files_init - Registers the handlers and the state that one of them shares.
 *
 * Return: 0; -EOPNOTSUPP if live update is off on this boot; or another
 * negative errno. On failure nothing stays registered.
 */
int __init luo_lab_files_init(void)
{
	int kind, err;

	for (kind = 0; kind < LUO_LAB_KINDS; kind++) {
		err = liveupdate_register_file_handler(&handlers[kind].lu);
		if (err)
			goto err_unregister;
	}

	err = luo_lab_shared_init(&handlers[LUO_LAB_DEVICE].lu);
	if (err)
		goto err_unregister;

	return 0;

err_unregister:
	while (kind--)
		liveupdate_unregister_file_handler(&handlers[kind].lu);
	return err;
}
