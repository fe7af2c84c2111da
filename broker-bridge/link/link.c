#include "link/link.h"

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "base/pace.h"
#include "base/random.h"
#include "link/private.h"
#include "model/topic.h"

#include <errno.h>
#include <mosquitto.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#define TICK_MS 500
#define KEEPALIVE_S 20
#define CONNECT_MS 5000
#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 2000
#define PACKETS_A_TURN 64
#define INFLIGHT 1000
#define RECEIVE_BYTES_MOST 1048576 /* no bridge publishes more; who else does is not ours */

/* What lies in a node's retained topic: 1 while it is alive. */
#define ALIVE "1"
#define GONE "0"

struct watcher {
	uv_poll_t poll;
	struct link *link; /* NULL once stopped */
};

/* What this turn brought for one shard. */
struct envelope {
	struct buffer bytes;
	bool is_dirty; /* and so in link::dirty */
};

struct link {
	struct link_options options;
	struct link_needs needs;
	char *strings[4]; /* host, user, password, node: what options point to */
	struct backoff backoff;

	struct mosquitto *mosquitto;
	struct interest *interest;
	struct watcher *watcher;
	int watched_fd;
	int watched_events;
	uv_timer_t timer;
	bool is_connecting;
	bool is_connected; /* CONNACK came */
	bool is_up;        /* and everything held is heard */
	bool wants_watch;  /* published beside the bus in this turn */
	uint64_t since_ms; /* the beginning of a connection, or the time of the next */
	uint32_t unconfirmed;
	struct link_counts counts;
	struct envelope *envelopes; /* by shard */
	uint32_t *dirty;
	uint32_t dirty_count;

	uint32_t open_handles;
	void (*on_closed)(void *context);
	void *closed_context;
};

static void on_ready_fd(uv_poll_t *poll, int status, int events);

/* Watching the socket, as in store/connection.c: unwatched before the number can be another's. */

static void on_watcher_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void unwatch(struct link *link)
{
	struct watcher *watcher = link->watcher;

	if (!watcher)
		return;
	watcher->link = NULL;
	uv_poll_stop(&watcher->poll);
	uv_close((uv_handle_t *)&watcher->poll, on_watcher_closed);
	link->watcher = NULL;
	link->watched_events = 0;
}

/* To be called after whatever may have made libmosquitto want to write or given it another socket. */
static void watch(struct link *link)
{
	int fd = mosquitto_socket(link->mosquitto);
	int events = UV_READABLE | (mosquitto_want_write(link->mosquitto) ? UV_WRITABLE : 0);

	if (link->watcher && link->watched_fd != fd)
		unwatch(link);
	if (fd < 0)
		return;
	if (!link->watcher) {
		struct watcher *watcher = memory_new(sizeof(*watcher));

		watcher->link = link;
		watcher->poll.data = watcher;
		must(uv_poll_init(link->options.loop, &watcher->poll, fd) == 0);
		link->watcher = watcher;
		link->watched_fd = fd;
	}
	if (link->watched_events == events)
		return;
	link->watched_events = events;
	must(uv_poll_start(&link->watcher->poll, events, on_ready_fd) == 0);
}

static void schedule_reconnect(struct link *link)
{
	link->since_ms =
		uv_now(link->options.loop) + backoff_next_ms(&link->backoff, random_number());
}

/* The connection is gone, in whatever state it was. */
static void lose(struct link *link, const char *reason)
{
	bool was_up = link->is_up;

	unwatch(link);
	if (!link->is_connecting && !link->is_connected)
		return;
	log_limited(LOG_WARNING, "mosquitto connection lost", log_text("reason", reason));
	link->is_connecting = false;
	link->is_connected = false;
	link->is_up = false;
	link->unconfirmed = 0;
	schedule_reconnect(link);
	interest_on_lost(link->interest);
	if (was_up)
		link->needs.on_down(link->needs.context);
}

/* What libmosquitto means by a result; to be called before errno is another's. */
static const char *reason_of(int result)
{
	return result == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(result);
}

/* libmosquitto's callbacks: called from within its functions only. */

static void on_connect(struct mosquitto *mosquitto, void *context, int result)
{
	struct link *link = context;
	struct topic topic = topic_node(link->options.node);
	struct topic all_nodes = topic_all_nodes();

	if (result != 0) {
		log_limited(LOG_ERROR, "mosquitto refused the connection",
		            log_text("reason", mosquitto_connack_string(result)));
		return;
	}
	link->is_connecting = false;
	link->is_connected = true;
	backoff_reset(&link->backoff);
	mosquitto_publish(mosquitto, NULL, topic.text, strlen(ALIVE), ALIVE, 1, true);
	link->counts.published++;
	link->unconfirmed++;
	/* Before the shards: what is retained has come when these are heard. */
	mosquitto_subscribe(mosquitto, NULL, all_nodes.text, 0);
	interest_on_connected(link->interest);
}

static void on_publish(struct mosquitto *mosquitto, void *context, int message_id)
{
	struct link *link = context;

	(void)mosquitto;
	(void)message_id;
	if (link->unconfirmed)
		link->unconfirmed--;
	link->counts.confirmed++;
}

static void on_subscribe(struct mosquitto *mosquitto, void *context, int message_id, int count,
                         const int *granted)
{
	struct link *link = context;

	(void)mosquitto;
	for (int i = 0; i < count; i++) {
		if (granted[i] > 2)
			log_limited(LOG_ERROR, "mosquitto denied a subscription to the bus");
	}
	interest_on_subscribed(link->interest, message_id);
}

/* Whatever is not the word of a living node, an emptied topic too, says that it is gone. */
static void on_node(const struct link *link, const char *node,
                    const struct mosquitto_message *message)
{
	bool is_alive = message->payloadlen == (int)strlen(ALIVE) &&
	                memcmp(message->payload, ALIVE, strlen(ALIVE)) == 0;

	link->needs.on_node(link->needs.context, node, is_alive);
}

static void on_message(struct mosquitto *mosquitto, void *context,
                       const struct mosquitto_message *message)
{
	struct link *link = context;
	const char *node = topic_find_node(message->topic);
	uint32_t shard;

	(void)mosquitto;
	if (node) {
		on_node(link, node, message);
		return;
	}
	if (!topic_is_bus(message->topic, &shard) || shard >= link->options.shards) {
		log_limited(LOG_WARNING, "message on an unknown topic");
		return;
	}
	if (message->payloadlen <= 0 || message->payloadlen > RECEIVE_BYTES_MOST) {
		log_limited(LOG_WARNING, "message of an impossible size",
		            log_number("bytes", message->payloadlen));
		return;
	}
	link->counts.received++;
	link->needs.on_bus(link->needs.context, shard, message->payload,
	                   (size_t)message->payloadlen);
}

void link_on_all_heard(struct link *link)
{
	link->is_up = true;
	log_info("mosquitto connected");
	link->needs.on_up(link->needs.context);
}

/* A fresh client for each connection: it forgets what was unconfirmed on the last one, which would
 * otherwise be sent again, long after everybody found it in the log. */
static void renew_client(struct link *link)
{
	const struct link_options *options = &link->options;
	struct topic topic = topic_node(options->node);
	struct mosquitto *mosquitto;

	unwatch(link);
	mosquitto_destroy(link->mosquitto);
	mosquitto = mosquitto_new(options->node, true, link);
	must(mosquitto != NULL);
	link->mosquitto = mosquitto;
	must(mosquitto_int_option(mosquitto, MOSQ_OPT_TCP_NODELAY, 1) == MOSQ_ERR_SUCCESS);
	must(mosquitto_max_inflight_messages_set(mosquitto, INFLIGHT) == MOSQ_ERR_SUCCESS);
	must(mosquitto_will_set(mosquitto, topic.text, strlen(GONE), GONE, 1, true) ==
	     MOSQ_ERR_SUCCESS);
	if (options->user)
		must(mosquitto_username_pw_set(mosquitto, options->user, options->password) ==
		     MOSQ_ERR_SUCCESS);
	mosquitto_connect_callback_set(mosquitto, on_connect);
	mosquitto_publish_callback_set(mosquitto, on_publish);
	mosquitto_subscribe_callback_set(mosquitto, on_subscribe);
	mosquitto_message_callback_set(mosquitto, on_message);
}

static void connect_now(struct link *link)
{
	int result;

	renew_client(link);
	link->is_connecting = true;
	link->since_ms = uv_now(link->options.loop);
	result = mosquitto_connect_async(link->mosquitto, link->options.host, link->options.port,
	                                 KEEPALIVE_S);
	if (result != MOSQ_ERR_SUCCESS)
		lose(link, reason_of(result));
	else
		watch(link);
}

/* loop_read takes one packet a call and judges the end by errno as it finds it. */
static int read_packets(struct link *link)
{
	int result = MOSQ_ERR_SUCCESS;

	for (int i = 0; i < PACKETS_A_TURN; i++) {
		int waiting = 0;

		errno = 0;
		result = mosquitto_loop_read(link->mosquitto, 1);
		if (result != MOSQ_ERR_SUCCESS ||
		    ioctl(mosquitto_socket(link->mosquitto), FIONREAD, &waiting) < 0 || !waiting)
			break;
	}
	return result;
}

static void on_ready_fd(uv_poll_t *poll, int status, int events)
{
	struct watcher *watcher = poll->data;
	struct link *link = watcher->link;
	int result = MOSQ_ERR_SUCCESS;

	if (!link)
		return;
	if (status < 0 || (events & UV_READABLE))
		result = read_packets(link);
	if (result == MOSQ_ERR_SUCCESS && (events & UV_WRITABLE)) {
		errno = 0;
		result = mosquitto_loop_write(link->mosquitto, 1);
	}
	if (status < 0 || result != MOSQ_ERR_SUCCESS || mosquitto_socket(link->mosquitto) < 0)
		lose(link, reason_of(result));
	else
		watch(link);
}

static void on_tick(uv_timer_t *timer)
{
	struct link *link = timer->data;
	uint64_t now = uv_now(link->options.loop);

	if (link->is_connected) {
		int result = mosquitto_loop_misc(link->mosquitto);

		if (result != MOSQ_ERR_SUCCESS)
			lose(link, reason_of(result));
		else
			watch(link);
	} else if (link->is_connecting && now - link->since_ms >= CONNECT_MS) {
		lose(link, "no answer in time");
	} else if (!link->is_connecting && now >= link->since_ms) {
		connect_now(link);
	}
}

static char *copy(struct link *link, size_t place, const char *text)
{
	link->strings[place] = text ? memory_copy_text(text) : NULL;
	return link->strings[place];
}

struct link *link_create(const struct link_options *options, const struct link_needs *needs)
{
	struct link *link = memory_new(sizeof(*link));

	link->options = *options;
	link->options.host = copy(link, 0, options->host);
	link->options.user = copy(link, 1, options->user);
	link->options.password = copy(link, 2, options->password);
	link->options.node = copy(link, 3, options->node);
	link->needs = *needs;
	link->backoff = (struct backoff){BACKOFF_FIRST_MS, BACKOFF_MOST_MS, 0};
	link->envelopes = memory_new_array(options->shards, sizeof(struct envelope));
	link->dirty = memory_new_array(options->shards, sizeof(uint32_t));
	for (uint32_t i = 0; i < options->shards; i++)
		buffer_init(&link->envelopes[i].bytes, options->publish_bytes);
	link->interest = interest_create(link, options->loop, options->shards, options->linger_ms);
	link->timer.data = link;
	uv_timer_init(options->loop, &link->timer);
	uv_timer_start(&link->timer, on_tick, TICK_MS, TICK_MS);
	link->open_handles = 2;
	connect_now(link);
	return link;
}

static void link_free(struct link *link)
{
	for (uint32_t i = 0; i < link->options.shards; i++)
		buffer_done(&link->envelopes[i].bytes);
	for (size_t i = 0; i < sizeof(link->strings) / sizeof(link->strings[0]); i++)
		free(link->strings[i]);
	free(link->envelopes);
	free(link->dirty);
	free(link);
}

static void on_part_closed(void *context)
{
	struct link *link = context;

	if (--link->open_handles)
		return;
	link->on_closed(link->closed_context);
	link_free(link);
}

static void on_timer_closed(uv_handle_t *handle)
{
	on_part_closed(handle->data);
}

/* Says that this node is gone while it still can; if the socket does not take it at once, the broker finds
 * out by the will. */
static void say_goodbye(struct link *link)
{
	struct topic topic = topic_node(link->options.node);

	if (!link->is_connected)
		return;
	mosquitto_publish(link->mosquitto, NULL, topic.text, strlen(GONE), GONE, 1, true);
	mosquitto_disconnect(link->mosquitto);
}

void link_close(struct link *link, void (*on_closed)(void *context), void *context)
{
	link->on_closed = on_closed;
	link->closed_context = context;
	say_goodbye(link);
	unwatch(link);
	mosquitto_destroy(link->mosquitto);
	link->mosquitto = NULL;
	link->is_connected = false;
	link->is_up = false;
	interest_on_lost(link->interest);
	interest_close(link->interest, on_part_closed, link);
	uv_close((uv_handle_t *)&link->timer, on_timer_closed);
}

bool link_is_up(const struct link *link)
{
	return link->is_up;
}

struct interest *link_interest(struct link *link)
{
	return link->interest;
}

struct link_counts link_counts(const struct link *link)
{
	return link->counts;
}

int link_subscribe(struct link *link, const uint32_t *shards, size_t count)
{
	struct topic *topics = memory_new_array(count, sizeof(*topics));
	char **names = memory_new_array(count, sizeof(*names));
	int message_id = 0;
	int result;

	for (size_t i = 0; i < count; i++) {
		topics[i] = topic_bus(shards[i]);
		names[i] = topics[i].text;
	}
	result = mosquitto_subscribe_multiple(link->mosquitto, &message_id, (int)count, names, 0, 0,
	                                      NULL);
	free(names);
	free(topics);
	watch(link);
	return result == MOSQ_ERR_SUCCESS ? message_id : 0;
}

void link_unsubscribe(struct link *link, uint32_t shard)
{
	struct topic topic = topic_bus(shard);

	mosquitto_unsubscribe(link->mosquitto, NULL, topic.text);
	watch(link);
}

/* Publishing. */

/* Bounded here: what libmosquitto queues has no other bound. Who misses it finds it in the log. */
static bool try_publish(struct link *link, const char *topic, const uint8_t *bytes, size_t size,
                        int qos)
{
	if (!link->is_connected || link->unconfirmed >= link->options.publish_pending)
		return false;
	/* Before the call: what leaves with QoS 0 is confirmed within it. */
	link->unconfirmed++;
	if (mosquitto_publish(link->mosquitto, NULL, topic, (int)size, bytes, qos, false) ==
	    MOSQ_ERR_SUCCESS)
		return true;
	link->unconfirmed--;
	return false;
}

static bool publish_bytes(struct link *link, const char *topic, const uint8_t *bytes, size_t size,
                          int qos)
{
	bool is_published = try_publish(link, topic, bytes, size, qos);

	link->counts.published += is_published;
	link->counts.dropped += !is_published;
	return is_published;
}

static void publish(struct link *link, uint32_t shard)
{
	struct buffer *bytes = &link->envelopes[shard].bytes;
	struct topic topic = topic_bus(shard);

	if (!bytes->size)
		return;
	publish_bytes(link, topic.text, bytes->bytes, bytes->size, 1);
	buffer_clear(bytes);
}

bool link_publish(struct link *link, const char *topic, const uint8_t *bytes, size_t size, int qos)
{
	/* However much of this there is, the bus has room. */
	if (link->unconfirmed >= link->options.publish_pending / 2) {
		link->counts.dropped++;
		return false;
	}
	link->wants_watch = true;
	return publish_bytes(link, topic, bytes, size, qos);
}

void link_publish_bus(struct link *link, uint32_t shard, const uint8_t *bytes, size_t size)
{
	struct envelope *envelope = &link->envelopes[shard];

	must(shard < link->options.shards);
	if (!envelope->is_dirty) {
		envelope->is_dirty = true;
		link->dirty[link->dirty_count++] = shard;
	}
	if (buffer_append(&envelope->bytes, bytes, size))
		return;
	publish(link, shard);
	if (!buffer_append(&envelope->bytes, bytes, size))
		link->counts.dropped++;
}

void link_flush(struct link *link)
{
	if (!link->dirty_count && !link->wants_watch)
		return;
	for (uint32_t i = 0; i < link->dirty_count; i++) {
		uint32_t shard = link->dirty[i];

		link->envelopes[shard].is_dirty = false;
		publish(link, shard);
	}
	link->dirty_count = 0;
	link->wants_watch = false;
	if (link->is_connected)
		watch(link);
}
