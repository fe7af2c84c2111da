#include "front/mqtt_door.h"

#include "base/counters.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/must.h"
#include "commands/dispatch.h"
#include "commands/service.h"
#include "link/link.h"
#include "model/topic.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct mqtt_door {
	struct dispatcher *dispatcher;
	struct link *link;
	struct ingest *ingest; /* NULL once closed */
	uint32_t unanswered;
	bool is_stopped;
};

/* Where the answer to one command goes. */
struct question {
	struct mqtt_door *door;
	struct topic device;   /* empty: a service asks */
	struct topic response; /* empty: none */
	uint8_t *correlation;  /* NULL: none */
	size_t correlation_size;
};

static void answer(const struct question *question, const struct frame *frame)
{
	const struct mqtt_door *door = question->door;
	const char *response = question->response.text;

	/* Who asks for its answer on its own topic gets one there, not two. */
	if (question->device.text[0] && strcmp(response, question->device.text) != 0)
		link_publish(door->link, question->device.text, frame->bytes, frame->size, 1);
	if (response[0])
		ingest_publish(door->ingest, response, question->correlation,
		               question->correlation_size, frame->bytes, frame->size);
}

static void on_reply(void *context, struct frame *frame_or_null)
{
	struct question *question = context;
	struct mqtt_door *door = question->door;

	door->unanswered--;
	if (door->ingest && frame_or_null)
		answer(question, frame_or_null);
	free(question->correlation);
	free(question);
	if (door->ingest)
		ingest_answered(door->ingest);
}

/* At the asker's own topic or below it, and no longer than a topic of ours. */
static bool may_respond(const struct topic *own, const char *response)
{
	size_t size = strlen(own->text);

	return strncmp(response, own->text, size) == 0 &&
	       (response[size] == '\0' || response[size] == '/') &&
	       strlen(response) < TOPIC_BYTES && !strpbrk(response, "+#");
}

static void take_response(struct question *question, const struct topic *own,
                          const struct ingest_message *message)
{
	if (!message->response_topic)
		return;
	if (!may_respond(own, message->response_topic)) {
		counters_add(COUNTER_MQTT_RESPONSE);
		log_limited(LOG_INFO, "response topic refused", log_text("topic", message->topic));
		return;
	}
	snprintf(question->response.text, sizeof(question->response.text), "%s",
	         message->response_topic);
	if (!message->correlation)
		return;
	question->correlation = memory_new(message->correlation_size + 1);
	memcpy(question->correlation, message->correlation, message->correlation_size);
	question->correlation_size = message->correlation_size;
}

static struct question *ask(struct mqtt_door *door, const struct topic *own,
                            const struct ingest_message *message)
{
	struct question *question = memory_new(sizeof(*question));

	question->door = door;
	take_response(question, own, message);
	door->unanswered++;
	return question;
}

static void take_command(struct mqtt_door *door, const struct topic_parts *parts,
                         const struct ingest_message *message)
{
	struct topic device = topic_device(&parts->user, &parts->device);
	struct question *question = ask(door, &device, message);

	question->device = device;
	dispatch_bytes(
		door->dispatcher,
		&(struct caller){.user = parts->user, .reply = on_reply, .context = question},
		message->bytes, message->size);
}

static void take_notification(struct mqtt_door *door, const struct topic_parts *parts,
                              const struct ingest_message *message)
{
	struct topic own = topic_response(&parts->service);

	dispatch_notification(
		door->dispatcher,
		&(struct notification_request){
			.service = parts->service,
			.bytes = message->bytes,
			.size = message->size,
			.user = parts->kind == TOPIC_NOTIFY_USER ? &parts->user : NULL,
			.id = message->id,
			.kind = message->kind,
			.content_type = message->content_type,
			.collapse_key = message->collapse,
			.expires_after_ms = (uint64_t)message->expiry_s * 1000,
			.reply = on_reply,
			.context = ask(door, &own, message),
		});
}

static void on_message(void *context, const struct ingest_message *message)
{
	struct mqtt_door *door = context;
	struct topic_parts parts = {.kind = TOPIC_NONE};

	if (topic_parse(message->topic, &parts) && parts.kind == TOPIC_UP) {
		take_command(door, &parts, message);
	} else if (parts.kind == TOPIC_NOTIFY || parts.kind == TOPIC_NOTIFY_USER) {
		take_notification(door, &parts, message);
	} else {
		counters_add(COUNTER_MQTT_TOPIC);
		log_limited(LOG_WARNING, "command on an unknown topic");
		ingest_answered(door->ingest);
	}
}

static void on_stopped(void *context)
{
	((struct mqtt_door *)context)->is_stopped = true;
}

struct mqtt_door *mqtt_door_create(const struct ingest_options *options,
                                   struct dispatcher *dispatcher, struct link *link)
{
	const struct topic topics[] = {topic_all_up(), topic_all_notify(), topic_all_notify_user()};
	const char *const filters[] = {topics[0].text, topics[1].text, topics[2].text};
	struct mqtt_door *door = memory_new(sizeof(*door));
	struct ingest_options all = *options;

	all.filters = filters;
	all.filters_count = sizeof(filters) / sizeof(filters[0]);
	door->dispatcher = dispatcher;
	door->link = link;
	door->ingest = ingest_create(&all, &(struct ingest_needs){door, on_message, on_stopped});
	return door;
}

void mqtt_door_stop(struct mqtt_door *door)
{
	ingest_stop(door->ingest);
}

bool mqtt_door_is_stopped(const struct mqtt_door *door)
{
	return door->is_stopped;
}

void mqtt_door_close(struct mqtt_door *door, void (*on_closed)(void *context), void *context)
{
	struct ingest *ingest = door->ingest;

	door->ingest = NULL;
	ingest_close(ingest, on_closed, context);
}

void mqtt_door_free(struct mqtt_door *door)
{
	must(!door->ingest && !door->unanswered);
	free(door);
}
