#include "plugin/clients.h"
#include "plugin/online.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define GRACE_MS 5000

static struct timers timers;
static struct online *online;
static struct clients *clients;
static char told[256];   /* what was said: + for online, - for offline, and the user */
static char kicked[256]; /* client ids, a space after each */

static const struct principal alice = {PRINCIPAL_USER, {"alice"}, {"phone"}};
static const struct principal shop = {PRINCIPAL_SERVICE, {"shop"}, {"1"}};
static const char keys[3];

static void say(void *context, const struct user_id *user, enum presence word)
{
	size_t size = strlen(told);

	(void)context;
	snprintf(told + size, sizeof(told) - size, "%s%s", word == PRESENCE_ONLINE ? "+" : "-",
	         user->text);
}

static void kick(void *context, const char *client_id)
{
	size_t size = strlen(kicked);

	(void)context;
	snprintf(kicked + size, sizeof(kicked) - size, "%s ", client_id);
	/* As Mosquitto does from within, where it is still there. */
	clients_go(clients, &keys[0]);
}

static int setup(void **state)
{
	(void)state;
	told[0] = '\0';
	kicked[0] = '\0';
	timers_init(&timers, 1000);
	online = online_create(&(struct online_needs){NULL, say}, &timers, GRACE_MS);
	clients = clients_create(&(struct clients_needs){NULL, kick}, &timers, online);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	clients_destroy(clients);
	online_destroy(online);
	timers_done(&timers);
	return 0;
}

static void the_first_client_is_told_at_once_and_the_last_after_the_grace(void **state)
{
	(void)state;
	clients_come(clients, &keys[0], "alice/phone", &alice, UINT64_MAX);
	clients_come(clients, &keys[1], "alice/tablet", &alice, UINT64_MAX);
	assert_string_equal(told, "+alice");
	clients_go(clients, &keys[0]);
	timers_turn(&timers, 1000 + GRACE_MS);
	clients_go(clients, &keys[1]);
	timers_turn(&timers, 1000 + 2 * GRACE_MS - 1);
	assert_string_equal(told, "+alice");
	timers_turn(&timers, 1000 + 2 * GRACE_MS);
	assert_string_equal(told, "+alice-alice");
}

static void who_comes_back_within_the_grace_was_never_away(void **state)
{
	(void)state;
	clients_come(clients, &keys[0], "alice/phone", &alice, UINT64_MAX);
	clients_go(clients, &keys[0]);
	timers_turn(&timers, 1000 + GRACE_MS - 1);
	clients_come(clients, &keys[1], "alice/phone", &alice, UINT64_MAX);
	timers_turn(&timers, 1000 + 10 * GRACE_MS);
	assert_string_equal(told, "+alice");
}

static void a_takeover_is_no_change(void **state)
{
	(void)state;
	clients_come(clients, &keys[0], "alice/phone", &alice, UINT64_MAX);
	clients_come(clients, &keys[1], "alice/phone", &alice, UINT64_MAX);
	clients_go(clients, &keys[0]);
	timers_turn(&timers, 1000 + 10 * GRACE_MS);
	assert_string_equal(told, "+alice");
	assert_int_equal(clients_count(clients), 1);
}

static void the_same_connection_judged_again_counts_once(void **state)
{
	(void)state;
	clients_come(clients, &keys[0], "alice/phone", &alice, UINT64_MAX);
	clients_come(clients, &keys[0], "alice/phone", &alice, UINT64_MAX);
	clients_go(clients, &keys[0]);
	clients_go(clients, &keys[0]);
	timers_turn(&timers, 1000 + GRACE_MS);
	assert_string_equal(told, "+alice-alice");
}

static void who_is_asked_for_is_told_again_if_here(void **state)
{
	(void)state;
	online_on_question(online, &alice.name);
	assert_string_equal(told, "");
	clients_come(clients, &keys[0], "alice/phone", &alice, UINT64_MAX);
	online_on_question(online, &alice.name);
	assert_string_equal(told, "+alice+alice");
}

static void services_have_no_presence(void **state)
{
	(void)state;
	clients_come(clients, &keys[0], "service:shop/1", &shop, UINT64_MAX);
	clients_go(clients, &keys[0]);
	timers_turn(&timers, 1000 + GRACE_MS);
	assert_string_equal(told, "");
}

static void an_expired_token_ends_its_connection(void **state)
{
	(void)state;
	clients_come(clients, &keys[0], "alice/phone", &alice, 60000);
	clients_come(clients, &keys[1], "service:shop/1", &shop, 90000);
	timers_turn(&timers, 1000 + 59999);
	assert_string_equal(kicked, "");
	timers_turn(&timers, 1000 + 60000);
	assert_string_equal(kicked, "alice/phone ");
	/* One that Mosquitto has forgotten is forgotten here too. */
	timers_turn(&timers, 1000 + 90000);
	assert_string_equal(kicked, "alice/phone service:shop/1 ");
	assert_int_equal(clients_count(clients), 0);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(the_first_client_is_told_at_once_and_the_last_after_the_grace),
		test(who_comes_back_within_the_grace_was_never_away),
		test(a_takeover_is_no_change),
		test(the_same_connection_judged_again_counts_once),
		test(who_is_asked_for_is_told_again_if_here),
		test(services_have_no_presence),
		test(an_expired_token_ends_its_connection),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
