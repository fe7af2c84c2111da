/* The page's and the administrator's address against clients that are wrong, slow, or many. */
#include "front/support.h"

#include "base/memory.h"
#include "front/http_door.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 128
#define PAGE "<!doctype html><title>Martlet</title>"
#define SCRIPT "console.log(1)"
#define SECRET "not for everyone"
#define LARGE_BYTES (3u * 1024 * 1024)

static struct stage stage;
static struct http_door *door;
static uint16_t admin_port;
static bool is_closed;
static char folder[] = "/tmp/martlet-http.XXXXXX";
static const char *const names[] = {"index.html", "app-0123abcd.js", "large.bin", ".hidden",
                                    "empty.txt",  "link.html",       "pipe"};

static void path_of(char path[PATH_BYTES], const char *name)
{
	snprintf(path, PATH_BYTES, "%s/%s", folder, name);
}

static void write_file(const char *name, const void *bytes, size_t size)
{
	char path[PATH_BYTES];
	FILE *file;

	path_of(path, name);
	file = fopen(path, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, size, file), size);
	fclose(file);
}

static int setup(void **state)
{
	char path[PATH_BYTES];
	char target[PATH_BYTES];
	uint8_t *large = memory_new(LARGE_BYTES);

	assert_non_null(mkdtemp(folder));
	write_file("index.html", PAGE, strlen(PAGE));
	write_file("app-0123abcd.js", SCRIPT, strlen(SCRIPT));
	write_file("large.bin", large, LARGE_BYTES);
	write_file(".hidden", SECRET, strlen(SECRET));
	write_file("empty.txt", "", 0);
	free(large);
	/* What is no regular file is not there, and nobody waits for it. */
	path_of(target, ".hidden");
	path_of(path, "link.html");
	assert_int_equal(symlink(target, path), 0);
	path_of(path, "pipe");
	assert_int_equal(mkfifo(path, 0600), 0);
	path_of(path, "sub");
	assert_int_equal(mkdir(path, 0700), 0);
	write_file("sub/secret.txt", SECRET, strlen(SECRET));
	return stage_setup(state);
}

static int teardown(void **state)
{
	char path[PATH_BYTES];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		path_of(path, names[i]);
		unlink(path);
	}
	path_of(path, "sub/secret.txt");
	unlink(path);
	path_of(path, "sub");
	rmdir(path);
	rmdir(folder);
	return stage_teardown(state);
}

static bool is_ready(void *context, char *ret_reason, size_t size)
{
	(void)context;
	snprintf(ret_reason, size, "not yet");
	return false;
}

static char *sign_in(void *context, const char *user, int64_t *ret_expires_ms,
                     struct outcome *ret_outcome)
{
	(void)context;
	*ret_expires_ms = 1;
	if (strcmp(user, "alice") == 0)
		return memory_copy_text("a.b.c");
	*ret_outcome = outcome_invalid("user", "is not alice");
	return NULL;
}

static void open_door(uint32_t request_ms)
{
	static const struct http_door_needs needs = {.is_ready = is_ready, .sign_in = sign_in};
	char texts[3][32];
	const char *lists[3][2] = {{texts[0], NULL}, {texts[1], NULL}, {texts[2], NULL}};
	struct outcome outcome = outcome_ok();
	struct http_door_options options;

	stage_begin(&stage);
	stage.ports[0] = free_port();
	stage.ports[1] = free_port();
	admin_port = free_port();
	snprintf(texts[0], sizeof(texts[0]), "127.0.0.1:%u", stage.ports[0]);
	snprintf(texts[1], sizeof(texts[1]), "127.0.0.1:%u", stage.ports[1]);
	snprintf(texts[2], sizeof(texts[2]), "127.0.0.1:%u", admin_port);
	options = (struct http_door_options){
		.loop = &stage.loop,
		.listen = lists[0],
		.tls_listen = lists[1],
		.admin_listen = lists[2],
		.certificate_file = stage.options.certificate_file,
		.private_key_file = stage.options.private_key_file,
		.web_root = folder,
		.websocket_port = 8082,
		.websocket_tls_port = 8083,
		.request_ms = request_ms,
	};
	door = http_door_create(&options, &needs, &outcome);
	if (!door)
		fail_msg("%s", outcome.text);
	is_closed = false;
}

static void on_closed(void *context)
{
	(void)context;
	assert_false(is_closed);
	is_closed = true;
}

static void close_door(void)
{
	http_door_close(door, on_closed, NULL);
	await(&stage, is_closed);
	stage_close(&stage);
}

/* Whether as many answers are there whole as were asked for; by their Content-Length, but to HEAD. */
static bool has_answers(const struct client *client, int count, bool is_head)
{
	const char *at = (const char *)client->in.bytes;
	size_t left = client->in.size;

	for (int i = 0; i < count; i++) {
		const char *end = left ? memmem(at, left, "\r\n\r\n", 4) : NULL;
		const char *length =
			end ? memmem(at, (size_t)(end - at), "Content-Length: ", 16) : NULL;
		size_t size = end ? (size_t)(end - at) + 4 : 0;

		if (!end)
			return false;
		if (length && !is_head)
			size += strtoul(length + 16, NULL, 10);
		if (left < size)
			return false;
		at += size;
		left -= size;
	}
	return true;
}

/* Sends one request and waits for its answer. */
static struct client *ask(bool is_tls, const char *request)
{
	struct client *client = client_open(&stage, is_tls);

	client_send_text(client, request);
	await(&stage, has_answers(client, 1, strncmp(request, "HEAD", 4) == 0) || client->is_ended);
	return client;
}

static int status_of(const struct client *client)
{
	return client_waiting(client) > 12 ? (int)strtol((char *)client->in.bytes + 9, NULL, 10)
	                                   : 0;
}

#define ASK(method, path, more) method " " path " HTTP/1.1\r\nHost: localhost\r\n" more "\r\n"
#define JSON "Content-Type: application/json\r\n"

static void every_answer_forbids_what_it_does_not_need(void **state)
{
	static const struct {
		const char *request;
		int status;
	} cases[] = {
		{ASK("GET", "/", ""), 200},
		{ASK("GET", "/martlet.json", ""), 200},
		{ASK("GET", "/nothing", ""), 404},
		{ASK("DELETE", "/", ""), 405},
		{ASK("GET", "/dev/sign-in", ""), 405},
		{ASK("GET", "/v1/ws", ""), 426},
		{ASK("GET", "/martlet.json", "Host: a b\r\n"), 200},
		{ASK("POST", "/dev/sign-in", "Content-Length: 2\r\n") "{}", 415},
		{ASK("POST", "/dev/sign-in", JSON "Content-Length: 2\r\n") "{}", 400},
		{ASK("POST", "/dev/sign-in", JSON "Content-Length: 9999999999\r\n"), 413},
	};

	(void)state;
	open_door(60000);
	for (size_t i = 0; i < 2 * sizeof(cases) / sizeof(cases[0]); i++) {
		struct client *client = ask(i % 2, cases[i / 2].request);

		if (status_of(client) != cases[i / 2].status)
			fail_msg("%s: %d", cases[i / 2].request, status_of(client));
		if (client_count_text(client, "Content-Security-Policy: default-src 'none'; ") !=
		            1 ||
		    !client_has_text(client, "frame-ancestors 'none'") ||
		    !client_has_text(client, "X-Content-Type-Options: nosniff\r\n"))
			fail_msg("%s: %.*s", cases[i / 2].request, (int)client->in.size,
			         (const char *)client->in.bytes);
	}
	close_door();
}

static void other_methods_are_told_which_are_right(void **state)
{
	(void)state;
	open_door(60000);
	assert_true(client_has_text(ask(false, ASK("PUT", "/", "Content-Length: 3\r\n") "abc"),
	                            "Allow: GET, HEAD\r\n"));
	assert_true(client_has_text(ask(false, ASK("GET", "/dev/sign-in", "")), "Allow: POST\r\n"));
	close_door();
}

static void nothing_outside_the_folder_is_served(void **state)
{
	static const char *const paths[] = {
		"/../etc/passwd",
		"/..",
		"/%2e%2e/%2e%2e/etc/passwd",
		"/..%2f..%2fetc/passwd",
		"/.hidden",
		"/%2ehidden",
		"/./index.html",
		"//",
		"/sub",
		"/sub/",
		"/sub/secret.txt",
		"/sub%2fsecret.txt",
		"/link.html",
		"/pipe",
		"/index.html",
		"/index.html%00.js",
		"/large.bin/",
		"/\\..\\",
		"/%",
		"/%zz",
		"/app-0123abcd",
		"/INDEX.HTML",
		"/large.bin%20",
		"/~root",
	};

	(void)state;
	open_door(60000);
	for (size_t i = 0; i < sizeof(paths) / sizeof(paths[0]); i++) {
		char request[256];
		struct client *client;

		snprintf(request, sizeof(request), ASK("GET", "%s", ""), paths[i]);
		client = ask(false, request);
		if (status_of(client) != 404 || client_has_text(client, SECRET) ||
		    client_has_text(client, "root:"))
			fail_msg("%s: %d", paths[i], status_of(client));
	}
	/* Not from the web_root either. */
	assert_int_equal(status_of(ask(false, ASK("GET", "http://other/etc/passwd", ""))), 404);
	close_door();
}

static void files_are_served_as_they_are(void **state)
{
	struct client *client;

	(void)state;
	open_door(60000);
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		client = ask(is_tls, ASK("GET", "/", ""));
		assert_int_equal(status_of(client), 200);
		assert_true(client_has_text(client, "Cache-Control: no-cache\r\n"));
		assert_true(client_has_text(client, PAGE));
		client = ask(is_tls, ASK("GET", "/app-0123abcd.js?v=1", ""));
		assert_true(client_has_text(client, "immutable\r\n"));
		assert_true(client_has_text(client, SCRIPT));
		client = ask(is_tls, ASK("GET", "/empty.txt", ""));
		assert_int_equal(status_of(client), 200);
		assert_true(client_has_text(client, "Content-Length: 0\r\n"));
		client = ask(is_tls, ASK("GET", "/large.bin", ""));
		assert_true(client->in.size > LARGE_BYTES);
	}
	close_door();
}

static void head_is_get_without_the_body(void **state)
{
	struct client *client;

	(void)state;
	open_door(60000);
	client = ask(false, ASK("HEAD", "/", "Connection: close\r\n"));
	assert_int_equal(status_of(client), 200);
	await(&stage, client->is_ended);
	assert_true(client_has_text(client, "Content-Length: 37\r\n"));
	assert_false(client_has_text(client, "<!doctype"));
	client = ask(false, ASK("HEAD", "/nothing", "Connection: close\r\n"));
	assert_int_equal(status_of(client), 404);
	await(&stage, client->is_ended);
	assert_false(client_has_text(client, "there is no"));
	close_door();
}

static void known_file_is_not_sent_again(void **state)
{
	/* What stands before and after the file's own ETag; NULL: it is not there. */
	static const struct {
		const char *before;
		const char *after;
		int status;
	} cases[] = {
		{"", "", 304},    {"W/", "", 304},      {"\"a\", ", ", \"b\"", 304},
		{"*", NULL, 304}, {"\"a\"", NULL, 200}, {"\"\"", NULL, 200},
	};
	char etag[32] = "";
	struct client *client;

	(void)state;
	open_door(60000);
	client = ask(false, ASK("GET", "/", ""));
	assert_int_equal(sscanf(strstr((char *)client->in.bytes, "ETag: "), "ETag: %31s", etag), 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char request[256];

		snprintf(request, sizeof(request),
		         ASK("GET", "/", "Connection: close\r\nIf-None-Match: %s%s%s\r\n"),
		         cases[i].before, cases[i].after ? etag : "",
		         cases[i].after ? cases[i].after : "");
		client = ask(false, request);
		if (status_of(client) != cases[i].status)
			fail_msg("%s: %d", request, status_of(client));
		await(&stage, client->is_ended);
		assert_int_equal(client_has_text(client, PAGE), cases[i].status == 200);
		assert_true(client_has_text(client, etag));
	}
	close_door();
}

static void pipelined_requests_are_answered_in_order(void **state)
{
	(void)state;
	open_door(60000);
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client = client_open(&stage, is_tls);

		client_send_text(
			client,
			ASK("GET", "/", "") ASK("HEAD", "/nothing", "")
				ASK("POST", "/dev/sign-in",
		                    JSON
		                    "Content-Length: 16\r\n") "{\"user\":\"alice\"}" ASK("GET",
		                                                                         "/nothing",
		                                                                         ""));
		await(&stage, client_count_text(client, "HTTP/1.1 ") == 4 &&
		                      client_has_text(client, "there is no such page"));
		assert_true(memmem(client->in.bytes, client->in.size, PAGE, strlen(PAGE)) <
		            memmem(client->in.bytes, client->in.size, "a.b.c", 5));
		assert_int_equal(client_count_text(client, "there is no such page"), 1);
		assert_false(client->is_ended);
	}
	close_door();
}

static void sign_in_reads_no_more_than_it_needs(void **state)
{
	static char body[200000];
	struct client *client;

	(void)state;
	memset(body, 'x', sizeof(body) - 1);
	open_door(60000);
	/* A little too much is read, so that the connection goes on. */
	client = client_open(&stage, false);
	client_send_text(client, ASK("POST", "/dev/sign-in", JSON "Content-Length: 2000\r\n"));
	client_send(client, body, 2000);
	await(&stage, has_answers(client, 1, false));
	assert_int_equal(status_of(client), 413);
	assert_false(client->is_ended);
	/* Far too much is not, whoever it is for. */
	client = ask(false, ASK("POST", "/dev/sign-in", JSON "Content-Length: 10000000\r\n"));
	assert_int_equal(status_of(client), 413);
	await(&stage, client->is_ended);
	client = ask(true, ASK("POST", "/", "Content-Length: 10000000\r\n"));
	assert_int_equal(status_of(client), 413);
	await(&stage, client->is_ended);
	/* One that does not say how much it will be. */
	client = client_open(&stage, false);
	client_send_text(client,
	                 ASK("POST", "/dev/sign-in", JSON "Transfer-Encoding: chunked\r\n"));
	while (!client->is_ended && client->sent == client->out.size) {
		client_send_text(client, "1000\r\n");
		client_send(client, body, 0x1000);
		client_send_text(client, "\r\n");
		stage_turn(&stage);
	}
	await(&stage, client->is_ended);
	/* And a good one in parts. */
	client = client_open(&stage, false);
	client_send_text(
		client,
		ASK("POST", "/dev/sign-in",
	            JSON
	            "Transfer-Encoding: chunked\r\n") "8\r\n{\"user\":\r\n8\r\n\"alice\"}\r\n0\r\n\r\n");
	await(&stage, client_has_text(client, "a.b.c"));
	close_door();
}

static void headers_larger_than_there_is_room_for_are_refused(void **state)
{
	static char header[40000];
	struct client *client;

	(void)state;
	memset(header, 'x', sizeof(header) - 1);
	open_door(60000);
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		client = client_open(&stage, is_tls);
		client_send_text(client, "GET / HTTP/1.1\r\nHost: localhost\r\nX-Large: ");
		client_send_text(client, header);
		client_send_text(client, "\r\n\r\n");
		await(&stage, client->is_ended);
		assert_false(client_has_text(client, " 200 "));
		client = client_open(&stage, is_tls);
		client_send_text(client, "GET /");
		client_send_text(client, header);
		client_send_text(client, " HTTP/1.1\r\n\r\n");
		await(&stage, client->is_ended);
		assert_false(client_has_text(client, " 200 "));
	}
	assert_int_equal(status_of(ask(false, ASK("GET", "/", ""))), 200);
	close_door();
}

static void what_is_no_http_is_not_answered_with_the_page(void **state)
{
	static const char *const cases[] = {
		"\r\n\r\n\r\nGARBAGE\r\n\r\n",
		"GET\r\n\r\n",
		"GET / HTTP/9.9\r\n\r\n",
		"GET / HTTP/1.1\r\nno colon\r\n\r\n",
		"GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999999\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\r\n\r\n",
	};

	(void)state;
	/* One that waits for more is ended by the time of a request. */
	open_door(1000);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct client *client = client_open(&stage, false);

		client_send_text(client, cases[i]);
		await(&stage, client->is_ended);
		if (client_has_text(client, " 200 "))
			fail_msg("case %zu", i);
	}
	assert_int_equal(status_of(ask(false, ASK("GET", "/", ""))), 200);
	close_door();
}

static void request_has_a_time_however_slowly_it_comes(void **state)
{
	enum { REQUEST_MS = 1500, CLIENTS = 5 };
	struct client *clients[CLIENTS];
	uint64_t begin = clock_ms();
	uint64_t last = 0;
	int ended = 0;

	(void)state;
	open_door(REQUEST_MS);
	for (int i = 0; i < CLIENTS; i++) {
		clients[i] = client_create(&stage);
		client_set_small_buffer(clients[i]);
		client_connect(&stage, clients[i], i == 1 || i == 4);
	}
	/* A header that drips, over TLS too; a body that drips; one that says nothing; an answer not read. */
	client_send_text(clients[0], "GET / HTTP/1.1\r\nX-Slow: ");
	client_send_text(clients[1], "GET / HTTP/1.1\r\nX-Slow: ");
	client_send_text(clients[2], ASK("POST", "/dev/sign-in", JSON "Content-Length: 1000\r\n"));
	client_send_text(clients[4], ASK("GET", "/large.bin", ""));
	await(&stage, client_waiting(clients[4]));
	clients[4]->is_deaf = true;
	while (ended < CLIENTS - 1) {
		stage_turn(&stage);
		if (clock_ms() - last > 200) {
			for (int i = 0; i < 3; i++)
				client_send_text(clients[i], "x");
			last = clock_ms();
		}
		ended = 0;
		for (int i = 0; i < CLIENTS - 1; i++)
			ended += clients[i]->is_ended;
		assert_true(clock_ms() - begin < AWAIT_MS);
	}
	clients[4]->is_deaf = false;
	await(&stage, clients[4]->is_ended);
	assert_true(clients[4]->in.size < LARGE_BYTES);
	close_door();
}

static void idle_connection_is_used_again_within_its_time(void **state)
{
	enum { REQUEST_MS = 1500 };
	struct client *client;
	uint64_t begin;

	(void)state;
	open_door(REQUEST_MS);
	client = client_open(&stage, true);
	begin = clock_ms();
	/* Each answer begins the time anew. */
	for (int i = 1; clock_ms() - begin < 2 * REQUEST_MS; i++) {
		client_send_text(client, ASK("GET", "/", ""));
		await(&stage, client_count_text(client, PAGE) == i || client->is_ended);
		assert_false(client->is_ended);
		pass(&stage, 200);
	}
	await(&stage, client->is_ended);
	close_door();
}

static void administrator_is_told_why_it_is_not_ready(void **state)
{
	struct client *client;

	(void)state;
	open_door(60000);
	stage.ports[0] = admin_port;
	client = ask(false, ASK("GET", "/readyz", ""));
	assert_int_equal(status_of(client), 503);
	assert_true(client_has_text(client, "not yet\n"));
	assert_int_equal(status_of(ask(false, ASK("GET", "/healthz", ""))), 200);
	/* Neither the page nor the sign-in is here. */
	assert_int_equal(status_of(ask(false, ASK("GET", "/", ""))), 404);
	assert_int_equal(
		status_of(ask(false, ASK("POST", "/dev/sign-in",
	                                 JSON "Content-Length: 16\r\n") "{\"user\":\"alice\"}")),
		405);
	close_door();
}

static void without_descriptors_the_loop_does_not_spin(void **state)
{
	struct rlimit limit;
	struct client *client;
	uint64_t turns;

	(void)state;
	open_door(60000);
	client = client_create(&stage);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	setrlimit(RLIMIT_NOFILE, &(struct rlimit){.rlim_cur = 3, .rlim_max = limit.rlim_max});
	client_connect(&stage, client, false);
	client_send_text(client, ASK("GET", "/", ""));
	turns = stage.turns;
	pass(&stage, 400);
	turns = stage.turns - turns;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (turns > 400)
		fail_msg("%llu turns", (unsigned long long)turns);
	await(&stage, client_has_text(client, PAGE));
	close_door();
}

static void door_with_connections_in_every_state_closes_without_a_leak(void **state)
{
	(void)state;
	open_door(60000);
	for (int is_tls = 0; is_tls < 2; is_tls++) {
		struct client *client = client_create(&stage);

		client_set_small_buffer(client);
		client_connect(&stage, client, is_tls);
		client_send_text(client, ASK("GET", "/large.bin", ""));
		await(&stage, client_waiting(client));
		client->is_deaf = true;
		client_open(&stage, is_tls);
		client_send_text(client_open(&stage, is_tls), "G");
		client_send_text(client_open(&stage, is_tls),
		                 ASK("POST", "/dev/sign-in", JSON "Content-Length: 100\r\n") "{");
		ask(is_tls, ASK("GET", "/", ""));
	}
	pass(&stage, 50);
	http_door_stop_listening(door);
	close_door();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(files_are_served_as_they_are),
		cmocka_unit_test(head_is_get_without_the_body),
		cmocka_unit_test(known_file_is_not_sent_again),
		cmocka_unit_test(pipelined_requests_are_answered_in_order),
		cmocka_unit_test(administrator_is_told_why_it_is_not_ready),
		cmocka_unit_test(every_answer_forbids_what_it_does_not_need),
		cmocka_unit_test(other_methods_are_told_which_are_right),
		cmocka_unit_test(nothing_outside_the_folder_is_served),
		cmocka_unit_test(sign_in_reads_no_more_than_it_needs),
		cmocka_unit_test(headers_larger_than_there_is_room_for_are_refused),
		cmocka_unit_test(what_is_no_http_is_not_answered_with_the_page),
		cmocka_unit_test(request_has_a_time_however_slowly_it_comes),
		cmocka_unit_test(idle_connection_is_used_again_within_its_time),
		cmocka_unit_test(without_descriptors_the_loop_does_not_spin),
		cmocka_unit_test(door_with_connections_in_every_state_closes_without_a_leak),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
