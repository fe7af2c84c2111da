#include "commands/service.h"

#include "base/arena.h"
#include "base/counters.h"
#include "base/log.h"
#include "base/memory.h"
#include "base/random.h"
#include "commands/command.h"
#include "flow/notify.h"
#include "protocol/encode_notifications.h"

#include <stdlib.h>
#include <string.h>

/* A request on its way. */
struct errand {
	struct arena *arena;
	struct user_id service;
	void (*reply)(void *context, struct frame *frame);
	void *context;
};

static void end(struct errand *errand, struct frame *frame)
{
	struct errand ended = *errand;

	free(errand);
	arena_destroy(ended.arena);
	ended.reply(ended.context, frame);
	frame_unref(frame);
}

static void refuse(struct errand *errand, const struct outcome *outcome)
{
	log_limited(LOG_INFO, "notification refused", log_text("service", errand->service.text),
	            log_number("code", outcome->code), log_text("field", outcome->field),
	            log_text("reason", outcome->text));
	counters_add(COUNTER_COMMAND_INVALID_ARGUMENT + (outcome->code - OUTCOME_INVALID_ARGUMENT));
	end(errand, encode_error(0, outcome));
}

static void on_stored(void *context, const struct notify_answer *answer)
{
	struct errand *errand = context;

	if (outcome_is_ok(&answer->outcome))
		end(errand, encode_notified(0, answer->stored, answer->repeated));
	else
		refuse(errand, &answer->outcome);
}

/* In the arena, since it must last until the answer; NULL if that is full. */
static char *keep(struct arena *arena, const void *bytes, size_t size)
{
	char *kept = arena_get(arena, size + 1);

	if (!kept)
		return NULL;
	if (size)
		memcpy(kept, bytes, size);
	kept[size] = '\0';
	return kept;
}

static char *keep_text(struct arena *arena, const char *text)
{
	return keep(arena, text, strlen(text));
}

static struct uuid_text fresh_id(const struct dispatcher *dispatcher)
{
	uint8_t random[10];
	struct uuid id;

	random_bytes(random, sizeof(random));
	id = uuid_v7((uint64_t)dispatcher->options.clock_ms(), random);
	return uuid_to_text(&id);
}

/* The same as a Notify would say it. */
static Martlet__V1__Notify *compose(const struct dispatcher *dispatcher, struct arena *arena,
                                    const struct notification_request *request)
{
	struct uuid_text id = fresh_id(dispatcher);
	Martlet__V1__Notify *notify = arena_get(arena, sizeof(*notify));

	if (!notify)
		return NULL;
	martlet__v1__notify__init(notify);
	notify->users = arena_get(arena, sizeof(char *));
	notify->n_users = 1;
	notify->id = keep_text(arena, *request->id ? request->id : id.text);
	notify->kind = keep_text(arena, request->kind);
	notify->content_type = keep_text(arena, request->content_type);
	notify->collapse_key = keep_text(arena, request->collapse_key);
	notify->payload.data = (uint8_t *)keep(arena, request->bytes, request->size);
	notify->payload.len = request->size;
	notify->expires_after_ms = request->expires_after_ms;
	if (!notify->users || !notify->id || !notify->kind || !notify->content_type ||
	    !notify->collapse_key || !notify->payload.data)
		return NULL;
	notify->users[0] = keep_text(arena, request->user->text);
	return notify->users[0] ? notify : NULL;
}

void dispatch_notification(struct dispatcher *dispatcher,
                           const struct notification_request *request)
{
	struct errand *errand = memory_new(sizeof(*errand));
	const Martlet__V1__Notify *notify = NULL;
	struct outcome outcome =
		outcome_refuse(OUTCOME_INVALID_ARGUMENT,
	                       "the message is not a martlet.v1.Notify, or is too large");

	*errand = (struct errand){
		.arena = arena_create(LIMIT_COMMAND_ARENA_BYTES),
		.service = request->service,
		.reply = request->reply,
		.context = request->context,
	};
	if (request->user)
		notify = compose(dispatcher, errand->arena, request);
	else if (request->size <= dispatcher->options.limits.frame_bytes)
		notify = decode_notify(errand->arena, request->bytes, request->size);
	if (notify)
		outcome = notify_submit(dispatcher->notify, errand->service.text, notify, on_stored,
		                        errand);
	if (!outcome_is_ok(&outcome))
		refuse(errand, &outcome);
}
