// SPDX-License-Identifier: GPL-2.0-only
/*
 * State shared by all devices of kind deviceN, as LUO's global state bound to
 * files (FLB). It is created when the first of them is preserved, in any
 * session. It is dropped when the last is undone or, in the next kernel,
 * finished.
 *
 * It has a random identity, which tells a state that survived from a new one.
 * Its generation is one more than that of the state the previous kernel handed
 * over. It also has the device it was created with, and its members: the
 * devices preserved at the time.
 */

#define pr_fmt(fmt) KBUILD_MODNAME ": " fmt

#include <linux/io.h>
#include <linux/kexec_handover.h>
#include <linux/printk.h>
#include <linux/random.h>
#include <linux/seq_file.h>

#include "luo_lab.h"

#define NAME "shared"

/**
 * struct shared_ser - The state, as it is handed to the next kernel.
 * @identity:   Random, never 0.
 * @generation: 1 in a kernel to which no state was handed over.
 * @creator:    Number of the device it was created with.
 * @members:    One bit for each device that is preserved.
 */
struct shared_ser {
	u64 identity;
	u64 generation;
	u32 creator;
	u32 members;
} __packed;

static_assert(LUO_LAB_PER_KIND <= 32);

/* Both under luo_lab_lock. */
static struct shared_ser *outgoing;
static struct shared_ser *incoming;
static u64 incoming_generation;

static int shared_preserve(struct liveupdate_flb_op_args *args)
{
	struct shared_ser *ser = kho_alloc_preserve(sizeof(*ser));

	if (IS_ERR(ser)) {
		luo_lab_log(NAME, "preserve", PTR_ERR(ser), "no memory to hand over");
		return PTR_ERR(ser);
	}

	ser->identity = get_random_u64() | 1;
	scoped_guard(mutex, &luo_lab_lock) {
		ser->generation = incoming_generation + 1;
		outgoing = ser;
	}
	args->obj = ser;
	args->data = virt_to_phys(ser);
	luo_lab_log(NAME, "preserve", 0, "identity %016llx", ser->identity);

	return 0;
}

static void shared_unpreserve(struct liveupdate_flb_op_args *args)
{
	struct shared_ser *ser = args->obj;

	scoped_guard(mutex, &luo_lab_lock)
		outgoing = NULL;
	luo_lab_log(NAME, "unpreserve", 0, "identity %016llx", ser->identity);
	kho_unpreserve_free(ser);
}

static int shared_retrieve(struct liveupdate_flb_op_args *args)
{
	struct shared_ser *ser = phys_to_virt(args->data);

	if (!args->data || !ser->identity) {
		luo_lab_log(NAME, "retrieve", -EBADMSG, "not a shared state");
		return -EBADMSG;
	}

	scoped_guard(mutex, &luo_lab_lock) {
		incoming = ser;
		incoming_generation = ser->generation;
	}
	args->obj = ser;
	luo_lab_log(NAME, "retrieve", 0, "identity %016llx", ser->identity);

	return 0;
}

static void shared_finish(struct liveupdate_flb_op_args *args)
{
	struct shared_ser *ser = args->obj;

	scoped_guard(mutex, &luo_lab_lock)
		incoming = NULL;
	luo_lab_log(NAME, "finish", 0, "identity %016llx", ser->identity);
	kho_restore_free(ser);
}

static const struct liveupdate_flb_ops shared_ops = {
	.preserve = shared_preserve,
	.unpreserve = shared_unpreserve,
	.retrieve = shared_retrieve,
	.finish = shared_finish,
	.owner = THIS_MODULE,
};

static struct liveupdate_flb shared_flb = {
	.ops = &shared_ops,
	.compatible = "luo-lab-shared-v1",
};

/**
 * luo_lab_shared_join - A device is preserved, and a member from now on.
 * @dev: One of kind deviceN; nothing is done for others.
 *
 * Context: With luo_lab_lock held, in .preserve(): LUO has created the state.
 */
void luo_lab_shared_join(const struct luo_lab_device *dev)
{
	lockdep_assert_held(&luo_lab_lock);

	if (dev->kind != LUO_LAB_DEVICE || WARN_ON_ONCE(!outgoing))
		return;
	if (!outgoing->members)
		outgoing->creator = dev->number;
	outgoing->members |= BIT(dev->number);
}

/**
 * luo_lab_shared_leave - A device is preserved no more.
 * @dev: One of kind deviceN; nothing is done for others.
 *
 * Context: With luo_lab_lock held, in .unpreserve(): LUO drops the state after.
 */
void luo_lab_shared_leave(const struct luo_lab_device *dev)
{
	lockdep_assert_held(&luo_lab_lock);

	if (dev->kind != LUO_LAB_DEVICE || WARN_ON_ONCE(!outgoing))
		return;
	outgoing->members &= ~BIT(dev->number);
}

static void show_one(struct seq_file *seq, const char *which, const struct shared_ser *ser)
{
	if (!ser) {
		seq_printf(seq, "%s none\n", which);
		return;
	}
	seq_printf(seq, "%s identity=%016llx generation=%llu creator=device%u members=%*pbl\n",
		   which, ser->identity, ser->generation, ser->creator, 32,
		   &(unsigned long){ ser->members });
}

/**
 * luo_lab_shared_show - Prints both states, a line each; "none" if missing.
 * @seq: Where to.
 */
void luo_lab_shared_show(struct seq_file *seq)
{
	guard(mutex)(&luo_lab_lock);
	show_one(seq, "incoming", incoming);
	show_one(seq, "outgoing", outgoing);
}

/**
 * luo_lab_shared_init - Binds the state to a handler and takes what was handed over.
 * @handler: The handler of kind deviceN, registered.
 *
 * The incoming state is looked at here, once, not when somebody asks: LUO takes
 * the number of its users from the handover only then, and would count below
 * zero if all of them were finished before.
 *
 * Return: 0, or a negative errno with nothing bound.
 */
int __init luo_lab_shared_init(struct liveupdate_file_handler *handler)
{
	void *obj;
	int err;

	err = liveupdate_register_flb(handler, &shared_flb);
	if (err)
		return err;

	err = liveupdate_flb_get_incoming(&shared_flb, &obj);
	if (!err)
		liveupdate_flb_put_incoming(&shared_flb);
	else if (err != -ENODATA && err != -ENOENT)
		pr_err("the shared state of the previous kernel is lost: %d\n", err);

	return 0;
}
