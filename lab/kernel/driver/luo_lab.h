/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Devices that can be preserved across a live update, for the lab.
 *
 * There are three kinds with LUO_LAB_PER_KIND devices each, named after the
 * devices they stand for. memoryN needs nothing, iommuN needs memoryN, and
 * deviceN needs iommuN. "Needs" means that the other device has been preserved
 * before, in the same session; otherwise preserving is refused with -ENXIO. The
 * needs can be changed in debugfs, so they can form any graph, even one with a
 * cycle.
 *
 * A device holds a few kilobytes of contents, which are written to it and
 * survive the kexec. All devices of kind deviceN share one state. It is created
 * when the first of them is preserved, and dropped with the last.
 *
 * Each callback writes a line to the kernel's log, with a number that counts
 * callbacks since boot: the order of lines is the order in which LUO called.
 */
#ifndef _LUO_LAB_H
#define _LUO_LAB_H

#include <linux/build_bug.h>
#include <linux/container_of.h>
#include <linux/liveupdate.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/types.h>

struct seq_file;

#define LUO_LAB_PER_KIND	8

enum luo_lab_kind {
	LUO_LAB_MEMORY,
	LUO_LAB_IOMMU,
	LUO_LAB_DEVICE,
	LUO_LAB_KINDS,
};

#define LUO_LAB_DEVICES		(LUO_LAB_KINDS * LUO_LAB_PER_KIND)

enum luo_lab_op {
	LUO_LAB_PRESERVE,
	LUO_LAB_FREEZE,
	LUO_LAB_RETRIEVE,
	LUO_LAB_FINISH,
	LUO_LAB_OPS,
};

/* Operations of the next kernel, whose switches travel with the device. */
#define LUO_LAB_FIRST_INCOMING	LUO_LAB_RETRIEVE
#define LUO_LAB_INCOMING_OPS	(LUO_LAB_OPS - LUO_LAB_FIRST_INCOMING)

/**
 * struct luo_lab_switch - What an operation on a device does in addition.
 * @error:    Positive errno it fails with; 0 for none.
 * @delay_ms: Time it takes before anything else, in milliseconds.
 */
struct luo_lab_switch {
	u32 error;
	u32 delay_ms;
};

#define LUO_LAB_NOTHING		U32_MAX

/**
 * struct luo_lab_ser - A device as it is handed to the next kernel: one page.
 * @number:   Which of its kind; the kind follows from the handler.
 * @needs:    Index of the device it needs, or LUO_LAB_NOTHING.
 * @adopted:  Set by the next kernel once @switches are its own.
 * @length:   Bytes used of @contents.
 * @switches: What retrieve and finish are to do.
 * @contents: What was written to the device.
 *
 * Changing this means changing the handlers' compatible strings.
 */
struct luo_lab_ser {
	u32 number;
	u32 needs;
	u32 adopted;
	u32 length;
	struct luo_lab_switch switches[LUO_LAB_INCOMING_OPS];
	u8 contents[];
} __packed;

#define LUO_LAB_CONTENTS_MAX	(PAGE_SIZE - sizeof(struct luo_lab_ser))

enum luo_lab_state {
	LUO_LAB_IDLE,
	LUO_LAB_PRESERVED,
	LUO_LAB_FROZEN,
};

/**
 * struct luo_lab_device - One character device.
 * @misc:       Its node, /dev/luo_lab/NAME.
 * @name:       Its kind and number, such as "iommu3".
 * @misc_name:  Its name in sysfs.
 * @node_name:  Its path under /dev.
 * @kind:       Its kind.
 * @number:     Which of its kind.
 * @switches:   What each operation is to do besides. Not under the lock: a
 *              switch thrown during an operation takes effect when it does.
 * @needs:      What must have been preserved before it, or NULL.
 * @state:      How far it is on the way to the next kernel.
 * @session:    Session it is preserved in. Only compared, never followed.
 * @held:       The device it needed when it was preserved, or NULL.
 * @holders:    How many preserved devices need this one.
 * @awaits:     The device it needed in the previous kernel, or NULL.
 * @attempted:  It has been retrieved from the previous kernel, or that failed,
 *              and it is not finished yet.
 * @length:     Bytes used of @contents.
 * @contents:   What was written to it.
 *
 * Everything that changes is under luo_lab_lock, but for @switches.
 */
struct luo_lab_device {
	struct miscdevice misc;
	char name[16];
	char misc_name[24];
	char node_name[24];
	enum luo_lab_kind kind;
	unsigned int number;
	struct luo_lab_switch switches[LUO_LAB_OPS];

	struct luo_lab_device *needs;
	enum luo_lab_state state;
	const void *session;
	struct luo_lab_device *held;
	unsigned int holders;
	struct luo_lab_device *awaits;
	bool attempted;
	size_t length;
	u8 *contents;
};

/* Innermost: nothing of LUO is called while it is held. */
extern struct mutex luo_lab_lock;
extern struct luo_lab_device luo_lab_devices[LUO_LAB_DEVICES];
extern const struct file_operations luo_lab_fops;

/**
 * struct luo_lab_handler - LUO's handler for one kind of device.
 * @lu:   What LUO knows of it.
 * @kind: The kind.
 */
struct luo_lab_handler {
	struct liveupdate_file_handler lu;
	enum luo_lab_kind kind;
};

/* The kind of device that one of our handlers is for. */
static inline enum luo_lab_kind luo_lab_kind_of(const struct liveupdate_file_handler *handler)
{
	return container_of_const(handler, struct luo_lab_handler, lu)->kind;
}

/*
 * Each file calls only those below it: main; files; incoming; switches;
 * shared and session; core.
 */
struct luo_lab_device *luo_lab_of_file(const struct file *file);
u32 luo_lab_index(const struct luo_lab_device *dev);
__printf(4, 5)
void luo_lab_log(const char *name, const char *op, int err, const char *why, ...);

int __init luo_lab_files_init(void);

int luo_lab_retrieve(struct liveupdate_file_op_args *args);
bool luo_lab_can_finish(struct liveupdate_file_op_args *args);
void luo_lab_finish(struct liveupdate_file_op_args *args);

int __init luo_lab_shared_init(struct liveupdate_file_handler *handler);
void luo_lab_shared_join(const struct luo_lab_device *dev);
void luo_lab_shared_leave(const struct luo_lab_device *dev);
void luo_lab_shared_show(struct seq_file *seq);

const void *luo_lab_session(void);

int luo_lab_act(const struct luo_lab_device *dev, enum luo_lab_op op);
void luo_lab_wait(const struct luo_lab_device *dev, enum luo_lab_op op);
void __init luo_lab_switches_init(void);

#endif /* _LUO_LAB_H */
