#include "front/websocket_door.h"

#include "base/buffer.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/random.h"
#include "base/timer.h"
#include "commands/dispatch.h"
#include "front/admission.h"
#include "front/listener.h"
#include "front/upgrade.h"

#include <libwebsockets.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utlist.h>

#define LISTENERS_MOST 64
#define TICK_MS 100
#define READ_BYTES 1024     /* libwebsockets keeps this much a connection */
#define MESSAGE_BYTES 61440 /* of frames joined into one message: below libwebsockets' limit */
#define LWS_LIMIT_BYTES 65536
#define FRAMES_AT_ONCE 64
#define MESSAGES_A_TURN 8
#define CLOSE_MS 3000 /* to write what waits, send the close frame and have it answered */
#define REASON_BYTES 120
#define FORWARDED_BYTES 1024 /* of X-Forwarded-For */

_Static_assert(FRAME_HEADROOM >= LWS_PRE, "a frame alone is sent without being copied");

/* What a connection's timer waits for. */
enum patience {
	HANDSHAKING, /* until it must have become a WebSocket */
	RESTING,     /* until its next ping */
	PINGED,      /* until it must have answered */
	CLOSING,     /* until it is dropped */
};

/* One socket, from accept to the end of libwebsockets' struct for it, which knows it as its opaque data. */
struct connection {
	struct pipe pipe;
	struct websocket_door *door;
	struct lws *wsi;
	struct visitor visitor;
	struct session *session; /* from ESTABLISHED to CLOSED */
	struct connection *woken_prev, *woken_next;
	struct timer timer;
	uint8_t *close_frame;  /* with LWS_PRE in front, while it is to be sent */
	struct buffer message; /* of which only a part has come */
	uint16_t close_frame_bytes;
	uint8_t patience;
	bool has_asked; /* its request has come */
	bool has_ended; /* before it was a WebSocket, and why is counted */
	bool is_woken;
	bool is_heard;      /* since its ping */
	bool is_closing;    /* no more is read */
	bool is_close_sent; /* no more is written */
	bool is_hurried;    /* the close frame does not wait for the queue */
};

struct websocket_door {
	struct websocket_door_options options;
	char **origins;
	struct lws_context *lws;
	struct lws_vhost *plain;
	struct lws_vhost *tls;
	struct listener *listeners[LISTENERS_MOST];
	size_t listeners_count;
	uv_timer_t timer;
	struct timers timers; /* turned once a tick */
	struct admission *admission;

	struct connection *woken;    /* connection::woken_prev, woken_next */
	struct connection *adopting; /* what libwebsockets is being given */
	bool is_adopted;             /* and whether it has begun to take it */
	size_t connections;          /* with a session */
	uint8_t scratch[LWS_PRE + MESSAGE_BYTES];

	void (*on_closed)(void *context);
	void *closed_context;
};

static struct connection *connection_of(struct pipe *pipe)
{
	return (struct connection *)((char *)pipe - offsetof(struct connection, pipe));
}

static struct connection *connection_of_timer(struct timer *timer)
{
	return (struct connection *)((char *)timer - offsetof(struct connection, timer));
}

/* Time. The timers were told it at the last tick, and a delay begins now. */

static void be_patient(struct connection *connection, enum patience patience, uint64_t delay_ms)
{
	struct websocket_door *door = connection->door;
	uint64_t due_ms = uv_now(door->options.loop) + delay_ms;

	connection->patience = (uint8_t)patience;
	timer_start(&door->timers, &connection->timer,
	            due_ms > door->timers.now_ms ? due_ms - door->timers.now_ms : 0);
}

/* Whether libwebsockets still holds a part of the last message. */
static bool is_blocked(const struct connection *connection)
{
	return lws_partial_buffered(connection->wsi) != 0;
}

/* Without a word. Told to close a socket that it holds a part of a message for, libwebsockets waits until
 * that is read, which may be never; so writing is made to fail, and it closes the socket in its next turn. */
static void drop(struct connection *connection)
{
	be_patient(connection, CLOSING, CLOSE_MS);
	if (is_blocked(connection))
		shutdown(lws_get_socket_fd(connection->wsi), SHUT_RDWR);
	else
		lws_set_timeout(connection->wsi, PENDING_TIMEOUT_USER_OK, LWS_TO_KILL_SYNC);
}

/* The session's pipe. */

static void wake(struct connection *connection)
{
	if (connection->is_woken)
		return;
	connection->is_woken = true;
	DL_APPEND2(connection->door->woken, connection, woken_prev, woken_next);
}

static void rest(struct connection *connection)
{
	if (!connection->is_woken)
		return;
	connection->is_woken = false;
	DL_DELETE2(connection->door->woken, connection, woken_prev, woken_next);
}

static void pipe_wake(struct pipe *pipe)
{
	wake(connection_of(pipe));
}

static void pipe_pause(struct pipe *pipe, bool is_paused)
{
	struct connection *connection = connection_of(pipe);

	if (!connection->is_closing)
		lws_rx_flow_control(connection->wsi, !is_paused);
}

static void pipe_close(struct pipe *pipe, enum close_code code, const char *reason)
{
	struct connection *connection = connection_of(pipe);
	size_t size = strnlen(reason, REASON_BYTES);

	connection->is_closing = true;
	connection->is_hurried = code == CLOSE_SLOW_CONSUMER;
	connection->close_frame = memory_new(LWS_PRE + 2 + size);
	connection->close_frame[LWS_PRE] = (uint8_t)(code >> 8);
	connection->close_frame[LWS_PRE + 1] = (uint8_t)code;
	memcpy(connection->close_frame + LWS_PRE + 2, reason, size);
	connection->close_frame_bytes = (uint16_t)(2 + size);
	buffer_done(&connection->message);
	/* The peer's own close frame must be read. */
	lws_rx_flow_control(connection->wsi, 1);
	be_patient(connection, CLOSING, CLOSE_MS);
	wake(connection);
}

/* Writing. What is handed to libwebsockets while it still holds a part of the last message would corrupt
 * the stream, so it is asked each time. */

static bool write_bytes(struct connection *connection, uint8_t *bytes, size_t size)
{
	return lws_write(connection->wsi, bytes, size, LWS_WRITE_BINARY) >= (int)size;
}

static bool write_joined(struct connection *connection, struct frame **frames, size_t count)
{
	uint8_t *at = connection->door->scratch + LWS_PRE;

	for (size_t i = 0; i < count; i++) {
		memcpy(at, frames[i]->bytes, frames[i]->size);
		at += frames[i]->size;
	}
	return write_bytes(connection, connection->door->scratch + LWS_PRE,
	                   (size_t)(at - connection->door->scratch - LWS_PRE));
}

/* One message with whatever fits; false if the connection is broken. */
static bool write_message(struct connection *connection)
{
	struct frame *frames[FRAMES_AT_ONCE];
	size_t count = session_take(connection->session, frames, FRAMES_AT_ONCE, MESSAGE_BYTES);
	bool is_good = count == 1 ? write_bytes(connection, frames[0]->bytes, frames[0]->size)
	                          : write_joined(connection, frames, count);

	for (size_t i = 0; i < count; i++)
		frame_unref(frames[i]);
	return is_good;
}

/* The close frame goes behind whatever libwebsockets still holds; by its own way it would be left out
 * there. The number is LWS_WRITE_CLOSE of its private header. */
static void write_close(struct connection *connection)
{
	const enum lws_write_protocol close_frame = (enum lws_write_protocol)4;

	connection->is_close_sent = true;
	lws_write(connection->wsi, connection->close_frame + LWS_PRE, connection->close_frame_bytes,
	          close_frame);
	free(connection->close_frame);
	connection->close_frame = NULL;
	if (is_blocked(connection))
		lws_callback_on_writable(connection->wsi);
}

static void write_out(struct connection *connection)
{
	size_t waiting = session_queued_bytes(connection->session);

	for (int i = 0; i < MESSAGES_A_TURN && waiting && !connection->is_close_sent &&
	                !connection->is_hurried && !is_blocked(connection);
	     i++) {
		if (!write_message(connection)) {
			drop(connection);
			return;
		}
		waiting = session_queued_bytes(connection->session);
	}
	if (connection->close_frame && (!waiting || connection->is_hurried))
		write_close(connection);
	else if (waiting && !connection->is_close_sent)
		lws_callback_on_writable(connection->wsi);
}

void websocket_door_flush(struct websocket_door *door)
{
	while (door->woken) {
		struct connection *connection = door->woken;

		rest(connection);
		write_out(connection);
	}
}

/* Pings and deadlines. */

static void ping(struct connection *connection)
{
	uint8_t payload[LWS_PRE + 4] = {0};

	connection->is_heard = false;
	be_patient(connection, PINGED, connection->door->options.pong_ms);
	/* One who does not even read needs no ping to be found out. */
	if (!is_blocked(connection))
		lws_write(connection->wsi, payload + LWS_PRE, 4, LWS_WRITE_PING);
}

/* From an answered ping to the next one: the wait for the answer is a part of the interval. */
static uint32_t rest_ms(const struct websocket_door_options *options)
{
	return options->heartbeat_ms > options->pong_ms ? options->heartbeat_ms - options->pong_ms
	                                                : 0;
}

static void on_due(struct timer *timer)
{
	struct connection *connection = connection_of_timer(timer);

	switch ((enum patience)connection->patience) {
	case HANDSHAKING:
		if (!connection->has_ended)
			counters_add(COUNTER_CONNECTION_TIMEOUT);
		connection->has_ended = true;
		drop(connection);
		break;
	case RESTING:
		ping(connection);
		break;
	case PINGED:
		if (connection->is_heard) {
			be_patient(connection, RESTING, rest_ms(&connection->door->options));
		} else {
			counters_add(COUNTER_CLOSE_SILENT);
			drop(connection);
		}
		break;
	case CLOSING:
		drop(connection);
		break;
	}
}

static void on_tick(uv_timer_t *timer)
{
	struct websocket_door *door = timer->data;

	timers_turn(&door->timers, uv_now(door->options.loop));
}

/* What libwebsockets calls. */

static void log_refusal(const struct refusal *refusal)
{
	log_limited(LOG_INFO, "upgrade refused", log_number("status", refusal->status),
	            log_text("reason", refusal->reason));
}

static struct websocket_door *door_of(struct lws *wsi)
{
	return lws_context_user(lws_get_context(wsi));
}

static struct connection *find_connection(struct lws *wsi)
{
	return lws_get_opaque_user_data(wsi);
}

/* One request a connection: what libwebsockets 4.1 does with a second one cannot be trusted: it
 * reads freed memory, and answers pipelined ones without end. */
static bool is_first_request(struct lws *wsi)
{
	struct connection *connection = find_connection(wsi);
	bool is_first = !connection->has_asked;

	connection->has_asked = true;
	return is_first;
}

static int refuse(struct lws *wsi, const struct refusal *refusal)
{
	find_connection(wsi)->has_ended = true;
	counters_add(refusal->cause);
	log_refusal(refusal);
	lws_return_http_status(wsi, refusal->status, refusal->reason);
	return 1;
}

/* A good request, of somebody who may come in, where there is room. */
static struct refusal judge(struct lws *wsi, const struct websocket_door *door)
{
	struct connection *connection = find_connection(wsi);
	struct refusal refusal = upgrade_judge(wsi, (const char *const *)door->origins);
	char text[FORWARDED_BYTES];
	int size;

	if (refusal.status)
		return refusal;
	if (door->connections >= door->options.max_sessions)
		return (struct refusal){503, COUNTER_UPGRADE_FULL,
		                        "this server is full, try another or later"};
	/* One that is longer than the buffer is left empty, which is no address. */
	size = lws_hdr_copy(wsi, text, sizeof(text), WSI_TOKEN_X_FORWARDED_FOR);
	switch (admission_ask(door->admission, &connection->visitor, size ? text : NULL)) {
	case ADMISSION_TOO_MANY:
		return (struct refusal){429, COUNTER_UPGRADE_ADDRESS,
		                        "this address has too many connections"};
	case ADMISSION_NO_ADDRESS:
		return (struct refusal){400, COUNTER_UPGRADE_FORWARDED,
		                        "X-Forwarded-For must end in an address"};
	case ADMISSION_GOOD:
		break;
	}
	return refusal;
}

static int on_upgrade(struct lws *wsi)
{
	struct refusal refusal;

	if (!is_first_request(wsi))
		return -1;
	refusal = judge(wsi, door_of(wsi));
	return refusal.status ? refuse(wsi, &refusal) : 0;
}

static int on_plain_request(struct lws *wsi)
{
	struct refusal refusal = upgrade_judge(wsi, (const char *const *)door_of(wsi)->origins);

	/* A good one does not come this way. */
	if (refusal.status)
		refuse(wsi, &refusal);
	return -1;
}

static void on_established(struct connection *connection)
{
	struct websocket_door *door = connection->door;

	admission_settle(door->admission, &connection->visitor);
	connection->pipe =
		(struct pipe){.wake = pipe_wake, .pause = pipe_pause, .close = pipe_close};
	buffer_init(&connection->message, door->options.frame_bytes);
	/* Who comes together, after a crash or a deploy, is not to be pinged together ever after. */
	be_patient(connection, RESTING, random_number() % door->options.heartbeat_ms);
	door->connections++;
	connection->session =
		session_create(door->options.hub, door->options.session, &connection->pipe);
}

static void on_gone(struct connection *connection)
{
	struct websocket_door *door = connection->door;

	/* The session's end may wake the pipe, so the list comes last. */
	session_detach(connection->session);
	connection->session = NULL;
	rest(connection);
	timer_stop(&door->timers, &connection->timer);
	buffer_done(&connection->message);
	free(connection->close_frame);
	connection->close_frame = NULL;
	door->connections--;
}

/* The socket is closed, and libwebsockets forgets it. */
static void end(struct connection *connection)
{
	struct websocket_door *door = connection->door;

	if (connection->visitor.is_under_way && !connection->has_ended)
		counters_add(COUNTER_CONNECTION_UNFINISHED);
	timer_stop(&door->timers, &connection->timer);
	admission_leave(door->admission, &connection->visitor);
	free(connection);
}

static void dispatch(struct connection *connection, const uint8_t *bytes, size_t size)
{
	dispatch_session_bytes(connection->door->options.dispatcher, connection->session, bytes,
	                       size);
}

/* A message that came whole is not copied; the parts of another are put together. */
static void on_received(struct connection *connection, const uint8_t *bytes, size_t size)
{
	struct lws *wsi = connection->wsi;
	size_t remaining = lws_remaining_packet_payload(wsi);
	bool is_last = lws_is_final_fragment(wsi) && !remaining;
	struct buffer *message = &connection->message;

	connection->is_heard = true;
	if (connection->is_closing)
		return;
	if (!lws_frame_is_binary(wsi)) {
		session_close(connection->session, CLOSE_PROTOCOL_ERROR,
		              "a text message came; send binary messages");
	} else if (message->size + size + remaining > connection->door->options.frame_bytes) {
		session_close(connection->session, CLOSE_TOO_BIG,
		              "the message is larger than Limits.frame_bytes");
	} else if (is_last && !message->size) {
		dispatch(connection, bytes, size);
	} else {
		must(buffer_append(message, bytes, size));
		if (!is_last)
			return;
		dispatch(connection, message->bytes, message->size);
		buffer_done(message);
	}
}

/* `user` of this call is the vhost's SSL_CTX. */
static void set_up_tls(SSL_CTX *tls, const struct websocket_door *door)
{
	uint8_t keys[sizeof(door->options.ticket_keys)];

	memcpy(keys, door->options.ticket_keys, sizeof(keys));
	SSL_CTX_set_min_proto_version(tls, TLS1_2_VERSION);
	SSL_CTX_set_num_tickets(tls, 1);
	SSL_CTX_set_tlsext_ticket_keys(tls, keys, sizeof(keys));
}

static int on_lws(struct lws *wsi, enum lws_callback_reasons reason, void *user, void *in,
                  size_t size)
{
	/* NULL for what libwebsockets makes for itself. */
	struct connection *connection = find_connection(wsi);

	switch (reason) {
	case LWS_CALLBACK_OPENSSL_LOAD_EXTRA_SERVER_VERIFY_CERTS:
		set_up_tls(user, door_of(wsi));
		return 0;
	case LWS_CALLBACK_WSI_CREATE:
		door_of(wsi)->adopting->wsi = wsi;
		door_of(wsi)->is_adopted = true;
		return 0;
	case LWS_CALLBACK_FILTER_HTTP_CONNECTION:
		return is_first_request(wsi) ? 0 : -1;
	case LWS_CALLBACK_RAW_ADOPT:
		/* CONNECT: libwebsockets would go on without HTTP and without an end. */
		return -1;
	case LWS_CALLBACK_HTTP_CONFIRM_UPGRADE:
		return on_upgrade(wsi);
	case LWS_CALLBACK_HTTP:
		return on_plain_request(wsi);
	case LWS_CALLBACK_ESTABLISHED:
		on_established(connection);
		return 0;
	case LWS_CALLBACK_RECEIVE:
		on_received(connection, in, size);
		return 0;
	case LWS_CALLBACK_RECEIVE_PONG:
		connection->is_heard = true;
		return 0;
	case LWS_CALLBACK_SERVER_WRITEABLE:
		wake(connection);
		return 0;
	case LWS_CALLBACK_WS_PEER_INITIATED_CLOSE:
		/* Ours was the first, or libwebsockets answers for us. */
		return connection->is_close_sent ? -1 : 0;
	case LWS_CALLBACK_CLOSED:
		if (connection->session)
			on_gone(connection);
		return 0;
	case LWS_CALLBACK_WSI_DESTROY:
		if (connection)
			end(connection);
		return 0;
	default:
		return 0;
	}
}

/* The first is where requests go that are no upgrade. libwebsockets takes the first that a client names of
 * these, so its name is one that no header can hold. */
static const struct lws_protocols protocols[] = {
	{.name = "no upgrade",
         .callback = on_lws,
         .rx_buffer_size = READ_BYTES,
         .tx_packet_size = LWS_LIMIT_BYTES},
	{.name = UPGRADE_PROTOCOL,
         .callback = on_lws,
         .rx_buffer_size = READ_BYTES,
         .tx_packet_size = LWS_LIMIT_BYTES},
	{.name = NULL},
};

/* Beginning. */

static void on_lws_log(int level, const char *line)
{
	char text[256];

	snprintf(text, sizeof(text), "%.*s", (int)strcspn(line, "\n"), line);
	log_limited(level == LLL_ERR ? LOG_WARNING : LOG_DEBUG, "libwebsockets",
	            log_text("detail", text));
}

static struct lws_vhost *create_vhost(struct websocket_door *door, const char *name, bool is_tls)
{
	/* No timers of libwebsockets: it keeps them in one list that is searched from its head. */
	static const lws_retry_bo_t no_validity = {0};
	const struct websocket_door_options *options = &door->options;
	struct lws_context_creation_info info = {
		.vhost_name = name,
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.protocols = protocols,
		.alpn = "http/1.1",
		.retry_and_idle_policy = &no_validity,
		.user = door,
	};

	if (is_tls) {
		info.options |= LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT;
		info.ssl_cert_filepath = options->certificate_file;
		info.ssl_private_key_filepath = options->private_key_file;
	}
	return lws_create_vhost(door->lws, &info);
}

static bool create_context(struct websocket_door *door, bool is_tls, struct outcome *ret_outcome)
{
	void *loops[] = {door->options.loop};
	struct lws_context_creation_info info = {
		.port = CONTEXT_PORT_NO_LISTEN_SERVER,
		.options = LWS_SERVER_OPTION_LIBUV | LWS_SERVER_OPTION_EXPLICIT_VHOSTS |
	                   LWS_SERVER_OPTION_DO_SSL_GLOBAL_INIT,
		.foreign_loops = loops,
		.pt_serv_buf_size = 4096,
		.gid = -1,
		.uid = -1,
		.user = door,
	};

	lws_set_log_level(LLL_ERR | LLL_WARN, on_lws_log);
	door->lws = lws_create_context(&info);
	if (!door->lws) {
		*ret_outcome = outcome_refuse(OUTCOME_INTERNAL,
		                              "libwebsockets does not start; is its libuv plugin "
		                              "(libwebsockets-evlib-uv) installed?");
		return false;
	}
	door->plain = create_vhost(door, "plain", false);
	door->tls = is_tls ? create_vhost(door, "tls", true) : NULL;
	if (door->plain && (door->tls || !is_tls))
		return true;
	*ret_outcome =
		outcome_refuse(OUTCOME_INVALID_ARGUMENT,
	                       "the certificate %s or its private key %s is no usable PEM",
	                       door->options.certificate_file, door->options.private_key_file);
	return false;
}

static void adopt(struct websocket_door *door, struct lws_vhost *vhost, int fd,
                  const struct sockaddr *peer)
{
	struct connection *connection = memory_new(sizeof(*connection));
	lws_adopt_desc_t description = {
		.vh = vhost,
		.type = LWS_ADOPT_SOCKET | LWS_ADOPT_HTTP | LWS_ADOPT_ALLOW_SSL,
		.fd = {.sockfd = fd},
		.opaque = connection,
	};

	if (!admission_enter(door->admission, &connection->visitor, peer)) {
		counters_add(COUNTER_CONNECTION_CROWDED);
		close(fd);
		free(connection);
		return;
	}
	connection->door = door;
	connection->timer.on_due = on_due;
	be_patient(connection, HANDSHAKING, door->options.handshake_ms);
	door->adopting = connection;
	door->is_adopted = false;
	/* A socket that it cannot take it has closed. What it has begun to take it also ends (WSI_DESTROY). */
	lws_adopt_descriptor_vhost_via_info(&description);
	door->adopting = NULL;
	if (!door->is_adopted)
		end(connection);
}

static void on_plain_accepted(void *context, int fd, const struct sockaddr *peer)
{
	struct websocket_door *door = context;

	adopt(door, door->plain, fd, peer);
}

static void on_tls_accepted(void *context, int fd, const struct sockaddr *peer)
{
	struct websocket_door *door = context;

	adopt(door, door->tls, fd, peer);
}

static void on_full(void *context, bool is_full)
{
	struct websocket_door *door = context;

	if (is_full)
		log_limited(LOG_WARNING, "handshakes are at their bound; others wait",
		            log_number("handshakes", door->options.handshakes));
	for (size_t i = 0; i < door->listeners_count; i++)
		listener_pause(door->listeners[i], is_full);
}

static bool create_admission(struct websocket_door *door, struct outcome *ret_outcome)
{
	door->admission = admission_create(
		&(struct admission_options){
			.handshakes = door->options.handshakes,
			.connections_of_address = door->options.connections_of_address,
			.trusted_proxies = door->options.trusted_proxies,
			.context = door,
			.on_full = on_full,
		},
		ret_outcome);
	return door->admission != NULL;
}

static bool listen_on(struct websocket_door *door, const char *const *addresses,
                      void (*on_accepted)(void *context, int fd, const struct sockaddr *peer),
                      struct outcome *ret_outcome)
{
	for (; *addresses; addresses++) {
		struct listener *listener = listener_open(door->options.loop, *addresses,
		                                          on_accepted, door, ret_outcome);

		if (!listener)
			return false;
		must(door->listeners_count < LISTENERS_MOST);
		door->listeners[door->listeners_count++] = listener;
	}
	return true;
}

static char **copy_list(const char *const *list)
{
	size_t count = 0;
	char **copy;

	while (list[count])
		count++;
	copy = memory_new_array(count + 1, sizeof(char *));
	for (size_t i = 0; i < count; i++)
		copy[i] = memory_copy_text(list[i]);
	return copy;
}

struct websocket_door *websocket_door_create(const struct websocket_door_options *options,
                                             struct outcome *ret_outcome)
{
	struct websocket_door *door = memory_new(sizeof(*door));

	door->options = *options;
	door->origins = copy_list(options->origins);
	door->timer.data = door;
	timers_init(&door->timers, uv_now(options->loop));
	uv_timer_init(options->loop, &door->timer);
	uv_timer_start(&door->timer, on_tick, TICK_MS, TICK_MS);
	/* A worker that cannot serve ends; what it had so far goes with it. */
	if (!create_admission(door, ret_outcome) ||
	    !create_context(door, options->tls_listen[0] != NULL, ret_outcome) ||
	    !listen_on(door, options->listen, on_plain_accepted, ret_outcome) ||
	    !listen_on(door, options->tls_listen, on_tls_accepted, ret_outcome))
		return NULL;
	return door;
}

void websocket_door_stop_listening(struct websocket_door *door)
{
	while (door->listeners_count)
		listener_close(door->listeners[--door->listeners_count]);
}

size_t websocket_door_connections(const struct websocket_door *door)
{
	return door->connections;
}

/* Ending: libwebsockets is told to end, its handles close in the loop, and when ours has closed too the
 * loop runs out; its memory goes with websocket_door_free. */

static void on_timer_closed(uv_handle_t *handle)
{
	struct websocket_door *door = handle->data;

	door->on_closed(door->closed_context);
}

void websocket_door_close(struct websocket_door *door, void (*on_closed)(void *context),
                          void *context)
{
	door->on_closed = on_closed;
	door->closed_context = context;
	websocket_door_stop_listening(door);
	/* Drops what connections are left, also those that drop() must wait for. */
	lws_context_destroy(door->lws);
	uv_close((uv_handle_t *)&door->timer, on_timer_closed);
}

void websocket_door_free(struct websocket_door *door)
{
	lws_context_destroy(door->lws);
	admission_destroy(door->admission);
	timers_done(&door->timers);
	for (char **origin = door->origins; *origin; origin++)
		free(*origin);
	free(door->origins);
	free(door);
}
