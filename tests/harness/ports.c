/* ports - holds free ports of 127.0.0.1 and tells their numbers, until nobody reads its output any more.
 *
 *   exec {held}< <(ports 3)
 *   read -r one two three <&"$held"
 *
 * A port that was only found free is another's a moment later. These are bound, so that the kernel gives them
 * to nobody else who asks for any port, and do not listen, so that a server which sets SO_REUSEADDR, as all
 * servers here do, may still listen there.
 */
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define PORTS_MOST 32

static _Noreturn void die(const char *what)
{
	perror(what);
	exit(1);
}

static int hold_one(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
	                              .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t size = sizeof(address);
	const int on = 1;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		die("socket");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on)) != 0 ||
	    bind(fd, (struct sockaddr *)&address, size) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &size) != 0)
		die("bind");
	return ntohs(address.sin_port);
}

int main(int argc, char **argv)
{
	struct pollfd output = {.fd = STDOUT_FILENO};
	long count = argc == 2 ? strtol(argv[1], NULL, 10) : 0;

	if (count < 1 || count > PORTS_MOST) {
		fprintf(stderr, "usage: ports COUNT\n");
		return 2;
	}
	for (long i = 0; i < count; i++)
		printf("%d%c", hold_one(), i + 1 < count ? ' ' : '\n');
	if (fflush(stdout) != 0)
		die("write");
	/* POLLERR comes unasked when the last reader has closed, however it ended. */
	while (poll(&output, 1, -1) < 0)
		;
	return 0;
}
