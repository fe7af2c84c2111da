/* Who may come in: the bound of handshakes, the bound of an address, and what proxies say. */
#include "front/admission.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <netinet/in.h>

#define PEER "192.0.2.1"
#define PROXY "10.0.0.9"
#define VISITORS 8

static const char *const proxies[] = {"10.0.0.0/8", "::1", NULL};
static struct visitor visitors[VISITORS];
static bool is_full;
static int changes;

static void on_full(void *context, bool is_full_now)
{
	(void)context;
	assert_true(is_full != is_full_now);
	is_full = is_full_now;
	changes++;
}

static struct admission *create(uint32_t handshakes, uint32_t connections)
{
	const struct admission_options options = {
		.handshakes = handshakes,
		.connections_of_address = connections,
		.trusted_proxies = proxies,
		.on_full = on_full,
	};
	struct outcome outcome = outcome_ok();
	struct admission *admission = admission_create(&options, &outcome);

	assert_non_null(admission);
	memset(visitors, 0, sizeof(visitors));
	is_full = false;
	changes = 0;
	return admission;
}

static bool enter(struct admission *admission, int place, const char *peer)
{
	struct sockaddr_in socket = {.sin_family = AF_INET};

	assert_int_equal(inet_pton(AF_INET, peer, &socket.sin_addr), 1);
	return admission_enter(admission, &visitors[place], (struct sockaddr *)&socket);
}

static void leave_all(struct admission *admission)
{
	for (int i = 0; i < VISITORS; i++)
		admission_leave(admission, &visitors[i]);
	admission_destroy(admission);
	assert_false(is_full);
}

static void handshakes_at_their_bound_are_told_and_again_when_there_is_room(void **state)
{
	struct admission *admission = create(2, 0);

	(void)state;
	assert_true(enter(admission, 0, PEER));
	assert_false(is_full);
	assert_true(enter(admission, 1, PEER));
	assert_true(is_full);
	/* Those that were accepted in the same moment come in all the same. */
	assert_true(enter(admission, 2, PEER));
	assert_int_equal(admission_under_way(admission), 3);
	admission_leave(admission, &visitors[2]);
	assert_true(is_full);
	admission_settle(admission, &visitors[0]);
	assert_false(is_full);
	assert_true(enter(admission, 3, PEER));
	assert_true(is_full);
	admission_leave(admission, &visitors[3]);
	assert_false(is_full);
	/* Who has settled ends no handshake by leaving. */
	admission_leave(admission, &visitors[0]);
	assert_int_equal(admission_under_way(admission), 1);
	assert_int_equal(changes, 4);
	leave_all(admission);
}

static void connections_beyond_the_bound_of_an_address_are_refused(void **state)
{
	struct admission *admission = create(100, 2);

	(void)state;
	for (int i = 0; i < 4; i++) {
		assert_true(enter(admission, i, PEER));
		assert_int_equal(admission_ask(admission, &visitors[i], NULL),
		                 i < 2 ? ADMISSION_GOOD : ADMISSION_TOO_MANY);
	}
	/* Twice as many are not even heard; others are. */
	assert_false(enter(admission, 4, PEER));
	assert_true(enter(admission, 5, "192.0.2.2"));
	assert_int_equal(admission_ask(admission, &visitors[5], NULL), ADMISSION_GOOD);
	for (int i = 0; i < 4; i++)
		admission_leave(admission, &visitors[i]);
	assert_true(enter(admission, 6, PEER));
	assert_int_equal(admission_ask(admission, &visitors[6], NULL), ADMISSION_GOOD);
	leave_all(admission);
}

static void without_a_bound_an_address_has_any_number(void **state)
{
	struct admission *admission = create(100, 0);

	(void)state;
	for (int i = 0; i < VISITORS; i++) {
		assert_true(enter(admission, i, i % 2 ? PEER : PROXY));
		assert_int_equal(admission_ask(admission, &visitors[i], "nonsense"),
		                 ADMISSION_GOOD);
	}
	leave_all(admission);
}

static void connections_of_a_trusted_proxy_count_for_whom_it_names(void **state)
{
	static const struct {
		const char *forwarded;
		enum admission_answer answer;
	} cases[] = {
		{PEER, ADMISSION_GOOD},
		{"192.0.2.2", ADMISSION_GOOD},
		{PEER, ADMISSION_TOO_MANY},
		/* What the client wrote itself stands before. */
		{"203.0.113.1, " PEER, ADMISSION_TOO_MANY},
		{PEER ", 203.0.113.1", ADMISSION_GOOD},
		{"unknown", ADMISSION_NO_ADDRESS},
		{NULL, ADMISSION_GOOD},
		{NULL, ADMISSION_GOOD},
	};
	struct admission *admission = create(100, 1);

	(void)state;
	for (int i = 0; i < VISITORS; i++) {
		assert_true(enter(admission, i, PROXY));
		if (admission_ask(admission, &visitors[i], cases[i].forwarded) != cases[i].answer)
			fail_msg("case %d", i);
	}
	leave_all(admission);
}

static void others_are_not_believed(void **state)
{
	struct admission *admission = create(100, 1);

	(void)state;
	assert_true(enter(admission, 0, PEER));
	assert_int_equal(admission_ask(admission, &visitors[0], "203.0.113.1"), ADMISSION_GOOD);
	assert_true(enter(admission, 1, PEER));
	assert_int_equal(admission_ask(admission, &visitors[1], "203.0.113.2"), ADMISSION_TOO_MANY);
	leave_all(admission);
}

static void proxy_that_is_no_address_is_told(void **state)
{
	static const char *const wrong[] = {"10.0.0.0/8", "proxy.example", NULL};
	struct outcome outcome = outcome_ok();

	(void)state;
	assert_null(
		admission_create(&(struct admission_options){.trusted_proxies = wrong}, &outcome));
	assert_non_null(strstr(outcome.text, "proxy.example"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(handshakes_at_their_bound_are_told_and_again_when_there_is_room),
		cmocka_unit_test(connections_beyond_the_bound_of_an_address_are_refused),
		cmocka_unit_test(without_a_bound_an_address_has_any_number),
		cmocka_unit_test(connections_of_a_trusted_proxy_count_for_whom_it_names),
		cmocka_unit_test(others_are_not_believed),
		cmocka_unit_test(proxy_that_is_no_address_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
