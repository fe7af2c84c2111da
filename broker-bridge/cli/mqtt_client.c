#include "cli/mqtt_client.h"

#include "base/memory.h"
#include "base/must.h"
#include "base/pace.h"
#include "base/random.h"
#include "model/topic.h"

#include <errno.h>
#include <mosquitto.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <utlist.h>

#define KEEPALIVE_S 60
#define INBOX_MOST 10000 /* frames not yet taken: who is that far behind pages the history */
#define REPEAT_MS 5000
#define TURN_MS 500 /* between looks at the keep-alive and the clock */
#define CLIENT_ID_BYTES (2 * LIMIT_USER_BYTES + 2)

struct arrival {
	Martlet__V1__ServerFrame *frame;
	struct arrival *prev, *next; /* mqtt_client::inbox */
};

struct subscription {
	struct uuid conversation;
	struct subscription *prev, *next; /* mqtt_client::subscriptions */
};

struct mqtt_client {
	struct mqtt_client_options options;
	struct mosquitto *mosquitto;
	struct backoff backoff;
	struct topic up;
	struct topic down;

	struct arrival *inbox; /* arrival::prev, next */
	uint32_t inbox_count;
	struct subscription *subscriptions; /* subscription::prev, next */

	uint32_t last_request;
	uint32_t asked;                  /* the request whose answer is waited for; 0: none */
	Martlet__V1__ServerFrame *reply; /* that answer's frame */
	uint64_t retry_at_ms;            /* when to connect again */
	uint32_t connections;
	int result; /* of the CONNACK */
	bool is_connected;
	bool is_subscribed; /* to all that it asked for */
	int subscribing;    /* the last SUBSCRIBE's id */
	bool is_denied;
};

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* libmosquitto's callbacks. */

static void subscribe_to(struct mqtt_client *client, const struct uuid *conversation)
{
	struct topic events = topic_conversation_events(conversation);
	struct topic signals = topic_conversation_signals(conversation);
	char *topics[] = {events.text, signals.text};

	client->is_subscribed = false;
	mosquitto_subscribe_multiple(client->mosquitto, &client->subscribing, 2, topics, 1, 0,
	                             NULL);
}

/* All of it each time: whether the broker still had them is nothing to build on. */
static void on_connect(struct mosquitto *mosquitto, void *context, int result)
{
	struct mqtt_client *client = context;
	struct topic news = topic_user_events(&client->options.user);
	char *topics[] = {client->down.text, news.text};
	struct subscription *subscription;

	client->result = result;
	if (result != 0)
		return;
	client->is_connected = true;
	client->is_subscribed = false;
	client->connections++;
	backoff_reset(&client->backoff);
	mosquitto_subscribe_multiple(mosquitto, &client->subscribing, 2, topics, 1, 0, NULL);
	DL_FOREACH(client->subscriptions, subscription)
		subscribe_to(client, &subscription->conversation);
}

static void on_disconnect(struct mosquitto *mosquitto, void *context, int reason)
{
	struct mqtt_client *client = context;

	(void)mosquitto;
	(void)reason;
	client->is_connected = false;
	client->retry_at_ms = now_ms() + backoff_next_ms(&client->backoff, random_number());
}

static void on_subscribe(struct mosquitto *mosquitto, void *context, int id, int count,
                         const int *granted)
{
	struct mqtt_client *client = context;

	(void)mosquitto;
	for (int i = 0; i < count; i++)
		client->is_denied |= granted[i] > 2;
	if (id == client->subscribing)
		client->is_subscribed = true;
}

static bool is_answer(const struct mqtt_client *client, const Martlet__V1__ServerFrame *frame)
{
	return client->asked && !client->reply && frame->n_items == 1 &&
	       frame->items[0]->kind_case == MARTLET__V1__ITEM__KIND_REPLY &&
	       frame->items[0]->reply->request_id == client->asked;
}

static void on_message(struct mosquitto *mosquitto, void *context,
                       const struct mosquitto_message *message)
{
	struct mqtt_client *client = context;
	Martlet__V1__ServerFrame *frame = martlet__v1__server_frame__unpack(
		NULL, (size_t)message->payloadlen, message->payload);
	struct arrival *arrival;

	(void)mosquitto;
	if (!frame)
		return;
	if (is_answer(client, frame)) {
		client->reply = frame;
		return;
	}
	if (client->inbox_count >= INBOX_MOST) {
		martlet__v1__server_frame__free_unpacked(frame, NULL);
		return;
	}
	arrival = memory_new(sizeof(*arrival));
	arrival->frame = frame;
	DL_APPEND(client->inbox, arrival);
	client->inbox_count++;
}

/* One turn: at most `wait_ms` of waiting for the network or `fd`. */

static bool wait_for(struct mqtt_client *client, int fd, uint32_t wait_ms)
{
	int socket = mosquitto_socket(client->mosquitto);
	short wanted = mosquitto_want_write(client->mosquitto) ? POLLIN | POLLOUT : POLLIN;
	struct pollfd fds[2] = {{socket, wanted, 0}, {fd, POLLIN, 0}};

	if (poll(fds, 2, (int)wait_ms) < 0)
		return false;
	return fds[1].revents != 0;
}

static bool turn(struct mqtt_client *client, int fd, uint32_t wait_ms)
{
	bool is_readable = wait_for(client, fd, wait_ms < TURN_MS ? wait_ms : TURN_MS);

	if (mosquitto_socket(client->mosquitto) < 0) {
		if (now_ms() >= client->retry_at_ms &&
		    mosquitto_reconnect(client->mosquitto) != MOSQ_ERR_SUCCESS)
			on_disconnect(client->mosquitto, client, 0);
		return is_readable;
	}
	errno = 0;
	(void)mosquitto_loop(client->mosquitto, 0, 1);
	return is_readable;
}

bool mqtt_client_wait(struct mqtt_client *client, int fd, uint32_t wait_ms)
{
	return !client->inbox ? turn(client, fd, wait_ms) : turn(client, fd, 0);
}

/* Opening and closing. */

static struct outcome connect_first(struct mqtt_client *client)
{
	const struct mqtt_client_options *options = &client->options;
	uint64_t deadline_ms = now_ms() + options->answer_ms;
	int result =
		mosquitto_connect(client->mosquitto, options->host, options->port, KEEPALIVE_S);

	if (result != MOSQ_ERR_SUCCESS)
		return outcome_refuse(
			OUTCOME_UNAVAILABLE, "Mosquitto at %s:%u: %s", options->host, options->port,
			result == MOSQ_ERR_ERRNO ? strerror(errno) : mosquitto_strerror(result));
	while (!client->is_subscribed && !client->result && !client->is_denied &&
	       now_ms() < deadline_ms)
		turn(client, -1, TURN_MS);
	if (client->result)
		return outcome_refuse(OUTCOME_UNAUTHENTICATED, "Mosquitto: %s",
		                      mosquitto_connack_string(client->result));
	if (client->is_denied)
		return outcome_refuse(OUTCOME_PERMISSION_DENIED,
		                      "Mosquitto denies this user its own topics");
	if (!client->is_subscribed)
		return outcome_refuse(OUTCOME_UNAVAILABLE, "Mosquitto does not answer");
	return outcome_ok();
}

struct mqtt_client *mqtt_client_open(const struct mqtt_client_options *options,
                                     struct outcome *ret_outcome)
{
	struct mqtt_client *client = memory_new(sizeof(*client));
	char id[CLIENT_ID_BYTES];

	mosquitto_lib_init();
	client->options = *options;
	client->backoff = (struct backoff){.first_ms = 300, .most_ms = 30000};
	client->up = topic_up(&options->user, &options->device);
	client->down = topic_device(&options->user, &options->device);
	/* Answers of an earlier life of this device must not be taken for ours. */
	client->last_request = random_number() & 0x7fffffff;
	snprintf(id, sizeof(id), "%s/%s", options->user.text, options->device.text);
	client->mosquitto = mosquitto_new(id, true, client);
	must(client->mosquitto != NULL);
	mosquitto_int_option(client->mosquitto, MOSQ_OPT_TCP_NODELAY, 1);
	mosquitto_username_pw_set(client->mosquitto, options->login, options->password);
	mosquitto_connect_callback_set(client->mosquitto, on_connect);
	mosquitto_disconnect_callback_set(client->mosquitto, on_disconnect);
	mosquitto_subscribe_callback_set(client->mosquitto, on_subscribe);
	mosquitto_message_callback_set(client->mosquitto, on_message);
	*ret_outcome = connect_first(client);
	if (outcome_is_ok(ret_outcome))
		return client;
	mqtt_client_close(client);
	return NULL;
}

void mqtt_client_close(struct mqtt_client *client)
{
	Martlet__V1__ServerFrame *frame;
	struct subscription *subscription;
	struct subscription *next;

	if (!client)
		return;
	mosquitto_disconnect(client->mosquitto);
	mosquitto_destroy(client->mosquitto);
	while ((frame = mqtt_client_take(client)))
		martlet__v1__server_frame__free_unpacked(frame, NULL);
	DL_FOREACH_SAFE(client->subscriptions, subscription, next)
		free(subscription);
	free(client);
	mosquitto_lib_cleanup();
}

/* Conversations. */

static struct subscription *find(const struct mqtt_client *client, const struct uuid *conversation)
{
	struct subscription *subscription;

	DL_FOREACH(client->subscriptions, subscription) {
		if (uuid_is_equal(&subscription->conversation, conversation))
			return subscription;
	}
	return NULL;
}

struct outcome mqtt_client_subscribe(struct mqtt_client *client, const struct uuid *conversation)
{
	uint64_t deadline_ms = now_ms() + client->options.answer_ms;
	struct subscription *subscription = find(client, conversation);

	if (!subscription) {
		subscription = memory_new(sizeof(*subscription));
		subscription->conversation = *conversation;
		DL_APPEND(client->subscriptions, subscription);
	}
	client->is_denied = false;
	subscribe_to(client, conversation);
	while (!client->is_subscribed && now_ms() < deadline_ms)
		turn(client, -1, TURN_MS);
	if (client->is_denied)
		return outcome_refuse(OUTCOME_PERMISSION_DENIED,
		                      "Mosquitto denies the subscription to conversation %s",
		                      uuid_to_text(conversation).text);
	if (!client->is_subscribed)
		return outcome_refuse(OUTCOME_UNAVAILABLE, "Mosquitto does not answer");
	return outcome_ok();
}

void mqtt_client_unsubscribe(struct mqtt_client *client, const struct uuid *conversation)
{
	struct topic events = topic_conversation_events(conversation);
	struct topic signals = topic_conversation_signals(conversation);
	struct subscription *subscription = find(client, conversation);

	if (!subscription)
		return;
	DL_DELETE(client->subscriptions, subscription);
	free(subscription);
	mosquitto_unsubscribe(client->mosquitto, NULL, events.text);
	mosquitto_unsubscribe(client->mosquitto, NULL, signals.text);
}

/* Commands. */

static void publish(struct mqtt_client *client, const Martlet__V1__ClientFrame *command)
{
	size_t size = martlet__v1__client_frame__get_packed_size(command);
	uint8_t *bytes = memory_new(size);

	martlet__v1__client_frame__pack(command, bytes);
	if (client->is_connected)
		mosquitto_publish(client->mosquitto, NULL, client->up.text, (int)size, bytes, 1,
		                  false);
	free(bytes);
}

/* How long to wait before the command is given again; 0 if this is its answer. */
static uint32_t retry_after_ms(const Martlet__V1__ServerFrame *frame)
{
	const Martlet__V1__Reply *reply = frame->items[0]->reply;

	if (reply->result_case != MARTLET__V1__REPLY__RESULT_ERROR ||
	    (reply->error->code != MARTLET__V1__CODE__CODE_UNAVAILABLE &&
	     reply->error->code != MARTLET__V1__CODE__CODE_RESOURCE_EXHAUSTED))
		return 0;
	return reply->error->retry_after_ms ? reply->error->retry_after_ms : REPEAT_MS;
}

/* The same request id at each repetition: whichever answer comes first is the answer. */
static void await_answer(struct mqtt_client *client, const Martlet__V1__ClientFrame *command)
{
	uint64_t deadline_ms = now_ms() + client->options.answer_ms;
	uint32_t connections = client->connections;
	uint64_t repeat_ms = now_ms();

	while (!client->reply && now_ms() < deadline_ms) {
		if (client->is_connected &&
		    (now_ms() >= repeat_ms || connections != client->connections)) {
			publish(client, command);
			connections = client->connections;
			repeat_ms = now_ms() + REPEAT_MS;
		}
		turn(client, -1, TURN_MS);
		/* The last refusal is the answer, if the time does not suffice for another. */
		if (client->reply && retry_after_ms(client->reply) &&
		    now_ms() + retry_after_ms(client->reply) < deadline_ms) {
			repeat_ms = now_ms() + retry_after_ms(client->reply);
			martlet__v1__server_frame__free_unpacked(client->reply, NULL);
			client->reply = NULL;
		}
	}
}

Martlet__V1__ServerFrame *mqtt_client_ask(struct mqtt_client *client,
                                          Martlet__V1__ClientFrame *command,
                                          const Martlet__V1__Reply **ret_reply,
                                          struct outcome *ret_outcome)
{
	Martlet__V1__ServerFrame *frame;
	const Martlet__V1__Reply *reply;

	client->last_request = client->last_request + 1 ? client->last_request + 1 : 1;
	command->request_id = client->last_request;
	client->asked = command->request_id;
	await_answer(client, command);
	client->asked = 0;
	frame = client->reply;
	client->reply = NULL;
	if (!frame) {
		*ret_outcome = outcome_refuse(OUTCOME_UNAVAILABLE, "Martlet does not answer");
		return NULL;
	}
	reply = frame->items[0]->reply;
	*ret_reply = reply;
	*ret_outcome = outcome_ok();
	if (reply->result_case != MARTLET__V1__REPLY__RESULT_ERROR)
		return frame;
	*ret_outcome =
		outcome_refuse((enum outcome_code)reply->error->code, "%s%s%s", reply->error->field,
	                       *reply->error->field ? " " : "", reply->error->message);
	martlet__v1__server_frame__free_unpacked(frame, NULL);
	return NULL;
}

Martlet__V1__ServerFrame *mqtt_client_take(struct mqtt_client *client)
{
	struct arrival *arrival = client->inbox;
	Martlet__V1__ServerFrame *frame;

	if (!arrival)
		return NULL;
	frame = arrival->frame;
	DL_DELETE(client->inbox, arrival);
	client->inbox_count--;
	free(arrival);
	return frame;
}

uint32_t mqtt_client_connections(const struct mqtt_client *client)
{
	return client->connections;
}
