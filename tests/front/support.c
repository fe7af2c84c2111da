#include "front/support.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "commands/dispatch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define TICK_MS 5
#define PATH_BYTES 128
#define LINE_BYTES 4096
#define READ_BYTES 65536
#define SMALL_BUFFER_BYTES 4096

static char folder[] = "/tmp/martlet-front.XXXXXX";
static char certificate[PATH_BYTES];
static char private_key[PATH_BYTES];
static SSL_CTX *client_tls;
static int kept_stderr = -1;

uint64_t clock_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Instead of commands/dispatch. */

void dispatch_session_bytes(struct dispatcher *dispatcher, struct session *session,
                            const uint8_t *bytes, size_t size)
{
	if (!session_is_open(session))
		return;
	dispatcher->messages++;
	buffer_clear(&dispatcher->last);
	must(buffer_append(&dispatcher->last, bytes, size));
	if (dispatcher->on_message)
		dispatcher->on_message(session, bytes, size);
}

/* A certificate. */

static void write_certificate(EVP_PKEY *key)
{
	X509 *x509 = X509_new();
	FILE *file;

	assert_non_null(x509);
	ASN1_INTEGER_set(X509_get_serialNumber(x509), 1);
	X509_gmtime_adj(X509_getm_notBefore(x509), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x509), 86400);
	X509_set_pubkey(x509, key);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(x509), "CN", MBSTRING_ASC,
	                           (const unsigned char *)"localhost", -1, -1, 0);
	X509_set_issuer_name(x509, X509_get_subject_name(x509));
	assert_true(X509_sign(x509, key, EVP_sha256()) > 0);
	file = fopen(certificate, "we");
	assert_non_null(file);
	assert_int_equal(PEM_write_X509(file, x509), 1);
	fclose(file);
	X509_free(x509);
}

static void write_private_key(EVP_PKEY *key)
{
	FILE *file = fopen(private_key, "we");

	assert_non_null(file);
	assert_int_equal(PEM_write_PrivateKey(file, key, NULL, NULL, 0, NULL, NULL), 1);
	fclose(file);
}

int stage_setup(void **state)
{
	EVP_PKEY *key = EVP_EC_gen("P-256");

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	log_set_level(LOG_ERROR);
	assert_non_null(mkdtemp(folder));
	snprintf(certificate, sizeof(certificate), "%s/certificate.pem", folder);
	snprintf(private_key, sizeof(private_key), "%s/private_key.pem", folder);
	assert_non_null(key);
	write_certificate(key);
	write_private_key(key);
	EVP_PKEY_free(key);
	client_tls = SSL_CTX_new(TLS_client_method());
	assert_non_null(client_tls);
	return 0;
}

int stage_teardown(void **state)
{
	char path[PATH_BYTES];

	(void)state;
	log_release();
	SSL_CTX_free(client_tls);
	snprintf(path, sizeof(path), "%s/captured", folder);
	unlink(path);
	unlink(certificate);
	unlink(private_key);
	rmdir(folder);
	return 0;
}

/* The stage. */

static struct sockaddr_in loopback(uint16_t port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	                            .sin_port = htons(port),
	                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

uint16_t free_port(void)
{
	struct sockaddr_in address = loopback(0);
	socklen_t size = sizeof(address);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
	close(fd);
	return ntohs(address.sin_port);
}

static void on_tick(uv_timer_t *timer)
{
	/* Ends the turn. */
	(void)timer;
}

static void ignore_user(void *context, const struct user_id *user)
{
	(void)context;
	(void)user;
}

static void ignore_conversation(void *context, const struct uuid *conversation)
{
	(void)context;
	(void)conversation;
}

static void ignore_session(void *context, struct session *session)
{
	(void)context;
	(void)session;
}

static struct hub *create_hub(struct timers *timers)
{
	static const struct hub_options options = {
		.sessions_of_user = 20, .linger_ms = 1, .guests = 1};
	static const struct hub_needs needs = {
		.on_user_live = ignore_user,
		.on_user_idle = ignore_user,
		.on_conversation_live = ignore_conversation,
		.on_conversation_idle = ignore_conversation,
		.on_hole = ignore_conversation,
		.on_lag = ignore_session,
		.on_session_gone = ignore_session,
	};

	return hub_create(&options, &needs, timers);
}

void stage_begin(struct stage *stage)
{
	static const char *const nothing[] = {NULL};

	*stage = (struct stage){
		.session =
			{
				.outbound_bytes = 32 * 1024 * 1024,
				.outbound_low_bytes = 32 * 1024 * 1024,
				.pending_commands = 64,
				.hello_ms = 60000,
			},
	};
	assert_int_equal(uv_loop_init(&stage->loop), 0);
	uv_timer_init(&stage->loop, &stage->tick);
	uv_timer_start(&stage->tick, on_tick, TICK_MS, TICK_MS);
	timers_init(&stage->timers, uv_now(&stage->loop));
	stage->hub = create_hub(&stage->timers);
	buffer_init(&stage->dispatcher.last, HEARD_BYTES);
	stage->options = (struct websocket_door_options){
		.loop = &stage->loop,
		.hub = stage->hub,
		.dispatcher = &stage->dispatcher,
		.session = &stage->session,
		.certificate_file = certificate,
		.private_key_file = private_key,
		.origins = nothing,
		.frame_bytes = 65536,
		.max_sessions = 10000,
		.handshakes = 10000,
		.handshake_ms = 60000,
		.trusted_proxies = nothing,
		.heartbeat_ms = 60000,
		.pong_ms = 30000,
	};
}

void stage_open(struct stage *stage)
{
	char texts[2][32];
	const char *lists[2][2] = {{texts[0], NULL}, {texts[1], NULL}};
	struct outcome outcome = outcome_ok();

	for (int i = 0; i < 2; i++) {
		stage->ports[i] = free_port();
		snprintf(texts[i], sizeof(texts[i]), "127.0.0.1:%u", stage->ports[i]);
	}
	stage->options.listen = lists[0];
	stage->options.tls_listen = lists[1];
	stage->door = websocket_door_create(&stage->options, &outcome);
	if (!stage->door)
		fail_msg("%s", outcome.text);
}

static void client_turn(struct client *client);

void stage_turn(struct stage *stage)
{
	uv_run(&stage->loop, UV_RUN_ONCE);
	timers_turn(&stage->timers, uv_now(&stage->loop));
	if (stage->door && !stage->is_door_closed)
		websocket_door_flush(stage->door);
	for (size_t i = 0; i < stage->count; i++)
		client_turn(stage->clients[i]);
	stage->turns++;
}

static void client_destroy(struct client *client)
{
	client_close(client);
	buffer_done(&client->in);
	buffer_done(&client->out);
	free(client);
}

static void on_door_closed(void *context)
{
	struct stage *stage = context;

	assert_false(stage->is_door_closed);
	stage->is_door_closed = true;
}

void stage_close(struct stage *stage)
{
	if (stage->door) {
		websocket_door_close(stage->door, on_door_closed, stage);
		assert_false(stage->is_door_closed);
	}
	uv_close((uv_handle_t *)&stage->tick, NULL);
	uv_run(&stage->loop, UV_RUN_DEFAULT);
	assert_true(stage->is_door_closed || !stage->door);
	if (stage->door)
		websocket_door_free(stage->door);
	assert_int_equal(uv_loop_close(&stage->loop), 0);
	assert_int_equal(stage_sessions(stage), 0);
	timers_turn(&stage->timers, UINT64_MAX - 1);
	hub_destroy(stage->hub);
	timers_done(&stage->timers);
	buffer_done(&stage->dispatcher.last);
	for (size_t i = 0; i < stage->count; i++)
		client_destroy(stage->clients[i]);
}

size_t stage_sessions(struct stage *stage)
{
	return hub_counts(stage->hub)->sessions;
}

static void keep_newest(void *context, struct session *session)
{
	struct session **newest = context;

	if (!*newest || session_id(session) > session_id(*newest))
		*newest = session;
}

struct session *stage_session(struct stage *stage)
{
	struct session *newest = NULL;

	hub_each_session(stage->hub, keep_newest, &newest);
	assert_non_null(newest);
	return newest;
}

/* Clients. */

struct client *client_create(struct stage *stage)
{
	struct client *client = memory_new(sizeof(*client));

	assert_true(stage->count < CLIENTS_MOST);
	stage->clients[stage->count++] = client;
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(client->fd >= 0);
	client->answers_pings = true;
	buffer_init(&client->in, HEARD_BYTES);
	buffer_init(&client->out, HEARD_BYTES);
	return client;
}

void client_set_small_buffer(struct client *client)
{
	const int bytes = SMALL_BUFFER_BYTES;

	assert_int_equal(setsockopt(client->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes)), 0);
}

void client_connect(struct stage *stage, struct client *client, bool is_tls)
{
	const int on = 1;
	struct sockaddr_in address = loopback(stage->ports[is_tls]);

	/* On loopback it is there at once, or never. */
	assert_int_equal(connect(client->fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(fcntl(client->fd, F_SETFL, O_NONBLOCK), 0);
	setsockopt(client->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	client->is_connected = !is_tls;
	if (!is_tls)
		return;
	client->tls = SSL_new(client_tls);
	assert_non_null(client->tls);
	SSL_set_fd(client->tls, client->fd);
	SSL_set_mode(client->tls,
	             SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
}

struct client *client_open(struct stage *stage, bool is_tls)
{
	struct client *client = client_create(stage);

	client_connect(stage, client, is_tls);
	return client;
}

struct client *client_open_session(struct stage *stage, bool is_tls)
{
	struct client *client = client_open(stage, is_tls);
	size_t before = stage_sessions(stage);

	client_send_upgrade(client, "");
	await(stage, client_has_text(client, "\r\n\r\n") && stage_sessions(stage) > before);
	assert_true(client_has_text(client, "HTTP/1.1 101 "));
	client_forget(client);
	return client;
}

void client_close(struct client *client)
{
	if (client->fd < 0)
		return;
	SSL_free(client->tls);
	client->tls = NULL;
	close(client->fd);
	client->fd = -1;
	client->is_ended = true;
}

/* Takes what the socket gave; more than 0 is progress. */
static bool is_progress(struct client *client, ssize_t result)
{
	int error;

	if (result > 0)
		return true;
	if (!client->tls) {
		if (result == 0 || (errno != EAGAIN && errno != EWOULDBLOCK))
			client->is_ended = true;
		return false;
	}
	error = SSL_get_error(client->tls, (int)result);
	if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE)
		client->is_ended = true;
	ERR_clear_error();
	return false;
}

static void client_write(struct client *client)
{
	while (client->sent < client->out.size) {
		const uint8_t *from = client->out.bytes + client->sent;
		size_t left = client->out.size - client->sent;
		ssize_t now;

		errno = 0;
		ERR_clear_error();
		now = client->tls ? SSL_write(client->tls, from, (int)left)
		                  : send(client->fd, from, left, MSG_NOSIGNAL);
		/* What cannot be written says nothing of what can still be read. */
		if (now <= 0)
			return;
		client->sent += (size_t)now;
	}
	client->sent = 0;
	buffer_clear(&client->out);
}

static void client_read(struct client *client)
{
	static uint8_t bytes[READ_BYTES];
	ssize_t now;

	do {
		errno = 0;
		ERR_clear_error();
		now = client->tls ? SSL_read(client->tls, bytes, sizeof(bytes))
		                  : recv(client->fd, bytes, sizeof(bytes), 0);
		if (now > 0)
			assert_true(buffer_append(&client->in, bytes, (size_t)now));
	} while (is_progress(client, now));
}

static void answer_pings(struct client *client);

static void client_turn(struct client *client)
{
	if (client->is_ended || client->fd < 0)
		return;
	if (client->tls && !client->is_connected) {
		ERR_clear_error();
		client->is_connected = is_progress(client, SSL_connect(client->tls));
	}
	if (!client->is_connected)
		return;
	client_write(client);
	if (!client->is_deaf)
		client_read(client);
	answer_pings(client);
}

void client_send(struct client *client, const void *bytes, size_t size)
{
	assert_true(buffer_append(&client->out, bytes, size));
	if (client->is_connected && !client->is_ended)
		client_write(client);
}

void client_send_text(struct client *client, const char *text)
{
	client_send(client, text, strlen(text));
}

void client_send_upgrade(struct client *client, const char *more)
{
	client_send_text(client, "GET /v1/ws HTTP/1.1\r\n"
	                         "Host: localhost\r\n"
	                         "Upgrade: websocket\r\n"
	                         "Connection: Upgrade\r\n"
	                         "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	                         "Sec-WebSocket-Version: 13\r\n"
	                         "Sec-WebSocket-Protocol: martlet.v1\r\n");
	client_send_text(client, more);
	client_send_text(client, "\r\n");
}

void client_send_frame(struct client *client, struct sent_frame frame)
{
	static const uint8_t mask[4] = {0x12, 0x34, 0x56, 0x78};
	const uint8_t bit = frame.is_bare ? 0 : 0x80;
	uint8_t *bytes = memory_new(frame.size + 14);
	size_t at = 0;

	bytes[at++] = frame.first;
	if (frame.size < 126) {
		bytes[at++] = (uint8_t)(bit | frame.size);
	} else if (frame.size < 65536) {
		bytes[at++] = bit | 126;
		bytes[at++] = (uint8_t)(frame.size >> 8);
		bytes[at++] = (uint8_t)frame.size;
	} else {
		bytes[at++] = bit | 127;
		for (int shift = 56; shift >= 0; shift -= 8)
			bytes[at++] = (uint8_t)(frame.size >> shift);
	}
	if (!frame.is_bare) {
		memcpy(bytes + at, mask, 4);
		at += 4;
	}
	for (size_t i = 0; i < frame.size; i++)
		bytes[at + i] =
			((const uint8_t *)frame.bytes)[i] ^ (frame.is_bare ? 0 : mask[i % 4]);
	client_send(client, bytes, at + frame.size);
	free(bytes);
}

void client_send_message(struct client *client, const void *bytes, size_t size)
{
	client_send_frame(client, (struct sent_frame){.first = 0x82, .bytes = bytes, .size = size});
}

size_t client_waiting(const struct client *client)
{
	return client->in.size - client->taken;
}

int client_count_text(const struct client *client, const char *text)
{
	const uint8_t *at = client->in.bytes + client->taken;
	size_t left = client_waiting(client);
	int found = 0;

	while (left && (at = memmem(at, left, text, strlen(text)))) {
		found++;
		at++;
		left = (size_t)(client->in.bytes + client->in.size - at);
	}
	return found;
}

bool client_has_text(const struct client *client, const char *text)
{
	return client_count_text(client, text) > 0;
}

void client_forget(struct client *client)
{
	const uint8_t *end =
		memmem(client->in.bytes + client->taken, client_waiting(client), "\r\n\r\n", 4);

	/* The answer to the upgrade; what followed it in the same segment stays. */
	client->taken = end ? (size_t)(end - client->in.bytes) + 4 : client->in.size;
}

/* The frame at `from`; 0 if it is not there whole. */
static size_t parse_frame(const struct client *client, size_t from, struct seen_frame *ret_frame)
{
	const uint8_t *at = client->in.bytes + from;
	size_t left = client->in.size - from;
	size_t head = 2;
	uint64_t size;

	if (left < 2)
		return 0;
	/* A server never masks. */
	assert_false(at[1] & 0x80);
	size = at[1];
	if (size == 126)
		head = 4;
	else if (size == 127)
		head = 10;
	if (left < head)
		return 0;
	if (head > 2) {
		size = 0;
		for (size_t i = 2; i < head; i++)
			size = size << 8 | at[i];
	}
	if (left - head < size)
		return 0;
	*ret_frame = (struct seen_frame){.opcode = at[0] & 0x0f,
	                                 .is_final = (at[0] & 0x80) != 0,
	                                 .bytes = at + head,
	                                 .size = (size_t)size};
	return head + (size_t)size;
}

static void answer_pings(struct client *client)
{
	struct seen_frame frame;
	size_t size;

	/* Pings stand at the front where a test takes nothing, and that is where they are looked for. */
	while ((size = parse_frame(client, client->taken, &frame)) && frame.opcode == 9) {
		client->pings++;
		client->taken += size;
		if (client->answers_pings)
			client_send_frame(client, (struct sent_frame){.first = 0x8a,
			                                              .bytes = frame.bytes,
			                                              .size = frame.size});
	}
}

bool client_take_frame(struct client *client, struct seen_frame *ret_frame)
{
	size_t size;

	answer_pings(client);
	size = parse_frame(client, client->taken, ret_frame);
	client->taken += size;
	return size > 0;
}

bool is_close(const struct seen_frame *frame, int code, const char *reason)
{
	return frame->opcode == 8 && frame->is_final && frame->size == 2 + strlen(reason) &&
	       (frame->bytes[0] << 8 | frame->bytes[1]) == code &&
	       memcmp(frame->bytes + 2, reason, strlen(reason)) == 0;
}

/* The log. */

void log_capture(void)
{
	char path[PATH_BYTES];
	int file;

	log_release();
	snprintf(path, sizeof(path), "%s/captured", folder);
	file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
	assert_true(file >= 0);
	kept_stderr = dup(STDERR_FILENO);
	dup2(file, STDERR_FILENO);
	close(file);
	log_set_level(LOG_INFO);
}

int log_count(const char *text)
{
	char path[PATH_BYTES];
	char line[LINE_BYTES];
	int found = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/captured", folder);
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		found += strstr(line, text) != NULL;
	fclose(file);
	return found;
}

void log_release(void)
{
	if (kept_stderr < 0)
		return;
	dup2(kept_stderr, STDERR_FILENO);
	close(kept_stderr);
	kept_stderr = -1;
	log_set_level(LOG_ERROR);
}
