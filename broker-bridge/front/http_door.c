#include "front/http_door.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/timer.h"
#include "front/files.h"
#include "front/listener.h"
#include "front/upgrade.h"

#include <ctype.h>
#include <inttypes.h>
#include <jansson.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define DAEMONS_MOST 64
#define TEXT_BYTES 1024
#define BODY_BYTES 1024
#define READ_BYTES                                                                                 \
	(64u * 1024) /* of a body that is too large, so that the client hears so; then it ends */
#define PEM_BYTES (64u * 1024)
#define TIMEOUT_S 15
#define CONNECTIONS_MOST 4096
#define CONNECTION_BYTES (16u * 1024)
#define POLL_LEAST_MS 1
#define TICK_MS 250

enum audience { PAGE, PAGE_TLS, ADMIN };

/* One listening address: a daemon of libmicrohttpd, which is given accepted sockets, and asked to run when its
 * epoll is ready or its timeout has come. Its own accept would spin where descriptors run out. */
struct daemon {
	struct http_door *door;
	struct listener *listener; /* NULL once it is closed */
	struct MHD_Daemon *mhd;
	enum audience audience;
	uv_poll_t poll;
	uv_timer_t timer;
};

struct http_door {
	uv_loop_t *loop;
	struct http_door_needs needs;
	struct files *files;
	char *websocket_urls[2]; /* for http and https pages; NULL: made of Host and the port */
	uint16_t websocket_ports[2];
	char *certificate;
	char *private_key;
	struct daemon *daemons[DAEMONS_MOST];
	size_t count;
	uint32_t request_ms;
	uv_timer_t timer;
	struct timers timers; /* turned once a tick: the end of each connection's patience */

	size_t open_handles;
	void (*on_closed)(void *context);
	void *closed_context;
};

/* libmicrohttpd's own timeout begins anew with each byte. */
struct patience {
	struct timer timer;
	int fd; /* libmicrohttpd's */
};

/* A request between its headers and its answer: the body, which only the sign-in has. */
struct body {
	size_t size; /* of what came */
	char bytes[BODY_BYTES];
};

/* Answers. */

static void add_header(struct MHD_Response *response, const char *name, const char *value)
{
	must(MHD_add_response_header(response, name, value) == MHD_YES);
}

static void add_common_headers(struct MHD_Response *response)
{
	add_header(response, "X-Content-Type-Options", "nosniff");
	add_header(response, "Referrer-Policy", "no-referrer");
	add_header(response, "Cross-Origin-Opener-Policy", "same-origin");
	add_header(response, "Cross-Origin-Resource-Policy", "same-origin");
}

static enum MHD_Result send_response(struct MHD_Connection *connection, unsigned int status,
                                     struct MHD_Response *response)
{
	enum MHD_Result result;

	add_common_headers(response);
	result = MHD_queue_response(connection, status, response);
	MHD_destroy_response(response);
	return result;
}

/* What is no file of the page: whatever shows it may do nothing with it. */
static struct MHD_Response *create_text(const char *content_type, const char *text)
{
	/* libmicrohttpd copies, and does not write to what it copies. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
		strlen(text), (void *)(uintptr_t)text, MHD_RESPMEM_MUST_COPY);

	must(response != NULL);
	add_header(response, "Content-Type", content_type);
	add_header(response, "Cache-Control", "no-store");
	add_header(response, "Content-Security-Policy",
	           "default-src 'none'; frame-ancestors 'none'");
	return response;
}

static struct MHD_Response *create_line(const char *line)
{
	char text[TEXT_BYTES];

	snprintf(text, sizeof(text), "%s\n", line);
	return create_text("text/plain; charset=utf-8", text);
}

static enum MHD_Result send_line(struct MHD_Connection *connection, unsigned int status,
                                 const char *line)
{
	return send_response(connection, status, create_line(line));
}

static enum MHD_Result send_other_method(struct MHD_Connection *connection, const char *allowed)
{
	struct MHD_Response *response = create_line("this method is not for this address");

	add_header(response, MHD_HTTP_HEADER_ALLOW, allowed);
	return send_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
}

static enum MHD_Result send_json(struct MHD_Connection *connection, unsigned int status,
                                 json_t *json)
{
	char *text = json_dumps(json, JSON_COMPACT);
	struct MHD_Response *response = create_text("application/json", text);

	free(text);
	json_decref(json);
	return send_response(connection, status, response);
}

static const char *header_of(struct MHD_Connection *connection, const char *name)
{
	return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, name);
}

/* The page. */

/* The Host header without its port, if it is a name or an address and nothing else. */
static bool get_host(struct MHD_Connection *connection, char ret_host[256])
{
	const char *host = header_of(connection, MHD_HTTP_HEADER_HOST);
	size_t size =
		host && host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host ? host : "", ":");

	if (!host || !size || size > 255 || (host[0] == '[' && !strchr(host, ']')))
		return false;
	for (size_t i = 0; i < size; i++) {
		if (!isalnum((unsigned char)host[i]) &&
		    !strchr(host[0] == '[' ? "[]:." : ".-_", host[i]))
			return false;
	}
	if (host[size] && (host[size] != ':' || strspn(host + size + 1, "0123456789") > 5 ||
	                   host[size + 1 + strspn(host + size + 1, "0123456789")]))
		return false;
	memcpy(ret_host, host, size);
	ret_host[size] = '\0';
	return true;
}

/* Where the page finds its WebSocket; false if the request's Host cannot be used for it. */
static bool name_websocket(const struct daemon *daemon, struct MHD_Connection *connection,
                           char ret_url[TEXT_BYTES])
{
	const struct http_door *door = daemon->door;
	int place = daemon->audience == PAGE_TLS;
	char host[256];

	if (door->websocket_urls[place]) {
		snprintf(ret_url, TEXT_BYTES, "%s", door->websocket_urls[place]);
		return true;
	}
	if (!door->websocket_ports[place] || !get_host(connection, host))
		return false;
	snprintf(ret_url, TEXT_BYTES, "%s://%s:%u" UPGRADE_PATH, place ? "wss" : "ws", host,
	         door->websocket_ports[place]);
	return true;
}

static void add_policy(const struct daemon *daemon, struct MHD_Connection *connection,
                       struct MHD_Response *response)
{
	char policy[TEXT_BYTES + 512];
	char url[TEXT_BYTES] = "";

	/* A policy names origins: the address without its path. */
	if (name_websocket(daemon, connection, url) && strstr(url, "://"))
		url[strcspn(strstr(url, "://") + 3, "/") + (size_t)(strstr(url, "://") + 3 - url)] =
			'\0';
	snprintf(policy, sizeof(policy),
	         "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self' %s; "
	         "img-src 'self' data:; font-src 'self'; manifest-src 'self'; base-uri 'none'; "
	         "form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'",
	         url);
	add_header(response, "Content-Security-Policy", policy);
	add_header(response, "Permissions-Policy", "camera=(), microphone=(), geolocation=()");
}

static enum MHD_Result send_file(const struct daemon *daemon, struct MHD_Connection *connection,
                                 const struct file *file)
{
	const char *known = header_of(connection, MHD_HTTP_HEADER_IF_NONE_MATCH);
	/* An ETag is quoted and no part of another; "W/" before it does not matter here. */
	bool is_known = known && (strcmp(known, "*") == 0 || strstr(known, file->etag));
	struct MHD_Response *response = MHD_create_response_from_buffer(
		is_known ? 0 : file->size, file->bytes, MHD_RESPMEM_PERSISTENT);

	must(response != NULL);
	add_header(response, "Content-Type", file->content_type);
	add_header(response, "ETag", file->etag);
	add_header(response, "Cache-Control",
	           file->is_immutable ? "public, max-age=31536000, immutable" : "no-cache");
	add_policy(daemon, connection, response);
	return send_response(connection, is_known ? MHD_HTTP_NOT_MODIFIED : MHD_HTTP_OK, response);
}

static enum MHD_Result send_address(const struct daemon *daemon, struct MHD_Connection *connection)
{
	char url[TEXT_BYTES];

	if (!name_websocket(daemon, connection, url))
		return send_line(connection, MHD_HTTP_BAD_REQUEST,
		                 "the Host header is no host and port");
	return send_json(connection, MHD_HTTP_OK, json_pack("{s:s}", "websocket", url));
}

/* The sign-in. */

static enum MHD_Result sign_in(const struct http_door *door, struct MHD_Connection *connection,
                               const struct body *body)
{
	json_t *request = json_loadb(body->bytes, body->size, 0, NULL);
	const char *user = json_string_value(json_object_get(request, "user"));
	struct outcome outcome;
	int64_t expires_ms = 0;
	char *token = NULL;
	enum MHD_Result result;

	if (user)
		token = door->needs.sign_in(door->needs.context, user, &expires_ms, &outcome);
	else
		outcome = outcome_refuse(OUTCOME_INVALID_ARGUMENT, "send {\"user\": \"alice\"}");
	json_decref(request);
	if (!token)
		return send_line(connection, MHD_HTTP_BAD_REQUEST, outcome.text);
	result = send_json(
		connection, MHD_HTTP_OK,
		json_pack("{s:s, s:I}", "token", token, "expires_ms", (json_int_t)expires_ms));
	free(token);
	return result;
}

/* A page elsewhere cannot send this content type without asking first, and is not answered then. */
static bool is_json(struct MHD_Connection *connection)
{
	const char *type = header_of(connection, MHD_HTTP_HEADER_CONTENT_TYPE);

	return type && strncasecmp(type, "application/json", 16) == 0 && strchr("; ", type[16]);
}

static enum MHD_Result on_sign_in(const struct http_door *door, struct MHD_Connection *connection,
                                  const struct body *body)
{
	if (body->size > sizeof(body->bytes))
		return send_line(connection, MHD_HTTP_CONTENT_TOO_LARGE,
		                 "the body has at most 1024 bytes");
	if (!is_json(connection))
		return send_line(connection, MHD_HTTP_UNSUPPORTED_MEDIA_TYPE,
		                 "the content type must be application/json");
	return sign_in(door, connection, body);
}

/* Bodies. libmicrohttpd takes an answer before the body is read only at the first call, and then closes the
 * connection; so a body is read to its end, what fits is kept, and one without end is cut off. */

static bool is_announced_too_large(struct MHD_Connection *connection)
{
	const char *length = header_of(connection, MHD_HTTP_HEADER_CONTENT_LENGTH);

	return length && strtoull(length, NULL, 10) > READ_BYTES;
}

static enum MHD_Result read_body(struct body *body, const char *bytes, size_t *size)
{
	if (body->size + *size <= sizeof(body->bytes))
		memcpy(body->bytes + body->size, bytes, *size);
	body->size += *size;
	*size = 0;
	return body->size <= READ_BYTES ? MHD_YES : MHD_NO;
}

/* Routes. */

static enum MHD_Result send_ready(const struct http_door *door, struct MHD_Connection *connection)
{
	char reason[256];

	if (door->needs.is_ready(door->needs.context, reason, sizeof(reason)))
		return send_line(connection, MHD_HTTP_OK, "ready");
	return send_line(connection, MHD_HTTP_SERVICE_UNAVAILABLE, reason);
}

static enum MHD_Result route_admin(const struct http_door *door, struct MHD_Connection *connection,
                                   const char *path)
{
	if (strcmp(path, "/healthz") == 0)
		return send_line(connection, MHD_HTTP_OK, "ok");
	if (strcmp(path, "/readyz") == 0)
		return send_ready(door, connection);
	return send_line(connection, MHD_HTTP_NOT_FOUND, "there are /healthz and /readyz here");
}

static enum MHD_Result route_page(const struct daemon *daemon, struct MHD_Connection *connection,
                                  const char *path)
{
	const struct file *file = files_find(daemon->door->files, path);

	if (file)
		return send_file(daemon, connection, file);
	if (strcmp(path, "/martlet.json") == 0)
		return send_address(daemon, connection);
	if (strcmp(path, UPGRADE_PATH) == 0)
		return send_line(connection, MHD_HTTP_UPGRADE_REQUIRED,
		                 "the WebSocket is at another port; /martlet.json says where");
	return send_line(connection, MHD_HTTP_NOT_FOUND, "there is no such page");
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *bytes, size_t *size, void **ret_body)
{
	const struct daemon *daemon = context;
	const struct http_door *door = daemon->door;
	bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	bool is_sign_in = door->needs.sign_in && daemon->audience != ADMIN &&
	                  strcmp(path, "/dev/sign-in") == 0;

	(void)version;
	/* The first call comes with the headers alone; the answer is made in a later one. */
	if (!*ret_body) {
		*ret_body = memory_new(sizeof(struct body));
		return is_announced_too_large(connection)
		               ? send_line(connection, MHD_HTTP_CONTENT_TOO_LARGE,
		                           "no body here is that large")
		               : MHD_YES;
	}
	if (*size)
		return read_body(*ret_body, bytes, size);
	if (is_sign_in)
		return strcmp(method, "POST") == 0 ? on_sign_in(door, connection, *ret_body)
		                                   : send_other_method(connection, "POST");
	if (!is_read)
		return send_other_method(connection, "GET, HEAD");
	return daemon->audience == ADMIN ? route_admin(door, connection, path)
	                                 : route_page(daemon, connection, path);
}

/* Time. */

static struct patience *patience_of(struct MHD_Connection *connection)
{
	const union MHD_ConnectionInfo *info =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

	return info->socket_context;
}

static void on_patience_due(struct timer *timer)
{
	const struct patience *patience =
		(struct patience *)((char *)timer - offsetof(struct patience, timer));

	/* libmicrohttpd has no call for it, and finds it closed. */
	shutdown(patience->fd, SHUT_RDWR);
}

static void on_connection(void *context, struct MHD_Connection *connection, void **ret_patience,
                          enum MHD_ConnectionNotificationCode code)
{
	struct http_door *door = ((struct daemon *)context)->door;
	struct patience *patience = *ret_patience;

	if (code == MHD_CONNECTION_NOTIFY_CLOSED) {
		timer_stop(&door->timers, &patience->timer);
		free(patience);
		return;
	}
	patience = memory_new(sizeof(*patience));
	patience->fd =
		MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
	patience->timer.on_due = on_patience_due;
	timer_start(&door->timers, &patience->timer, door->request_ms);
	*ret_patience = patience;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **body,
                         enum MHD_RequestTerminationCode code)
{
	struct http_door *door = ((struct daemon *)context)->door;
	struct patience *patience = patience_of(connection);

	if (code == MHD_REQUEST_TERMINATED_COMPLETED_OK)
		timer_start(&door->timers, &patience->timer, door->request_ms);
	free(*body);
	*body = NULL;
}

static void on_tick(uv_timer_t *timer)
{
	struct http_door *door = timer->data;

	timers_turn(&door->timers, uv_now(door->loop));
}

/* Running on the loop. */

static void on_timeout(uv_timer_t *timer);

static void run(struct daemon *daemon)
{
	MHD_UNSIGNED_LONG_LONG timeout_ms;

	MHD_run(daemon->mhd);
	if (MHD_get_timeout(daemon->mhd, &timeout_ms) == MHD_YES)
		uv_timer_start(&daemon->timer, on_timeout,
		               timeout_ms < POLL_LEAST_MS ? POLL_LEAST_MS : timeout_ms, 0);
	else
		uv_timer_stop(&daemon->timer);
}

static void on_timeout(uv_timer_t *timer)
{
	run(timer->data);
}

static void on_ready_epoll(uv_poll_t *poll, int status, int events)
{
	(void)status;
	(void)events;
	run(poll->data);
}

static void on_mhd_log(void *context, const char *format, va_list arguments)
{
	char text[256];

	(void)context;
	vsnprintf(text, sizeof(text), format, arguments);
	text[strcspn(text, "\n")] = '\0';
	log_limited(LOG_INFO, "libmicrohttpd", log_text("detail", text));
}

static struct MHD_Daemon *start_mhd(struct daemon *daemon)
{
	const struct http_door *door = daemon->door;
	bool is_tls = daemon->audience == PAGE_TLS;
	struct MHD_OptionItem tls[] = {
		{MHD_OPTION_HTTPS_MEM_CERT, 0, door->certificate},
		{MHD_OPTION_HTTPS_MEM_KEY, 0, door->private_key},
		{MHD_OPTION_END, 0, NULL},
	};
	struct MHD_OptionItem none[] = {{MHD_OPTION_END, 0, NULL}};

	return MHD_start_daemon(MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_USE_ERROR_LOG |
	                                (is_tls ? MHD_USE_TLS : 0),
	                        0, NULL, NULL, on_request, daemon, MHD_OPTION_EXTERNAL_LOGGER,
	                        on_mhd_log, NULL, MHD_OPTION_CONNECTION_TIMEOUT,
	                        (unsigned int)TIMEOUT_S, MHD_OPTION_CONNECTION_LIMIT,
	                        (unsigned int)CONNECTIONS_MOST, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
	                        (size_t)CONNECTION_BYTES, MHD_OPTION_NOTIFY_COMPLETED, on_completed,
	                        daemon, MHD_OPTION_NOTIFY_CONNECTION, on_connection, daemon,
	                        MHD_OPTION_ARRAY, is_tls ? tls : none, MHD_OPTION_END);
}

static void on_accepted(void *context, int fd, const struct sockaddr *peer)
{
	struct daemon *daemon = context;
	socklen_t size = peer->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
	                                             : sizeof(struct sockaddr_in);

	/* One that it cannot take, or that is beyond its bound, it has closed. */
	MHD_add_connection(daemon->mhd, fd, peer, size);
	run(daemon);
}

static void start_polling(struct daemon *daemon)
{
	const union MHD_DaemonInfo *epoll =
		MHD_get_daemon_info(daemon->mhd, MHD_DAEMON_INFO_EPOLL_FD);
	uv_loop_t *loop = daemon->door->loop;

	must(epoll != NULL);
	daemon->poll.data = daemon;
	daemon->timer.data = daemon;
	must(uv_timer_init(loop, &daemon->timer) == 0);
	must(uv_poll_init(loop, &daemon->poll, epoll->epoll_fd) == 0);
	must(uv_poll_start(&daemon->poll, UV_READABLE, on_ready_epoll) == 0);
}

static bool open_daemon(struct http_door *door, const char *address, enum audience audience,
                        struct outcome *ret_outcome)
{
	struct daemon *daemon = memory_new(sizeof(*daemon));

	must(door->count < DAEMONS_MOST);
	door->daemons[door->count++] = daemon;
	daemon->door = door;
	daemon->audience = audience;
	daemon->mhd = start_mhd(daemon);
	if (!daemon->mhd) {
		*ret_outcome = outcome_refuse(OUTCOME_INVALID_ARGUMENT,
		                              "HTTP on %s does not start; is the certificate good?",
		                              address);
		return false;
	}
	start_polling(daemon);
	daemon->listener = listener_open(door->loop, address, on_accepted, daemon, ret_outcome);
	return daemon->listener != NULL;
}

static bool open_all(struct http_door *door, const char *const *addresses, enum audience audience,
                     struct outcome *ret_outcome)
{
	for (; *addresses; addresses++) {
		if (!open_daemon(door, *addresses, audience, ret_outcome))
			return false;
	}
	return true;
}

static char *read_pem(const char *path, struct outcome *ret_outcome)
{
	FILE *file = fopen(path, "re");
	char *text = memory_new(PEM_BYTES);
	size_t size = file ? fread(text, 1, PEM_BYTES - 1, file) : 0;

	if (file)
		fclose(file);
	if (size)
		return text;
	*ret_outcome = outcome_refuse(OUTCOME_NOT_FOUND, "%s cannot be read", path);
	free(text);
	return NULL;
}

static bool read_certificate(struct http_door *door, const struct http_door_options *options,
                             struct outcome *ret_outcome)
{
	if (!options->tls_listen[0])
		return true;
	door->certificate = read_pem(options->certificate_file, ret_outcome);
	if (door->certificate)
		door->private_key = read_pem(options->private_key_file, ret_outcome);
	return door->private_key != NULL;
}

static char *copy_unless_empty(const char *text)
{
	return text && *text ? memory_copy_text(text) : NULL;
}

struct http_door *http_door_create(const struct http_door_options *options,
                                   const struct http_door_needs *needs, struct outcome *ret_outcome)
{
	struct http_door *door = memory_new(sizeof(*door));

	door->loop = options->loop;
	door->request_ms = options->request_ms;
	timers_init(&door->timers, uv_now(door->loop));
	door->timer.data = door;
	uv_timer_init(door->loop, &door->timer);
	uv_timer_start(&door->timer, on_tick, TICK_MS, TICK_MS);
	door->needs = *needs;
	door->websocket_urls[0] = copy_unless_empty(options->websocket_url);
	door->websocket_urls[1] = copy_unless_empty(options->websocket_tls_url);
	door->websocket_ports[0] = options->websocket_port;
	door->websocket_ports[1] = options->websocket_tls_port;
	if (options->web_root && *options->web_root) {
		door->files = files_read(options->web_root, ret_outcome);
		if (!door->files)
			return NULL;
	}
	/* A worker that cannot serve ends; what it had so far goes with it. */
	if (!read_certificate(door, options, ret_outcome) ||
	    !open_all(door, options->listen, PAGE, ret_outcome) ||
	    !open_all(door, options->tls_listen, PAGE_TLS, ret_outcome) ||
	    !open_all(door, options->admin_listen, ADMIN, ret_outcome))
		return NULL;
	return door;
}

static void stop_listening(struct daemon *daemon)
{
	listener_close(daemon->listener);
	daemon->listener = NULL;
}

void http_door_stop_listening(struct http_door *door)
{
	for (size_t i = 0; i < door->count; i++) {
		if (door->daemons[i]->audience != ADMIN)
			stop_listening(door->daemons[i]);
	}
}

static void door_free(struct http_door *door)
{
	for (size_t i = 0; i < door->count; i++)
		free(door->daemons[i]);
	files_free(door->files);
	free(door->websocket_urls[0]);
	free(door->websocket_urls[1]);
	free(door->certificate);
	free(door->private_key);
	timers_done(&door->timers);
	free(door);
}

static void count_closed(struct http_door *door)
{
	if (--door->open_handles)
		return;
	door->on_closed(door->closed_context);
	door_free(door);
}

static void on_handle_closed(uv_handle_t *handle)
{
	count_closed(((struct daemon *)handle->data)->door);
}

static void on_timer_closed(uv_handle_t *handle)
{
	count_closed(handle->data);
}

void http_door_close(struct http_door *door, void (*on_closed)(void *context), void *context)
{
	door->on_closed = on_closed;
	door->closed_context = context;
	door->open_handles = 2 * door->count + 1;
	for (size_t i = 0; i < door->count; i++) {
		struct daemon *daemon = door->daemons[i];

		stop_listening(daemon);
		uv_poll_stop(&daemon->poll);
		uv_timer_stop(&daemon->timer);
		MHD_stop_daemon(daemon->mhd);
		uv_close((uv_handle_t *)&daemon->poll, on_handle_closed);
		uv_close((uv_handle_t *)&daemon->timer, on_handle_closed);
	}
	uv_close((uv_handle_t *)&door->timer, on_timer_closed);
}
