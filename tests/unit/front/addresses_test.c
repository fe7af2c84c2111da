/* Addresses as sockets, proxies and settings name them, and how they are counted. */
#include "front/addresses.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#define TOO_LONG "1111111111111111111111111111111111111111111111111111111111111111111111"

/* As a range of one address, which is the way that a setting names it. */
static struct address address_of(const char *text)
{
	struct address_range range;

	if (!address_range_from_text(text, &range))
		fail_msg("%s", text);
	assert_int_equal(range.bits, 128);
	return range.address;
}

static void sockets_have_an_address(void **state)
{
	struct sockaddr_in ipv4 = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(0x0a000102)};
	struct sockaddr_in6 ipv6 = {.sin6_family = AF_INET6};
	const struct sockaddr other = {.sa_family = AF_UNIX};
	struct address expected;
	struct address address;

	(void)state;
	expected = address_of("10.0.1.2");
	assert_true(address_of_socket((struct sockaddr *)&ipv4, &address));
	assert_memory_equal(&address, &expected, sizeof(address));
	/* A socket that listens on both has IPv4 callers with an IPv6 address. */
	inet_pton(AF_INET6, "::ffff:10.0.1.2", &ipv6.sin6_addr);
	assert_true(address_of_socket((struct sockaddr *)&ipv6, &address));
	assert_memory_equal(&address, &expected, sizeof(address));
	inet_pton(AF_INET6, "2001:db8::7", &ipv6.sin6_addr);
	expected = address_of("2001:db8::7");
	assert_true(address_of_socket((struct sockaddr *)&ipv6, &address));
	assert_memory_equal(&address, &expected, sizeof(address));
	assert_false(address_of_socket(&other, &address));
}

static void last_entry_of_a_header_is_believed(void **state)
{
	static const struct {
		const char *header;
		const char *address; /* NULL: none */
	} cases[] = {
		{"192.0.2.1", "192.0.2.1"},
		{" 192.0.2.1\t", "192.0.2.1"},
		{"1.2.3.4, 192.0.2.1", "192.0.2.1"},
		{"1.2.3.4,192.0.2.1", "192.0.2.1"},
		{"unknown, , 192.0.2.1", "192.0.2.1"},
		{"192.0.2.1:4711", "192.0.2.1"},
		{"2001:db8::1", "2001:db8::1"},
		{"[2001:db8::1]", "2001:db8::1"},
		{"1.2.3.4, [2001:db8::1]:4711", "2001:db8::1"},
		{"::ffff:192.0.2.1", "192.0.2.1"},
		{"", NULL},
		{",", NULL},
		{"192.0.2.1,", NULL},
		{"192.0.2.1, unknown", NULL},
		{"192.0.2.1, _hidden", NULL},
		{"192.0.2", NULL},
		{"192.0.2.256", NULL},
		{"192.0.2.1 192.0.2.2", NULL},
		{"[2001:db8::1", NULL},
		{"[2001:db8::1]x", NULL},
		{"2001:db8::1::", NULL},
		{"\"192.0.2.1\"", NULL},
		{TOO_LONG, NULL},
		{TOO_LONG "," TOO_LONG ", 192.0.2.1", "192.0.2.1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address;
		struct address expected;

		if (address_of_forwarded(cases[i].header, &address) != (cases[i].address != NULL))
			fail_msg("'%s'", cases[i].header);
		if (!cases[i].address)
			continue;
		expected = address_of(cases[i].address);
		if (memcmp(&address, &expected, sizeof(address)) != 0)
			fail_msg("'%s' is another", cases[i].header);
	}
}

static void ranges_hold_what_begins_as_they_do(void **state)
{
	static const struct {
		const char *range;
		const char *address;
		bool is_in;
	} cases[] = {
		{"10.0.0.0/8", "10.255.255.255", true},
		{"10.0.0.0/8", "11.0.0.0", false},
		{"192.0.2.128/25", "192.0.2.200", true},
		{"192.0.2.128/25", "192.0.2.100", false},
		{"192.0.2.1/32", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"0.0.0.0/0", "203.0.113.5", true},
		{"0.0.0.0/0", "2001:db8::1", false},
		{"::/0", "203.0.113.5", true},
		{"2001:db8::/32", "2001:db8:ffff::1", true},
		{"2001:db8::/32", "2001:db9::1", false},
		{"::1", "::1", true},
		{"::ffff:10.0.0.0/104", "10.1.2.3", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct address address = address_of(cases[i].address);
		struct address_range range;

		assert_true(address_range_from_text(cases[i].range, &range));
		if (address_is_in(&address, &range) != cases[i].is_in)
			fail_msg("%s in %s", cases[i].address, cases[i].range);
	}
}

static void what_is_no_range_is_refused(void **state)
{
	static const char *const cases[] = {
		"",
		"proxy",
		"10.0.0.0/",
		"10.0.0.0/33",
		"10.0.0.0/-1",
		"10.0.0.0/8x",
		"10.0.0.1/8",
		"::1/129",
		"::1/64",
		"10.0.0.0/ 8",
		"10.0.0/8",
		"[::1]",
		"10.0.0.1:80",
		TOO_LONG,
		"/8",
	};
	struct address_range range;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (address_range_from_text(cases[i], &range))
			fail_msg("'%s'", cases[i]);
	}
}

static void each_address_is_counted_by_itself(void **state)
{
	struct addresses *addresses = addresses_create();
	struct address one = address_of("192.0.2.1");
	struct address other = address_of("192.0.2.2");

	(void)state;
	assert_int_equal(addresses_count(addresses, &one), 0);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(addresses_enter(addresses, &one), i);
	assert_int_equal(addresses_enter(addresses, &other), 1);
	addresses_leave(addresses, &one);
	assert_int_equal(addresses_count(addresses, &one), 2);
	assert_int_equal(addresses_enter(addresses, &one), 3);
	for (int i = 0; i < 3; i++)
		addresses_leave(addresses, &one);
	assert_int_equal(addresses_count(addresses, &one), 0);
	assert_int_equal(addresses_count(addresses, &other), 1);
	addresses_leave(addresses, &other);
	addresses_destroy(addresses);
}

static void addresses_of_one_ipv6_subscriber_are_one(void **state)
{
	struct addresses *addresses = addresses_create();
	struct address one = address_of("2001:db8:1:2::1");
	struct address same = address_of("2001:db8:1:2:ffff:ffff:ffff:ffff");
	struct address next = address_of("2001:db8:1:3::1");
	/* All of IPv4 lies within one /64. */
	struct address ipv4 = address_of("192.0.2.1");
	struct address other_ipv4 = address_of("192.0.2.2");

	(void)state;
	addresses_enter(addresses, &one);
	assert_int_equal(addresses_enter(addresses, &same), 2);
	assert_int_equal(addresses_enter(addresses, &next), 1);
	assert_int_equal(addresses_enter(addresses, &ipv4), 1);
	assert_int_equal(addresses_enter(addresses, &other_ipv4), 1);
	addresses_leave(addresses, &one);
	addresses_leave(addresses, &one);
	addresses_leave(addresses, &next);
	addresses_leave(addresses, &ipv4);
	addresses_leave(addresses, &other_ipv4);
	addresses_destroy(addresses);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sockets_have_an_address),
		cmocka_unit_test(last_entry_of_a_header_is_believed),
		cmocka_unit_test(ranges_hold_what_begins_as_they_do),
		cmocka_unit_test(what_is_no_range_is_refused),
		cmocka_unit_test(each_address_is_counted_by_itself),
		cmocka_unit_test(addresses_of_one_ipv6_subscriber_are_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
