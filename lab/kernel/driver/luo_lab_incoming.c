// SPDX-License-Identifier: GPL-2.0-only
/*
 * File handlers: the part after the kexec.
 *
 *   retrieve    gives the device its contents back and makes an open file of it.
 *               A failure is for good: LUO remembers it
 *   can_finish  refuses, and LUO says -EBUSY to its caller, while what a
 *               retrieved device needs has not been retrieved
 *   finish      gives back the page that was handed over, if retrieving has not
 *
 * The switches of retrieve and finish travel with a device, because nobody may
 * be there to set them in time after the kexec. They become switches of this
 * kernel when the device is first looked at, and can be reset in debugfs from
 * then on.
 *
 * LUO keeps the page's address until the file is finished, and hands it to each
 * callback. But .retrieve() frees the page if it succeeds, so the callbacks
 * after it must not use it.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/anon_inodes.h>
#include <linux/err.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/printk.h>
#include <linux/string.h>

#include "luo_lab.h"

/* Takes over the switches of the device; those set in this kernel prevail. */
static void adopt_switches(struct luo_lab_device *dev, struct luo_lab_ser *ser)
{
	int i;

	if (ser->adopted)
		return;
	ser->adopted = 1;
	for (i = 0; i < LUO_LAB_INCOMING_OPS; i++) {
		struct luo_lab_switch *own = &dev->switches[LUO_LAB_FIRST_INCOMING + i];

		if (!own->error && !own->delay_ms)
			*own = ser->switches[i];
	}
}

/*
 * The device that was handed over, or NULL if it is not a device. Only for a
 * file that has not been retrieved with success.
 */
static struct luo_lab_device *handed_over(const struct liveupdate_file_op_args *args)
{
	struct luo_lab_device *dev;
	struct luo_lab_ser *ser;

	if (!args->serialized_data)
		return NULL;
	ser = phys_to_virt(args->serialized_data);
	if (ser->number >= LUO_LAB_PER_KIND || ser->length > LUO_LAB_CONTENTS_MAX ||
	    (ser->needs != LUO_LAB_NOTHING && ser->needs >= LUO_LAB_DEVICES))
		return NULL;

	dev = &luo_lab_devices[luo_lab_kind_of(args->handler) * LUO_LAB_PER_KIND + ser->number];
	scoped_guard(mutex, &luo_lab_lock)
		adopt_switches(dev, ser);

	return dev;
}

/* The file a retrieved device is used through; it seeks like one that was opened. */
static struct file *open_again(struct luo_lab_device *dev)
{
	char name[32];

	snprintf(name, sizeof(name), "[luo_lab %s]", dev->name);

	return anon_inode_getfile_fmode(name, &luo_lab_fops, &dev->misc, O_RDWR,
					FMODE_LSEEK | FMODE_PREAD | FMODE_PWRITE);
}

static int restore(struct luo_lab_device *dev, const struct luo_lab_ser *ser)
{
	guard(mutex)(&luo_lab_lock);

	/* Preserved for the next update, before it has arrived from the last one. */
	if (dev->state != LUO_LAB_IDLE)
		return -EBUSY;
	dev->awaits = ser->needs == LUO_LAB_NOTHING ? NULL : &luo_lab_devices[ser->needs];
	dev->length = ser->length;
	memcpy(dev->contents, ser->contents, ser->length);
	memset(dev->contents + ser->length, 0, LUO_LAB_CONTENTS_MAX - ser->length);

	return 0;
}

/**
 * luo_lab_retrieve - Makes an open file of a device that was handed over.
 * @args: As LUO gives them; @args->file is set.
 *
 * Return: 0; -EBADMSG if it is not a device; -EBUSY if it is preserved in an
 * outgoing session already; what was switched; or a lack of memory.
 */
int luo_lab_retrieve(struct liveupdate_file_op_args *args)
{
	struct luo_lab_device *dev = handed_over(args);
	struct file *file;
	int err;

	if (!dev) {
		luo_lab_log("?", "retrieve", -EBADMSG, "not a device");
		return -EBADMSG;
	}

	/* Also if it fails, or what needs this device could never be finished. */
	scoped_guard(mutex, &luo_lab_lock)
		dev->attempted = true;

	err = luo_lab_act(dev, LUO_LAB_RETRIEVE);
	if (err) {
		luo_lab_log(dev->name, "retrieve", err, "as switched");
		return err;
	}

	file = open_again(dev);
	if (IS_ERR(file)) {
		luo_lab_log(dev->name, "retrieve", PTR_ERR(file), "no file");
		return PTR_ERR(file);
	}

	err = restore(dev, phys_to_virt(args->serialized_data));
	if (err) {
		fput(file);
		luo_lab_log(dev->name, "retrieve", err, "preserved for the next update");
		return err;
	}

	kho_restore_free(phys_to_virt(args->serialized_data));
	args->file = file;
	luo_lab_log(dev->name, "retrieve", 0, NULL);

	return 0;
}

/**
 * luo_lab_can_finish - Whether a device may be finished.
 * @args: As LUO gives them.
 *
 * A device that nobody retrieved may be, and one that could not be retrieved.
 * LUO makes -EBUSY of a refusal, whatever its reason.
 *
 * Return: true if it may be.
 */
bool luo_lab_can_finish(struct liveupdate_file_op_args *args)
{
	bool retrieved = args->retrieve_status > 0;
	struct luo_lab_device *dev = retrieved ? luo_lab_of_file(args->file) : handed_over(args);

	/* If it is not a device, LUO may get rid of it. */
	if (!dev)
		return true;
	if (READ_ONCE(dev->switches[LUO_LAB_FINISH].error)) {
		luo_lab_log(dev->name, "finish", -EBUSY, "as switched");
		return false;
	}

	guard(mutex)(&luo_lab_lock);
	if (!retrieved || !dev->awaits || dev->awaits->attempted)
		return true;
	luo_lab_log(dev->name, "finish", -EBUSY, "%s is not retrieved", dev->awaits->name);

	return false;
}

/**
 * luo_lab_finish - The end of the handover of a device; its contents stay.
 * @args: As LUO gives them.
 */
void luo_lab_finish(struct liveupdate_file_op_args *args)
{
	bool retrieved = args->retrieve_status > 0;
	struct luo_lab_device *dev = retrieved ? luo_lab_of_file(args->file) : handed_over(args);

	if (dev) {
		luo_lab_wait(dev, LUO_LAB_FINISH);
		scoped_guard(mutex, &luo_lab_lock) {
			dev->attempted = false;
			dev->awaits = NULL;
		}
	}
	if (!retrieved && args->serialized_data)
		kho_restore_free(phys_to_virt(args->serialized_data));
	luo_lab_log(dev ? dev->name : "?", "finish", 0, retrieved ? NULL : "not retrieved");
}
