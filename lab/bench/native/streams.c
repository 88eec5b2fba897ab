// SPDX-License-Identifier: Apache-2.0
#include "streams.h"
#include "report.h"
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MOST_AT_ONCE 253

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int) * MOST_AT_ONCE)];
};

static int accept_from(const struct guest *guest, int listening)
{
	struct pollfd ready[] = { { guest->pidfd, POLLIN, 0 }, { listening, POLLIN, 0 } };
	int fd;

	poll(ready, 2, -1);
	if (!ready[1].revents)
		fail("the QEMU of guest %d ended while it was to be saved", guest->number);
	fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	if (fd < 0)
		fail("accept: %s", strerror(errno));
	close(listening);
	return fd;
}

/* Takes one piece in; returns its bytes, 0 at the end of the stream. */
static size_t record_piece(struct guest *guest, struct guest_state *state, keep_file keep, int socket)
{
	union control control;
	struct iovec data = { state->data + state->cpr_bytes, STATE_BYTES - state->cpr_bytes };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	struct piece *piece = &state->piece[state->pieces];
	ssize_t got;

	message.msg_control = &control;
	message.msg_controllen = sizeof(control);
	got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	if (got < 0 || message.msg_flags & MSG_CTRUNC)
		fail("the CPR stream of guest %d: %s", guest->number, got < 0 ? strerror(errno) : "descriptors were lost");
	if (!got)
		return 0;
	if (state->pieces == MOST_PIECES)
		fail("the CPR stream of guest %d has more than %d pieces", guest->number, MOST_PIECES);
	*piece = (struct piece){ .bytes = got };
	for (struct cmsghdr *part = CMSG_FIRSTHDR(&message); part; part = CMSG_NXTHDR(&message, part)) {
		int *files = (int *)CMSG_DATA(part);
		int count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (state->files + count > MOST_FILES)
			fail("guest %d has more than %d files", guest->number, MOST_FILES);
		for (int i = 0; i < count; i++) {
			state->token[state->files++] = keep(guest, files[i]);
			close(files[i]);
		}
		piece->files += count;
	}
	state->pieces++;
	state->cpr_bytes += got;
	return got;
}

int record_cpr(struct guest *guest, struct guest_state *state, keep_file keep, int listening_cpr)
{
	int socket;

	state->pieces = state->files = state->cpr_bytes = state->main_bytes = 0;
	qmp_command(&guest->qmp, "{\"execute\": \"migrate-set-parameters\", \"arguments\": {\"mode\": \"cpr-transfer\"}}");
	qmp_command(&guest->qmp,
		    "{\"execute\": \"migrate\", \"arguments\": {\"channels\": ["
		    "{\"channel-type\": \"main\", \"addr\": {\"transport\": \"socket\", \"type\": \"unix\","
		    " \"path\": \"" RUN_DIRECTORY "/%d.main\"}},"
		    "{\"channel-type\": \"cpr\", \"addr\": {\"transport\": \"socket\", \"type\": \"unix\","
		    " \"path\": \"" RUN_DIRECTORY "/%d.cpr\"}}]}}",
		    guest->number, guest->number);
	socket = accept_from(guest, listening_cpr);
	while (record_piece(guest, state, keep, socket))
		;
	return socket;
}

void record_main(struct guest *guest, struct guest_state *state, int listening_main)
{
	int socket = accept_from(guest, listening_main);
	size_t filled = state->cpr_bytes;
	ssize_t got;

	while ((got = read(socket, state->data + filled, STATE_BYTES - filled)) > 0)
		filled += got;
	if (got < 0 || filled == STATE_BYTES)
		fail("the state of guest %d: %s", guest->number, got < 0 ? strerror(errno) : "it does not fit");
	close(socket);
	state->main_bytes = filled - state->cpr_bytes;
	while (!strstr(qmp_command(&guest->qmp, "{\"execute\": \"query-migrate\"}"), "\"completed\""))
		if (strstr(guest->qmp.buffer, "\"failed\"") || strstr(guest->qmp.buffer, "\"cancelled\""))
			fail("guest %d was not saved: %s", guest->number, guest->qmp.buffer);
}

static void play_piece(int socket, const struct piece *piece, const uint8_t *data, const int file[])
{
	union control control;
	struct iovec rest = { (void *)data, piece->bytes };
	struct msghdr message = { .msg_iov = &rest, .msg_iovlen = 1 };

	if (piece->files) {
		memset(&control, 0, sizeof(control));
		message.msg_control = &control;
		message.msg_controllen = CMSG_SPACE(piece->files * sizeof(int));
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(piece->files * sizeof(int));
		memcpy(CMSG_DATA(&control.header), file, piece->files * sizeof(int));
	}
	while (rest.iov_len) {
		ssize_t sent = sendmsg(socket, &message, MSG_NOSIGNAL);

		if (sent < 0)
			fail("playing the CPR stream: %s", strerror(errno));
		rest.iov_base = (uint8_t *)rest.iov_base + sent;
		rest.iov_len -= sent;
		/* Descriptors go with the first byte, once. */
		message.msg_controllen = 0;
	}
}

void play_cpr(const struct guest *guest, const struct guest_state *state, const int file[])
{
	int socket = guest_connect(guest, "cpr");
	const uint8_t *data = state->data;

	for (unsigned i = 0; i < state->pieces; i++) {
		play_piece(socket, &state->piece[i], data, file);
		data += state->piece[i].bytes;
		file += state->piece[i].files;
	}
	close(socket);
}

void play_main(const struct guest *guest, const struct guest_state *state, int socket)
{
	const uint8_t *data = state->data + state->cpr_bytes, *end = data + state->main_bytes;

	while (data < end) {
		ssize_t sent = send(socket, data, end - data, MSG_NOSIGNAL);

		if (sent < 0)
			fail("playing the state of guest %d: %s", guest->number, strerror(errno));
		data += sent;
	}
	shutdown(socket, SHUT_WR);
}
