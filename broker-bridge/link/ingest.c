#include "link/ingest.h"

#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/pace.h"
#include "base/random.h"

#include <errno.h>
#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define TICK_MS 500
/* PINGREQs wait for acknowledgements too, and these for the store. */
#define KEEPALIVE_S 60
#define CONNECT_MS 5000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 2000
#define PACKETS_A_TURN 64
#define ANSWERS_UNCONFIRMED 256 /* beyond it they are dropped: libmosquitto has no bound */
#define CLIENT_ID_BYTES 128

struct watcher {
	uv_poll_t poll;
	struct ingest *ingest; /* NULL once stopped */
};

struct ingest {
	struct ingest_options options;
	struct ingest_needs needs;
	char *strings[3]; /* host, user, password: what options point to */
	char client_id[CLIENT_ID_BYTES];
	char *filters[INGEST_FILTERS_MOST];
	struct backoff backoff;

	struct mosquitto *mosquitto;
	struct watcher *watcher;
	int watched_fd;
	int watched_events;
	uv_timer_t timer;
	uint64_t since_ms; /* the beginning of a connection, or the time of the next */

	bool is_old_mqtt; /* the broker knows 3.1.1 only */
	bool is_connecting;
	bool is_connected;
	bool is_up; /* SUBACK came */
	bool is_stopping;
	bool is_stopped;
	bool has_heard; /* since the last UNSUBSCRIBE */
	bool is_in_library;

	uint32_t read;        /* on this connection, not acknowledged */
	uint32_t unanswered;  /* of all connections */
	uint32_t unconfirmed; /* answers */
	struct ingest_counts counts;

	void (*on_closed)(void *context);
	void *closed_context;
};

static void on_ready_fd(uv_poll_t *poll, int status, int events);

/* Watching the socket, as in link.c: unwatched before the number can be another's. */

static void on_watcher_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void unwatch(struct ingest *ingest)
{
	struct watcher *watcher = ingest->watcher;

	if (!watcher)
		return;
	watcher->ingest = NULL;
	uv_poll_stop(&watcher->poll);
	uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
	ingest->watcher = NULL;
	ingest->watched_events = 0;
}

/* What libmosquitto has to write may hold acknowledgements, and they leave all together. */
static bool may_write(const struct ingest *ingest)
{
	return !ingest->is_connected || !ingest->read || !ingest->unanswered;
}

static bool may_read(const struct ingest *ingest)
{
	return !ingest->is_connected ||
	       (ingest->read < ingest->options.batch && ingest->unanswered < ingest->options.batch);
}

static int wanted_events(const struct ingest *ingest)
{
	int events = may_read(ingest) ? UV_READABLE : 0;

	if (may_write(ingest) && mosquitto_want_write(ingest->mosquitto))
		events |= UV_WRITABLE;
	return events;
}

/* To be called after whatever may have changed what is to be waited for. */
static void watch(struct ingest *ingest)
{
	int fd = mosquitto_socket(ingest->mosquitto);
	int events = wanted_events(ingest);

	if (ingest->watcher && ingest->watched_fd != fd)
		unwatch(ingest);
	if (fd < 0)
		return;
	if (!ingest->watcher) {
		struct watcher *watcher = memory_new(sizeof(*watcher));

		watcher->ingest = ingest;
		watcher->poll.data = watcher;
		must(uv_poll_init(ingest->options.loop, &watcher->poll, fd) == 0);
		ingest->watcher = watcher;
		ingest->watched_fd = fd;
	}
	if (ingest->watched_events == events)
		return;
	ingest->watched_events = events;
	if (events)
		must(uv_poll_start(&ingest->watcher->poll, events, on_ready_fd) == 0);
	else
		uv_poll_stop(&ingest->watcher->poll);
}

/* The connection is gone, in whatever state it was. What was read on it comes again. */
static void lose(struct ingest *ingest, const char *reason)
{
	unwatch(ingest);
	if (!ingest->is_connecting && !ingest->is_connected)
		return;
	if (!ingest->is_stopping)
		log_limited(LOG_WARNING, "ingest connection lost", log_text("reason", reason));
	ingest->is_connecting = false;
	ingest->is_connected = false;
	ingest->is_up = false;
	ingest->read = 0;
	ingest->unconfirmed = 0;
	ingest->since_ms =
		uv_now(ingest->options.loop) + backoff_next_ms(&ingest->backoff, random_number());
}

/* What libmosquitto means by a result; to be called before errno is another's. */
static const char *reason_of(int result)
{
	return result == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(result);
}

/* libmosquitto's callbacks: called from within its functions only. */

/* Always, whatever the session has: Mosquitto forgets shared subscriptions when it is started again. */
static void subscribe(struct ingest *ingest)
{
	mosquitto_subscribe_multiple(ingest->mosquitto, NULL, (int)ingest->options.filters_count,
	                             ingest->filters, 1, 0, NULL);
}

static void unsubscribe(struct ingest *ingest)
{
	ingest->has_heard = false;
	mosquitto_unsubscribe_multiple(ingest->mosquitto, NULL, (int)ingest->options.filters_count,
	                               ingest->filters, NULL);
}

static void on_connect(struct mosquitto *mosquitto, void *context, int result, int flags,
                       const mosquitto_property *properties)
{
	struct ingest *ingest = context;

	(void)mosquitto;
	(void)flags;
	(void)properties;
	if (result == MQTT_RC_UNSUPPORTED_PROTOCOL_VERSION && !ingest->is_old_mqtt) {
		log_warning("the broker speaks MQTT 3.1.1 only; response topics are not answered");
		ingest->is_old_mqtt = true;
		return;
	}
	if (result != 0) {
		log_limited(LOG_ERROR, "mosquitto refused the ingest connection",
		            log_text("reason", ingest->is_old_mqtt
		                                       ? mosquitto_connack_string(result)
		                                       : mosquitto_reason_string(result)));
		return;
	}
	ingest->is_connecting = false;
	ingest->is_connected = true;
	backoff_reset(&ingest->backoff);
	if (ingest->is_stopping)
		unsubscribe(ingest);
	else
		subscribe(ingest);
}

static void on_subscribe(struct mosquitto *mosquitto, void *context, int message_id, int count,
                         const int *granted, const mosquitto_property *properties)
{
	struct ingest *ingest = context;

	(void)mosquitto;
	(void)message_id;
	(void)properties;
	for (int i = 0; i < count; i++) {
		if (granted[i] > 2) {
			log_limited(LOG_ERROR, "mosquitto denied a subscription to commands");
			return;
		}
	}
	ingest->is_up = true;
	log_info("commands over mqtt are heard");
}

static void on_unsubscribe(struct mosquitto *mosquitto, void *context, int message_id,
                           const mosquitto_property *properties)
{
	struct ingest *ingest = context;

	(void)mosquitto;
	(void)message_id;
	(void)properties;
	ingest->is_up = false;
	/* on_ready_fd goes on: the library is not to be left from within itself. */
	if (ingest->is_stopping && !ingest->has_heard)
		ingest->is_stopped = true;
}

static void on_publish(struct mosquitto *mosquitto, void *context, int message_id, int result,
                       const mosquitto_property *properties)
{
	struct ingest *ingest = context;

	(void)mosquitto;
	(void)message_id;
	(void)result;
	(void)properties;
	if (ingest->unconfirmed)
		ingest->unconfirmed--;
}

/* libmosquitto gives copies, which are kept here until the message has been given on. */
struct properties {
	char *response_topic;
	void *correlation;
	uint16_t correlation_size;
	char *content_type;
	uint32_t expiry_s;
	char *words[3]; /* of user properties, in the order of word_names */
};

static const char *const word_names[] = {"id", "kind", "collapse"};

/* The first of each name counts; what has another name is not ours. */
static void keep_word(struct properties *properties, char *name, char *value)
{
	for (size_t i = 0; i < sizeof(word_names) / sizeof(word_names[0]); i++) {
		if (value && strcmp(name, word_names[i]) == 0 && !properties->words[i]) {
			properties->words[i] = value;
			value = NULL;
		}
	}
	free(name);
	free(value);
}

static void read_properties(const mosquitto_property *given, struct properties *ret_properties)
{
	const mosquitto_property *at = given;
	bool is_next = false;
	char *name;
	char *value;

	*ret_properties = (struct properties){.expiry_s = 0};
	mosquitto_property_read_string(given, MQTT_PROP_RESPONSE_TOPIC,
	                               &ret_properties->response_topic, false);
	mosquitto_property_read_binary(given, MQTT_PROP_CORRELATION_DATA,
	                               &ret_properties->correlation,
	                               &ret_properties->correlation_size, false);
	mosquitto_property_read_string(given, MQTT_PROP_CONTENT_TYPE, &ret_properties->content_type,
	                               false);
	mosquitto_property_read_int32(given, MQTT_PROP_MESSAGE_EXPIRY_INTERVAL,
	                              &ret_properties->expiry_s, false);
	while ((at = mosquitto_property_read_string_pair(at, MQTT_PROP_USER_PROPERTY, &name, &value,
	                                                 is_next))) {
		keep_word(ret_properties, name, value);
		is_next = true;
	}
}

static void free_properties(struct properties *properties)
{
	free(properties->response_topic);
	free(properties->correlation);
	free(properties->content_type);
	for (size_t i = 0; i < sizeof(properties->words) / sizeof(properties->words[0]); i++)
		free(properties->words[i]);
}

static const char *or_empty(const char *text)
{
	return text ? text : "";
}

static void give(struct ingest *ingest, const struct mosquitto_message *message,
                 const mosquitto_property *given)
{
	struct properties properties;

	read_properties(given, &properties);
	ingest->needs.on_message(ingest->needs.context,
	                         &(struct ingest_message){
					 .topic = message->topic,
					 .bytes = message->payload,
					 .size = (size_t)message->payloadlen,
					 .response_topic = properties.response_topic,
					 .correlation = properties.correlation,
					 .correlation_size = properties.correlation_size,
					 .content_type = or_empty(properties.content_type),
					 .expiry_s = properties.expiry_s,
					 .id = or_empty(properties.words[0]),
					 .kind = or_empty(properties.words[1]),
					 .collapse = or_empty(properties.words[2]),
				 });
	free_properties(&properties);
}

static void on_message(struct mosquitto *mosquitto, void *context,
                       const struct mosquitto_message *message,
                       const mosquitto_property *properties)
{
	struct ingest *ingest = context;

	(void)mosquitto;
	ingest->has_heard = true;
	ingest->counts.received++;
	/* A command is given, not kept: what somebody has put there for ever would be given at each connection. */
	if (message->retain)
		return;
	ingest->unanswered++;
	/* With QoS 0 nothing waits for it at Mosquitto. */
	if (message->qos)
		ingest->read++;
	give(ingest, message, properties);
}

/* Connecting. */

static void set_version(struct ingest *ingest)
{
	mosquitto_property *properties = NULL;

	if (ingest->is_old_mqtt)
		return;
	must(mosquitto_int_option(ingest->mosquitto, MOSQ_OPT_PROTOCOL_VERSION, MQTT_PROTOCOL_V5) ==
	     MOSQ_ERR_SUCCESS);
	must(mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
	                                  ingest->options.expiry_s) == MOSQ_ERR_SUCCESS);
	/* Only this call takes properties, and it would wait for the network. It keeps them for the next call, and
	 * TCP knows no broadcast: the kernel refuses at once. */
	(void)mosquitto_connect_bind_v5(ingest->mosquitto, "255.255.255.255", ingest->options.port,
	                                KEEPALIVE_S, NULL, properties);
	mosquitto_property_free_all(&properties);
}

/* A fresh client for each connection: the last one's acknowledgements are void. */
static void renew_client(struct ingest *ingest)
{
	const struct ingest_options *options = &ingest->options;
	struct mosquitto *mosquitto;

	unwatch(ingest);
	mosquitto_destroy(ingest->mosquitto);
	mosquitto = mosquitto_new(ingest->client_id, false, ingest);
	must(mosquitto != NULL);
	ingest->mosquitto = mosquitto;
	must(mosquitto_threaded_set(mosquitto, true) == MOSQ_ERR_SUCCESS);
	must(mosquitto_int_option(mosquitto, MOSQ_OPT_TCP_NODELAY, 1) == MOSQ_ERR_SUCCESS);
	must(mosquitto_int_option(mosquitto, MOSQ_OPT_RECEIVE_MAXIMUM, (int)options->batch) ==
	     MOSQ_ERR_SUCCESS);
	if (options->user)
		must(mosquitto_username_pw_set(mosquitto, options->user, options->password) ==
		     MOSQ_ERR_SUCCESS);
	set_version(ingest);
	mosquitto_connect_v5_callback_set(mosquitto, on_connect);
	mosquitto_subscribe_v5_callback_set(mosquitto, on_subscribe);
	mosquitto_unsubscribe_v5_callback_set(mosquitto, on_unsubscribe);
	mosquitto_publish_v5_callback_set(mosquitto, on_publish);
	mosquitto_message_v5_callback_set(mosquitto, on_message);
}

static void connect_now(struct ingest *ingest)
{
	int result;

	renew_client(ingest);
	ingest->is_connecting = true;
	ingest->since_ms = uv_now(ingest->options.loop);
	result = mosquitto_connect_async(ingest->mosquitto, ingest->options.host,
	                                 ingest->options.port, KEEPALIVE_S);
	if (result != MOSQ_ERR_SUCCESS)
		lose(ingest, reason_of(result));
	else
		watch(ingest);
}

/* Writes all that libmosquitto has, if it may leave. */
static int write_packets(struct ingest *ingest)
{
	int result = MOSQ_ERR_SUCCESS;

	if (!may_write(ingest))
		return result;
	errno = 0;
	if (mosquitto_want_write(ingest->mosquitto))
		result = mosquitto_loop_write(ingest->mosquitto, 1);
	if (result != MOSQ_ERR_SUCCESS || mosquitto_want_write(ingest->mosquitto))
		return result;
	ingest->counts.acknowledged += ingest->read;
	ingest->read = 0;
	return result;
}

/* loop_read takes one packet a call and judges the end by errno as it finds it. What one packet asks to be written
 * (the subscription after CONNACK) leaves before the next is read, which may have to be acknowledged later. */
static int read_packets(struct ingest *ingest)
{
	int result = MOSQ_ERR_SUCCESS;

	for (int i = 0; i < PACKETS_A_TURN && may_read(ingest); i++) {
		int waiting = 0;

		errno = 0;
		result = mosquitto_loop_read(ingest->mosquitto, 1);
		if (result == MOSQ_ERR_SUCCESS && !ingest->read)
			result = write_packets(ingest);
		if (result != MOSQ_ERR_SUCCESS ||
		    ioctl(mosquitto_socket(ingest->mosquitto), FIONREAD, &waiting) < 0 || !waiting)
			break;
	}
	return result;
}

static void on_tick(uv_timer_t *timer);

/* on_stopped comes from the loop. */
static void finish(struct ingest *ingest)
{
	ingest->is_stopped = true;
	uv_timer_start(&ingest->timer, on_tick, 0, TICK_MS);
}

/* What follows whatever went on with the connection. */
static void go_on(struct ingest *ingest, int result)
{
	if (result == MOSQ_ERR_SUCCESS)
		result = write_packets(ingest);
	if (result != MOSQ_ERR_SUCCESS || mosquitto_socket(ingest->mosquitto) < 0) {
		lose(ingest, reason_of(result));
		return;
	}
	if (ingest->is_stopped) {
		finish(ingest);
		return;
	}
	/* The next one tells whether anything came after what is acknowledged now. */
	if (ingest->is_stopping && ingest->has_heard && !ingest->read && !ingest->unanswered) {
		unsubscribe(ingest);
		go_on(ingest, MOSQ_ERR_SUCCESS);
		return;
	}
	watch(ingest);
}

static void on_ready_fd(uv_poll_t *poll, int status, int events)
{
	struct watcher *watcher = poll->data;
	struct ingest *ingest = watcher->ingest;
	int result = MOSQ_ERR_SUCCESS;

	if (!ingest)
		return;
	ingest->is_in_library = true;
	if (status < 0 || (events & UV_READABLE))
		result = read_packets(ingest);
	ingest->is_in_library = false;
	if (status < 0 && result == MOSQ_ERR_SUCCESS)
		result = MOSQ_ERR_CONN_LOST;
	go_on(ingest, result);
}

void ingest_answered(struct ingest *ingest)
{
	must(ingest->unanswered > 0);
	ingest->unanswered--;
	/* Within on_message the turn's end does it. */
	if (!ingest->is_in_library && ingest->is_connected && !ingest->unanswered)
		go_on(ingest, MOSQ_ERR_SUCCESS);
	else if (!ingest->is_in_library && ingest->is_connected)
		watch(ingest);
}

void ingest_publish(struct ingest *ingest, const char *topic, const uint8_t *correlation,
                    size_t correlation_size, const uint8_t *bytes, size_t size)
{
	mosquitto_property *properties = NULL;

	if (!ingest->is_connected || ingest->is_old_mqtt ||
	    ingest->unconfirmed >= ANSWERS_UNCONFIRMED)
		return;
	if (correlation)
		must(mosquitto_property_add_binary(&properties, MQTT_PROP_CORRELATION_DATA,
		                                   correlation,
		                                   (uint16_t)correlation_size) == MOSQ_ERR_SUCCESS);
	if (mosquitto_publish_v5(ingest->mosquitto, NULL, topic, (int)size, bytes, 1, false,
	                         properties) == MOSQ_ERR_SUCCESS)
		ingest->unconfirmed++;
	mosquitto_property_free_all(&properties);
}

/* Stopping and ending. */

void ingest_stop(struct ingest *ingest)
{
	if (ingest->is_stopping)
		return;
	ingest->is_stopping = true;
	if (!ingest->is_connected) {
		finish(ingest);
		return;
	}
	unsubscribe(ingest);
	if (!ingest->is_in_library)
		go_on(ingest, MOSQ_ERR_SUCCESS);
}

/* Nothing is left: the session, which nobody deals to any more, may go. */
static void leave(struct ingest *ingest)
{
	mosquitto_property *properties = NULL;

	if (!ingest->is_connected)
		return;
	if (!ingest->is_old_mqtt)
		must(mosquitto_property_add_int32(&properties, MQTT_PROP_SESSION_EXPIRY_INTERVAL,
		                                  0) == MOSQ_ERR_SUCCESS);
	mosquitto_disconnect_v5(ingest->mosquitto, 0, properties);
	mosquitto_property_free_all(&properties);
	errno = 0;
	(void)mosquitto_loop_write(ingest->mosquitto, 1);
	lose(ingest, "stopped");
}

static void on_tick(uv_timer_t *timer)
{
	struct ingest *ingest = timer->data;
	uint64_t now = uv_now(ingest->options.loop);

	/* Who is to stop does not come back for it: its session waits for this node's next life, or expires. */
	if (ingest->is_stopping && !ingest->is_connected)
		ingest->is_stopped = true;
	if (ingest->is_stopped) {
		leave(ingest);
		uv_timer_stop(timer);
		ingest->needs.on_stopped(ingest->needs.context);
		return;
	}
	if (ingest->is_connected) {
		int result = mosquitto_loop_misc(ingest->mosquitto);

		go_on(ingest, result);
	} else if (ingest->is_connecting && now - ingest->since_ms >= CONNECT_MS) {
		lose(ingest, "no answer in time");
	} else if (!ingest->is_connecting && now >= ingest->since_ms) {
		connect_now(ingest);
	}
}

static char *copy(struct ingest *ingest, size_t place, const char *text)
{
	ingest->strings[place] = text ? memory_copy_text(text) : NULL;
	return ingest->strings[place];
}

struct ingest *ingest_create(const struct ingest_options *options, const struct ingest_needs *needs)
{
	struct ingest *ingest = memory_new(sizeof(*ingest));

	ingest->options = *options;
	ingest->options.host = copy(ingest, 0, options->host);
	ingest->options.user = copy(ingest, 1, options->user);
	ingest->options.password = copy(ingest, 2, options->password);
	ingest->options.node = NULL;
	must(options->filters_count > 0 && options->filters_count <= INGEST_FILTERS_MOST);
	for (size_t i = 0; i < options->filters_count; i++)
		ingest->filters[i] = memory_copy_text(options->filters[i]);
	ingest->options.filters = NULL;
	snprintf(ingest->client_id, sizeof(ingest->client_id), "%s.ingest", options->node);
	ingest->needs = *needs;
	ingest->backoff = (struct backoff){BACKOFF_FIRST_MS, BACKOFF_MOST_MS, 0};
	ingest->timer.data = ingest;
	uv_timer_init(options->loop, &ingest->timer);
	uv_timer_start(&ingest->timer, on_tick, TICK_MS, TICK_MS);
	connect_now(ingest);
	return ingest;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct ingest *ingest = handle->data;

	ingest->on_closed(ingest->closed_context);
	for (size_t i = 0; i < sizeof(ingest->strings) / sizeof(ingest->strings[0]); i++)
		free(ingest->strings[i]);
	for (size_t i = 0; i < ingest->options.filters_count; i++)
		free(ingest->filters[i]);
	free(ingest);
}

void ingest_close(struct ingest *ingest, void (*on_closed)(void *context), void *context)
{
	ingest->on_closed = on_closed;
	ingest->closed_context = context;
	unwatch(ingest);
	/* Without DISCONNECT and, for the same reason, without what libmosquitto would still write. */
	mosquitto_destroy(ingest->mosquitto);
	ingest->mosquitto = NULL;
	ingest->is_connected = false;
	uv_close((uv_handle_t *)&ingest->timer, on_timer_closed);
}

bool ingest_is_up(const struct ingest *ingest)
{
	return ingest->is_up;
}

struct ingest_counts ingest_counts(const struct ingest *ingest)
{
	return ingest->counts;
}
