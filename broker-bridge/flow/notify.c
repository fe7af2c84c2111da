#include "flow/notify.h"

#include "base/buffer.h"
#include "base/log.h"
#include "base/memory.h"
#include "flow/topics.h"
#include "hub/hub.h"
#include "link/link.h"
#include "model/notification.h"
#include "model/text.h"
#include "protocol/encode_notifications.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

#define RETRY_MS 500

/* A user of whom something was missed here. */
struct reading {
	struct user_id user;
	struct notify *notify;
	UT_hash_handle hh;           /* notify::readings */
	struct reading *prev, *next; /* notify::waiting, until it is asked */
	bool is_asked;
	bool is_again; /* more was missed since it was asked */
};

struct notify {
	struct notify_options options;
	struct hub *hub;
	struct store *store;
	struct link *link;
	struct topics *topics;
	struct timers *timers;
	struct absent *absent;

	struct buffer entry;
	struct reading *readings;
	struct reading *waiting;
	uint32_t asked_count;
	struct timer retry_timer;
	struct timer sweep_timer;
	bool is_stopped;
};

/* What was missed, from the database. */

static void ask(struct notify *notify);

static void forget(struct reading *reading)
{
	HASH_DEL(reading->notify->readings, reading);
	free(reading);
}

static void push(struct session *session, struct frame *frame)
{
	session_push(session, frame);
	frame_unref(frame);
}

/* What of an answer this session was not told. A push may close it: it is marked first. */
static void tell_missed(void *context, struct session *session)
{
	const struct notifications_answer *answer = context;
	uint64_t told;
	size_t first = 0;

	if (!session_is_notified(session, &told) || told >= answer->version)
		return;
	session_set_notified(session, answer->version);
	while (first < answer->count && answer->notifications[first].number <= told)
		first++;
	if (answer->gone_count)
		push(session, encode_notifications_acked(answer->gone, answer->gone_count));
	if (first < answer->count || answer->has_more)
		push(session,
		     encode_notification_batch(answer->notifications + first, answer->count - first,
		                               answer->has_more, false));
}

static void on_read(void *context, const struct notifications_answer *answer)
{
	struct reading *reading = context;
	struct notify *notify = reading->notify;
	bool is_good = outcome_is_ok(&answer->outcome);

	notify->asked_count--;
	reading->is_asked = false;
	if (notify->is_stopped) {
		forget(reading);
		return;
	}
	if (is_good)
		hub_each_session_of(notify->hub, &reading->user, tell_missed,
		                    (struct notifications_answer *)(uintptr_t)answer);
	if (is_good && !reading->is_again) {
		forget(reading);
	} else {
		reading->is_again = false;
		DL_APPEND(notify->waiting, reading);
	}
	if (is_good)
		ask(notify);
	else
		timer_start(notify->timers, &notify->retry_timer, RETRY_MS);
}

static void find_least(void *context, struct session *session)
{
	uint64_t *least = context;
	uint64_t told;

	if (session_is_notified(session, &told) && told < *least)
		*least = told;
}

static void ask(struct notify *notify)
{
	while (notify->waiting && notify->asked_count < LIMIT_NOTIFICATION_READS &&
	       !timer_is_armed(&notify->retry_timer)) {
		struct reading *reading = notify->waiting;
		uint64_t least = UINT64_MAX;

		DL_DELETE(notify->waiting, reading);
		hub_each_session_of(notify->hub, &reading->user, find_least, &least);
		if (least == UINT64_MAX) {
			forget(reading);
			continue;
		}
		reading->is_asked = true;
		notify->asked_count++;
		notifications_list(notify->store, &reading->user, least,
		                   notify->options.list_notifications, LIMIT_HISTORY_BYTES, on_read,
		                   reading);
	}
}

static void on_retry_due(struct timer *timer)
{
	ask((struct notify *)((char *)timer - offsetof(struct notify, retry_timer)));
}

static void read_missed(struct notify *notify, const struct user_id *user)
{
	struct reading *reading;

	if (notify->is_stopped)
		return;
	HASH_FIND(hh, notify->readings, user->text, sizeof(user->text), reading);
	if (reading) {
		reading->is_again = reading->is_asked;
		return;
	}
	reading = memory_new(sizeof(*reading));
	reading->user = *user;
	reading->notify = notify;
	HASH_ADD(hh, notify->readings, user.text, sizeof(reading->user.text), reading);
	DL_APPEND(notify->waiting, reading);
	ask(notify);
}

/* A change, told to the user's sessions here. */

struct telling {
	const struct notification_change *change;
	const struct notification
		*notification; /* NULL if it is not known here, or there is none */
	struct frame *batch;   /* made for the first who needs it */
	struct frame *acked;
	bool is_missed;
};

static void tell_session(void *context, struct session *session)
{
	struct telling *telling = context;
	const struct notification_change *change = telling->change;
	uint64_t told;

	/* Who was told nothing yet is about to read what waits, this included. */
	if (!session_is_notified(session, &told) || told >= change->number)
		return;
	if (told + 1 < change->number || (!telling->notification && !change->gone_count)) {
		telling->is_missed = true;
		return;
	}
	if (telling->notification && !telling->batch) {
		struct notification its = *telling->notification;

		its.number = change->number;
		telling->batch = encode_notification_batch(&its, 1, false, false);
	}
	if (change->gone_count && !telling->acked)
		telling->acked = encode_notifications_acked(change->gone, change->gone_count);
	session_set_notified(session, change->number);
	if (telling->acked)
		session_push(session, telling->acked);
	if (telling->batch)
		session_push(session, telling->batch);
}

static void tell_here(struct notify *notify, const struct notification_change *change,
                      const struct notification *notification)
{
	struct telling telling = {.change = change, .notification = notification};

	hub_learn_notifications(notify->hub, &change->user, change->number);
	hub_each_session_of(notify->hub, &change->user, tell_session, &telling);
	frame_unref(telling.batch);
	frame_unref(telling.acked);
	if (telling.is_missed)
		read_missed(notify, &change->user);
}

/* Changes of users of one shard, told to the other nodes. What does not fit is found by its number. */
static void publish(struct notify *notify, uint32_t shard, const struct notification *notification,
                    const struct notification_change *changes, size_t count)
{
	if (encode_notification_entry(&notify->entry, notification, changes, count))
		link_publish_bus(notify->link, shard, notify->entry.bytes, notify->entry.size);
}

struct placed {
	uint32_t shard;
	struct notification_change change;
};

static int compare_shards(const void *a, const void *b)
{
	const struct placed *left = a;
	const struct placed *right = b;

	return (left->shard > right->shard) - (left->shard < right->shard);
}

/* Each shard's users get one entry together. */
static void tell(struct notify *notify, const struct notification *notification,
                 const struct notification_change *changes, size_t count)
{
	struct placed *placed = memory_new_array(count, sizeof(*placed));
	struct notification_change *of_shard = memory_new_array(count, sizeof(*of_shard));
	size_t end;

	for (size_t i = 0; i < count; i++) {
		tell_here(notify, &changes[i], notification);
		topics_notification(notify->topics, &changes[i], notification);
		placed[i].shard = shard_of_user(&changes[i].user, notify->options.shards);
		placed[i].change = changes[i];
	}
	if (count)
		qsort(placed, count, sizeof(*placed), compare_shards);
	for (size_t first = 0; first < count; first = end) {
		for (end = first; end < count && placed[end].shard == placed[first].shard; end++)
			of_shard[end - first] = placed[end].change;
		publish(notify, placed[first].shard, notification, of_shard, end - first);
	}
	free(of_shard);
	free(placed);
}

void notify_learn(struct notify *notify, const struct user_id *user, uint64_t number)
{
	const struct notification_change change = {.user = *user, .number = number};

	tell_here(notify, &change, NULL);
}

void notify_tell(struct notify *notify, const struct user_id *user, uint64_t number)
{
	const struct notification_change change = {.user = *user, .number = number};

	tell(notify, NULL, &change, 1);
	if (!hub_has_user(notify->hub, user))
		absent_look_for(notify->absent, user, false);
}

/* From another node, or from this one: its own changes are known by their numbers. */
void notify_on_entry(struct notify *notify, const Martlet__Bus__V1__NotificationEntry *entry)
{
	struct notification notification;

	if (entry->notification)
		notification = decode_notification(entry->notification);
	for (size_t i = 0; i < entry->n_users; i++) {
		const Martlet__Bus__V1__NotifiedUser *user = entry->users[i];
		struct notification_change change = {
			.number = user->number,
			.gone = (const int64_t *)user->gone,
			.gone_count = user->n_gone,
		};

		if (user_id_from_text(user->user, &change.user) &&
		    hub_has_user(notify->hub, &change.user))
			tell_here(notify, &change, entry->notification ? &notification : NULL);
	}
}

/* Storing. */

/* One Notify on its way. */
struct request {
	struct notify *notify;
	struct notification_order order;
	char *users;
	void (*done)(void *context, const struct notify_answer *answer);
	void *context;
};

/* Those for whom it is pending, if that is asked, or all others: of a repeated one the news may have been lost, and of
 * one that gave way at once there is only a number. */
static size_t select_changes(const struct store_notification_answer *answer, bool is_content,
                             struct notification_change *ret_changes)
{
	size_t count = 0;

	for (size_t i = 0; i < answer->count; i++) {
		const struct notified *notified = &answer->users[i];

		if ((notified->is_pending && !notified->is_repeated) == is_content)
			ret_changes[count++] = (struct notification_change){
				.user = notified->user,
				.number = notified->number,
				.gone = notified->gone,
				.gone_count = notified->gone_count,
			};
	}
	return count;
}

static void look_for_absent(const struct notify *notify,
                            const struct store_notification_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++) {
		const struct notified *notified = &answer->users[i];

		if (notified->is_pending && !hub_has_user(notify->hub, &notified->user))
			absent_look_for(notify->absent, &notified->user, false);
	}
}

static void on_stored(void *context, const struct store_notification_answer *answer)
{
	struct request *request = context;
	struct notify *notify = request->notify;
	struct notification_change *changes = memory_new_array(answer->count, sizeof(*changes));
	struct notification notification = request->order.notification;
	struct notify_answer given = {.outcome = answer->outcome};

	notification.created_ms = answer->created_ms;
	notification.expires_ms = answer->expires_ms;
	for (size_t i = 0; i < answer->count; i++) {
		given.stored += !answer->users[i].is_repeated;
		given.repeated += answer->users[i].is_repeated;
	}
	if (!notify->is_stopped) {
		tell(notify, NULL, changes, select_changes(answer, false, changes));
		tell(notify, &notification, changes, select_changes(answer, true, changes));
		look_for_absent(notify, answer);
	}
	free(changes);
	request->done(request->context, &given);
	free(request->users);
	free(request);
}

static struct outcome check_label(const char *field, const char *text)
{
	if (strlen(text) <= LIMIT_NOTIFICATION_TEXT_BYTES && text_is_printable_ascii(text))
		return outcome_ok();
	return outcome_invalid(field, "is not printable ASCII of at most %d bytes",
	                       LIMIT_NOTIFICATION_TEXT_BYTES);
}

static struct outcome check_id(const char *id)
{
	if (*id && strlen(id) <= LIMIT_NOTIFICATION_ID_BYTES && text_is_printable_ascii(id) &&
	    !strchr(id, ' '))
		return outcome_ok();
	return outcome_invalid("id", "is not 1 to %d bytes of printable ASCII without spaces",
	                       LIMIT_NOTIFICATION_ID_BYTES);
}

static struct outcome check_users(char *const *users, size_t count)
{
	char field[32];

	if (count < 1 || count > LIMIT_NOTIFIED_USERS)
		return outcome_invalid("users", "are %zu; give 1 to %d", count,
		                       LIMIT_NOTIFIED_USERS);
	for (size_t i = 0; i < count; i++) {
		if (id_is_valid(users[i]))
			continue;
		snprintf(field, sizeof(field), "users[%zu]", i);
		return outcome_invalid(
			field, "is not a user's id; it has 1 to %d of A-Z a-z 0-9 . _ ~ @ -",
			LIMIT_USER_BYTES);
	}
	return outcome_ok();
}

static struct outcome check(const struct notify *notify, const char *service,
                            const Martlet__V1__Notify *command)
{
	struct outcome outcome = check_id(command->id);

	if (!id_is_valid(service))
		return outcome_invalid("service", "is not 1 to %d of A-Z a-z 0-9 . _ ~ @ -",
		                       LIMIT_USER_BYTES);
	if (outcome_is_ok(&outcome))
		outcome = check_users(command->users, command->n_users);
	if (outcome_is_ok(&outcome))
		outcome = check_label("kind", command->kind);
	if (outcome_is_ok(&outcome))
		outcome = check_label("content_type", command->content_type);
	if (outcome_is_ok(&outcome))
		outcome = check_label("collapse_key", command->collapse_key);
	if (outcome_is_ok(&outcome) && command->payload.len > notify->options.notification_bytes)
		outcome = outcome_invalid("payload", "is %zu bytes long; it has at most %u",
		                          command->payload.len, notify->options.notification_bytes);
	if (outcome_is_ok(&outcome) && command->expires_after_ms > LIMIT_NOTIFICATION_MS)
		outcome = outcome_invalid("expires_after_ms", "is more than 30 days");
	return outcome;
}

/* With commas between: a comma is in no user's id. */
static char *join_users(const Martlet__V1__Notify *command)
{
	size_t size = 1;
	char *joined;
	char *at;

	for (size_t i = 0; i < command->n_users; i++)
		size += strlen(command->users[i]) + 1;
	joined = memory_new(size);
	at = joined;
	for (size_t i = 0; i < command->n_users; i++) {
		size_t length = strlen(command->users[i]);

		if (i)
			*at++ = ',';
		memcpy(at, command->users[i], length);
		at += length;
	}
	return joined;
}

struct outcome notify_submit(struct notify *notify, const char *service,
                             const Martlet__V1__Notify *command,
                             void (*done)(void *context, const struct notify_answer *answer),
                             void *context)
{
	struct outcome outcome = check(notify, service, command);
	struct request *request;

	if (!outcome_is_ok(&outcome))
		return outcome;
	request = memory_new(sizeof(*request));
	request->notify = notify;
	request->users = join_users(command);
	request->done = done;
	request->context = context;
	request->order = (struct notification_order){
		.notification =
			{
				.id = command->id,
				.service = service,
				.kind = command->kind,
				.content_type = command->content_type,
				.payload = command->payload.data,
				.payload_size = command->payload.len,
				.collapse_key = command->collapse_key,
			},
		.expires_after_ms = command->expires_after_ms ? command->expires_after_ms
	                                                      : (uint64_t)LIMIT_NOTIFICATION_MS,
		.users = request->users,
		.users_count = command->n_users,
	};
	notifications_store(notify->store, &request->order, on_stored, request);
	return outcome;
}

/* Acknowledging. */

struct acking {
	struct notify *notify;
	struct user_id user;
	void (*done)(void *context, const struct ack_answer *answer);
	void *context;
};

static void on_acked(void *context, const struct ack_answer *answer)
{
	struct acking *acking = context;
	const struct notification_change change = {
		.user = acking->user,
		.number = answer->change,
		.gone = answer->numbers,
		.gone_count = answer->count,
	};

	if (answer->count && !acking->notify->is_stopped)
		tell(acking->notify, NULL, &change, 1);
	acking->done(acking->context, answer);
	free(acking);
}

void notify_ack(struct notify *notify, const struct user_id *user, const uint64_t *numbers,
                size_t count, void (*done)(void *context, const struct ack_answer *answer),
                void *context)
{
	struct acking *acking = memory_new(sizeof(*acking));

	acking->notify = notify;
	acking->user = *user;
	acking->done = done;
	acking->context = context;
	notifications_ack(notify->store, user, numbers, count, on_acked, acking);
}

/* Ending. */

static void on_swept(void *context, const struct outcome *outcome, uint32_t count)
{
	struct notify *notify = context;
	bool is_more = outcome_is_ok(outcome) && count == LIMIT_NOTIFICATIONS_SWEPT;

	if (!notify->is_stopped)
		timer_start(notify->timers, &notify->sweep_timer,
		            is_more ? 0 : notify->options.sweep_ms);
}

static void on_sweep_due(struct timer *timer)
{
	struct notify *notify =
		(struct notify *)((char *)timer - offsetof(struct notify, sweep_timer));

	notifications_sweep(notify->store, LIMIT_NOTIFICATIONS_SWEPT, notify->options.memory_s,
	                    on_swept, notify);
}

void notify_on_user_idle(struct notify *notify, const struct user_id *user)
{
	absent_look_for(notify->absent, user, true);
}

/* Life. */

struct notify *notify_create(const struct notify_options *options, const struct absent_needs *needs,
                             struct hub *hub, struct store *store, struct link *link,
                             struct topics *topics, struct watching *watching,
                             struct timers *timers)
{
	struct notify *notify = memory_new(sizeof(*notify));

	notify->options = *options;
	notify->hub = hub;
	notify->store = store;
	notify->link = link;
	notify->topics = topics;
	notify->timers = timers;
	notify->absent = absent_create(needs, hub, store, watching, timers);
	notify->retry_timer.on_due = on_retry_due;
	notify->sweep_timer.on_due = on_sweep_due;
	buffer_init(&notify->entry, LIMIT_PUBLISH_BYTES);
	timer_start(timers, &notify->sweep_timer, options->sweep_ms);
	return notify;
}

/* Those that are asked about go with their answer. */
void notify_stop(struct notify *notify)
{
	struct reading *reading;
	struct reading *next;

	notify->is_stopped = true;
	timer_stop(notify->timers, &notify->retry_timer);
	timer_stop(notify->timers, &notify->sweep_timer);
	absent_stop(notify->absent);
	notify->waiting = NULL;
	HASH_ITER(hh, notify->readings, reading, next) {
		if (!reading->is_asked)
			forget(reading);
	}
}

void notify_destroy(struct notify *notify)
{
	absent_destroy(notify->absent);
	buffer_done(&notify->entry);
	free(notify);
}
