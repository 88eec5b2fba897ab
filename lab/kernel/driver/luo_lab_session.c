// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which session a file is being preserved in.
 *
 * LUO does not tell a handler: struct liveupdate_file_op_args has no session in
 * it. A handler of this kernel can know that a file it depends on is preserved,
 * but not whether it is in the same session. The lab needs to know.
 *
 * A file is preserved by an ioctl on the session's descriptor, under that
 * session's mutex. Of the sessions that the calling process has open, the
 * calling thread holds the mutex of exactly one. That is the session.
 *
 * The answer is an address to compare with others. A session lives at least as
 * long as any file is preserved in it, so two preserved files with the same
 * address are in the same session.
 */

#include <linux/dcache.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <linux/mutex.h>
#include <linux/sched.h>
#include <linux/string.h>

#include "../../kernel/liveupdate/luo_internal.h"
#include "luo_lab.h"

#define SESSION_PREFIX "[luo_session] "

/* The name is not enough: anybody can give an ordinary file the same. */
static bool is_session(const struct file *file)
{
	const struct dentry *dentry = file->f_path.dentry;

	return dentry->d_sb->s_magic == ANON_INODE_FS_MAGIC &&
	       !strncmp(dentry->d_name.name, SESSION_PREFIX, strlen(SESSION_PREFIX));
}

/* Called with the table of descriptors locked, so that the file stays. */
static int session_in_use(const void *result, struct file *file, unsigned int fd)
{
	struct luo_session *session;

	if (!is_session(file))
		return 0;

	session = file->private_data;
	if (mutex_get_owner(&session->mutex) != (unsigned long)current)
		return 0;

	*(const void **)result = session;
	return 1;
}

/**
 * luo_lab_session - The session the calling thread is preserving a file in.
 *
 * Context: In a handler's .preserve().
 * Return: Its address, not to be followed; NULL if another thread has closed
 * the last descriptor of the session during the call.
 */
const void *luo_lab_session(void)
{
	const void *session = NULL;

	iterate_fd(current->files, 0, session_in_use, &session);

	return session;
}
