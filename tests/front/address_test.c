#include "front/listener.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

static uint16_t port_of(int fd)
{
	struct sockaddr_storage address = {0};
	socklen_t size = sizeof(address);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	return ntohs(address.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&address)->sin6_port
	                                           : ((struct sockaddr_in *)&address)->sin_port);
}

static void what_is_no_address_is_refused_and_named(void **state)
{
	static const char *const wrong[] = {
		"",      ":",         "127.0.0.1",    "127.0.0.1:http",      "example.com:80",
		":8080", "[::1:8080", "1.2.3.4.5:80", "127.0.0.1:123456789",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		struct outcome outcome = outcome_ok();

		if (listener_socket(wrong[i], &outcome) != -1)
			fail_msg("%s was taken", wrong[i]);
		assert_int_equal(outcome.code, OUTCOME_INVALID_ARGUMENT);
		assert_non_null(strstr(outcome.text, wrong[i]));
	}
}

static void addresses_in_every_spelling_listen(void **state)
{
	static const char *const right[] = {"127.0.0.1:0", "localhost:0", "[::1]:0", "*:0"};

	(void)state;
	for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++) {
		struct outcome outcome = outcome_ok();
		int fd = listener_socket(right[i], &outcome);

		if (fd < 0)
			fail_msg("%s: %s", right[i], outcome.text);
		assert_int_not_equal(port_of(fd), 0);
		close(fd);
	}
}

/* Workers share their addresses: the kernel gives each a part of the connections. */
static void two_may_listen_on_one_address(void **state)
{
	struct outcome outcome = outcome_ok();
	int first = listener_socket("127.0.0.1:0", &outcome);
	char address[32];
	int second;

	(void)state;
	assert_true(first >= 0);
	snprintf(address, sizeof(address), "127.0.0.1:%u", port_of(first));
	second = listener_socket(address, &outcome);
	assert_true(second >= 0);
	assert_int_equal(port_of(second), port_of(first));
	close(first);
	close(second);
}

static void an_address_of_another_machine_is_unavailable(void **state)
{
	struct outcome outcome = outcome_ok();

	(void)state;
	assert_int_equal(listener_socket("192.0.2.1:0", &outcome), -1);
	assert_int_equal(outcome.code, OUTCOME_UNAVAILABLE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_no_address_is_refused_and_named),
		cmocka_unit_test(addresses_in_every_spelling_listen),
		cmocka_unit_test(two_may_listen_on_one_address),
		cmocka_unit_test(an_address_of_another_machine_is_unavailable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
