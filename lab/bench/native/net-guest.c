// SPDX-License-Identifier: Apache-2.0
/*
 * The init of a Linux guest that is on a network and writes to a disk. Its kernel answers pings. Every 10 ms it writes a
 * block to its disk and waits until that is there. On the console it prints a line once a second, and one for each write
 * that takes 50 ms or longer. Times are microseconds of CLOCK_MONOTONIC, which stops while the guest is stopped:
 *
 *     writes=N at=US
 *     write=N at=US took=US
 */
#include <arpa/inet.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PERIOD_US 10000
#define REPORT_US 1000000
#define SLOW_US 50000
#define BLOCK 4096

static void fail(const char *what)
{
	perror(what);
	for (;;)
		pause();
}

static long long now_us(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec * 1000000ll + time.tv_nsec / 1000;
}

static void address(struct sockaddr *into, const char *text)
{
	struct sockaddr_in given = { .sin_family = AF_INET };

	inet_pton(AF_INET, text, &given.sin_addr);
	memcpy(into, &given, sizeof(given));
}

/* Gives eth0 its address and a way to everybody else. The kernel's command line has both as variables. */
static void join_network(void)
{
	const char *own = getenv("own"), *gateway = getenv("gateway");
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq request = { .ifr_name = "eth0" };
	struct rtentry route = { .rt_flags = RTF_UP | RTF_GATEWAY };

	if (!own || !gateway || fd < 0)
		fail("own= and gateway=");
	address(&request.ifr_addr, own);
	if (ioctl(fd, SIOCSIFADDR, &request))
		fail("address");
	address(&request.ifr_netmask, "255.255.255.0");
	if (ioctl(fd, SIOCSIFNETMASK, &request))
		fail("netmask");
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &request))
		fail("up");
	address(&route.rt_gateway, gateway);
	address(&route.rt_dst, "0.0.0.0");
	address(&route.rt_genmask, "0.0.0.0");
	if (ioctl(fd, SIOCADDRT, &route))
		fail("route");
	close(fd);
}

int main(void)
{
	static char block[BLOCK] __attribute__((aligned(BLOCK)));
	int console = open("/dev/console", O_RDWR | O_NOCTTY), disk;
	long long reported;

	for (int fd = 0; console >= 0 && fd < 3; fd++)
		dup2(console, fd);
	setvbuf(stdout, NULL, _IOLBF, 0);
	mkdir("/dev", 0755);
	mount("dev", "/dev", "devtmpfs", 0, NULL);
	join_network();
	disk = open("/dev/vda", O_RDWR | O_DIRECT | O_DSYNC | O_CLOEXEC);
	if (disk < 0)
		fail("/dev/vda");
	reported = now_us();
	for (unsigned long writes = 1;; writes++) {
		long long began = now_us(), took;

		memcpy(block, &writes, sizeof(writes));
		if (pwrite(disk, block, BLOCK, 0) != BLOCK)
			fail("write");
		took = now_us() - began;
		if (took >= SLOW_US)
			printf("write=%lu at=%lld took=%lld\n", writes, began + took, took);
		if (now_us() - reported >= REPORT_US) {
			reported = now_us();
			printf("writes=%lu at=%lld\n", writes, reported);
		}
		if (took < PERIOD_US)
			usleep(PERIOD_US - took);
	}
}
