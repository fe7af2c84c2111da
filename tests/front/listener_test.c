/* Listening when descriptors have run out: callers are let go or wait, the loop does not spin, and all is well when
 * there are some again. */
#include "front/support.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define FILLERS_MOST 4096

/* A turn of the loop takes as long as the stage's tick if nothing happens; a loop that spins makes thousands. */
#define WATCHED_MS 400
#define TURNS_MOST 400

static struct stage stage;
static struct rlimit kept_limit;
static int fillers[FILLERS_MOST];
static size_t fillers_count;

static int highest_descriptor(void)
{
	DIR *folder = opendir("/proc/self/fd");
	const struct dirent *entry;
	int highest = 0;

	assert_non_null(folder);
	while ((entry = readdir(folder))) {
		int fd = (int)strtol(entry->d_name, NULL, 10);

		if (fd > highest && fd != dirfd(folder))
			highest = fd;
	}
	closedir(folder);
	return highest;
}

static void set_limit(rlim_t limit)
{
	assert_int_equal(
		setrlimit(RLIMIT_NOFILE,
	                  &(struct rlimit){.rlim_cur = limit, .rlim_max = kept_limit.rlim_max}),
		0);
}

/* From now on no descriptor can be had but by closing one. */
static void run_out(void)
{
	set_limit((rlim_t)highest_descriptor() + 1);
	while ((fillers[fillers_count] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0) {
		fillers_count++;
		assert_true(fillers_count < FILLERS_MOST);
	}
}

/* And not even by that. */
static void run_out_for_good(void)
{
	set_limit(3);
}

static int keep_limit(void **state)
{
	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &kept_limit), 0);
	return 0;
}

static int restore_limit(void **state)
{
	(void)state;
	set_limit(kept_limit.rlim_cur);
	while (fillers_count)
		close(fillers[--fillers_count]);
	return 0;
}

static void watch_turns(void)
{
	uint64_t before = stage.turns;

	pass(&stage, WATCHED_MS);
	if (stage.turns - before > TURNS_MOST)
		fail_msg("%llu turns", (unsigned long long)(stage.turns - before));
}

/* What is opened before the descriptors run out, since clients live in this process too. */
static void create_clients(struct client **clients, size_t count)
{
	for (size_t i = 0; i < count; i++)
		clients[i] = client_create(&stage);
}

static void callers_beyond_the_descriptors_are_dropped(void **state)
{
	struct client *clients[6];
	struct client *first;

	(void)state;
	stage_begin(&stage);
	stage_open(&stage);
	first = client_open_session(&stage, false);
	create_clients(clients, 6);
	run_out();
	for (int i = 0; i < 6; i++)
		client_connect(&stage, clients[i], i % 2);
	for (int i = 0; i < 6; i++)
		await(&stage, clients[i]->is_ended);
	watch_turns();
	/* Who was there stays. */
	client_send_message(first, "hello", 5);
	await(&stage, stage.dispatcher.messages == 1);
	restore_limit(NULL);
	for (int i = 0; i < 2; i++)
		client_open_session(&stage, i);
	assert_int_equal(stage_sessions(&stage), 3);
	stage_close(&stage);
}

static void callers_wait_while_not_even_the_spare_descriptor_helps(void **state)
{
	struct client *clients[2];

	(void)state;
	stage_begin(&stage);
	stage_open(&stage);
	create_clients(clients, 2);
	run_out_for_good();
	for (int i = 0; i < 2; i++) {
		client_connect(&stage, clients[i], i);
		client_send_upgrade(clients[i], "");
	}
	watch_turns();
	assert_false(clients[0]->is_ended || clients[1]->is_ended);
	restore_limit(NULL);
	await(&stage, stage_sessions(&stage) == 2);
	/* The spare was given up in vain; it is there again for the next time. */
	create_clients(clients, 2);
	run_out();
	for (int i = 0; i < 2; i++)
		client_connect(&stage, clients[i], i);
	for (int i = 0; i < 2; i++)
		await(&stage, clients[i]->is_ended);
	restore_limit(NULL);
	stage_close(&stage);
}

static void resting_listener_can_be_closed(void **state)
{
	struct client *client;

	(void)state;
	stage_begin(&stage);
	stage_open(&stage);
	client = client_create(&stage);
	run_out_for_good();
	client_connect(&stage, client, false);
	pass(&stage, 20);
	restore_limit(NULL);
	websocket_door_stop_listening(stage.door);
	stage_close(&stage);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(callers_beyond_the_descriptors_are_dropped,
	                                        keep_limit, restore_limit),
		cmocka_unit_test_setup_teardown(
			callers_wait_while_not_even_the_spare_descriptor_helps, keep_limit,
			restore_limit),
		cmocka_unit_test_setup_teardown(resting_listener_can_be_closed, keep_limit,
	                                        restore_limit),
	};

	return cmocka_run_group_tests(tests, stage_setup, stage_teardown);
}
