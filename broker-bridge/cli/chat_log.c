#include "cli/chat_log.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

struct entry {
	struct uuid id;
	UT_hash_handle hh;
	char name[LIMIT_TITLE_BYTES + 1];
	char peer[LIMIT_USER_BYTES + 1];
	uint64_t seq; /* everything up to it was shown, or was before our time */
	bool is_met;  /* in the list that is being read */
};

struct chat_log {
	struct mqtt_client *client;
	const struct chat_show *show;
	struct entry *entries;
	uint32_t connections; /* the client's, when all was compared last */
	bool is_begun;        /* what comes from now on is shown */
};

static struct entry *find(const struct chat_log *log, const struct uuid *id)
{
	struct entry *entry;

	HASH_FIND(hh, log->entries, id, sizeof(*id), entry);
	return entry;
}

static struct entry *find_text(const struct chat_log *log, const char *id)
{
	struct uuid uuid;

	return uuid_from_text(id, &uuid) ? find(log, &uuid) : NULL;
}

static void forget(struct chat_log *log, struct entry *entry)
{
	mqtt_client_unsubscribe(log->client, &entry->id);
	HASH_DEL(log->entries, entry);
	free(entry);
}

static void name(struct entry *entry, const Martlet__V1__Conversation *told)
{
	snprintf(entry->name, sizeof(entry->name), "%s", *told->title ? told->title : told->peer);
	snprintf(entry->peer, sizeof(entry->peer), "%s", told->peer);
}

/* Known and subscribed to; with the numbers before `seq` behind it. NULL if there are too many, or the broker denies
 * it, as it may for a moment after joining: the next comparison tries again. */
static struct entry *follow(struct chat_log *log, const Martlet__V1__Conversation *told,
                            uint64_t seq)
{
	struct entry *entry = find_text(log, told->id);
	struct outcome outcome;
	struct uuid id;

	if (entry) {
		name(entry, told);
		return entry;
	}
	if (HASH_COUNT(log->entries) >= LIMIT_USER_CONVERSATIONS || !uuid_from_text(told->id, &id))
		return NULL;
	outcome = mqtt_client_subscribe(log->client, &id);
	if (!outcome_is_ok(&outcome)) {
		fprintf(stderr, "martlet chat: %s\n", outcome.text);
		return NULL;
	}
	entry = memory_new(sizeof(*entry));
	entry->id = id;
	entry->seq = seq;
	name(entry, told);
	HASH_ADD(hh, log->entries, id, sizeof(entry->id), entry);
	return entry;
}

/* The log after what is known, page by page. */
static struct outcome fetch(struct chat_log *log, struct entry *entry)
{
	struct uuid_text id = uuid_to_text(&entry->id);
	struct outcome outcome = outcome_ok();
	bool has_more = true;

	while (has_more && outcome_is_ok(&outcome)) {
		Martlet__V1__GetHistory get = MARTLET__V1__GET_HISTORY__INIT;
		Martlet__V1__ClientFrame command = MARTLET__V1__CLIENT_FRAME__INIT;
		Martlet__V1__ServerFrame *frame;
		const Martlet__V1__Reply *reply;

		get.conversation_id = id.text;
		get.from_case = MARTLET__V1__GET_HISTORY__FROM_AFTER_SEQ;
		get.after_seq = entry->seq;
		command.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_GET_HISTORY;
		command.get_history = &get;
		frame = mqtt_client_ask(log->client, &command, &reply, &outcome);
		if (!frame)
			break;
		has_more = reply->get_history->has_more && reply->get_history->n_events;
		for (size_t i = 0; i < reply->get_history->n_events; i++) {
			const Martlet__V1__ConversationEvent *event = reply->get_history->events[i];

			entry->seq = event->seq;
			chat_show_event(log->show, entry->name, event);
		}
		martlet__v1__server_frame__free_unpacked(frame, NULL);
	}
	return outcome;
}

/* Each conversation as the server has it, and of those that are ours what we miss. */
static struct outcome take_page(struct chat_log *log,
                                const Martlet__V1__ListConversationsResult *page)
{
	struct outcome outcome = outcome_ok();

	for (size_t i = 0; i < page->n_conversations && outcome_is_ok(&outcome); i++) {
		const Martlet__V1__Conversation *told = page->conversations[i];
		/* Who begins wants what comes; who joined meanwhile wants it from its beginning. */
		struct entry *entry =
			follow(log, told, log->is_begun ? told->first_seq - 1 : told->last_seq);

		if (!entry)
			continue;
		entry->is_met = true;
		if (entry->seq < told->last_seq)
			outcome = fetch(log, entry);
	}
	return outcome;
}

static struct outcome each_page(
	struct chat_log *log,
	struct outcome (*take)(struct chat_log *log,
                               const Martlet__V1__ListConversationsResult *page))
{
	char place[128] = "";
	struct outcome outcome;

	do {
		Martlet__V1__ListConversations list = MARTLET__V1__LIST_CONVERSATIONS__INIT;
		Martlet__V1__ClientFrame command = MARTLET__V1__CLIENT_FRAME__INIT;
		Martlet__V1__ServerFrame *frame;
		const Martlet__V1__Reply *reply;

		list.page = place;
		command.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_LIST_CONVERSATIONS;
		command.list_conversations = &list;
		frame = mqtt_client_ask(log->client, &command, &reply, &outcome);
		if (!frame)
			break;
		outcome = take(log, reply->list_conversations);
		snprintf(place, sizeof(place), "%s", reply->list_conversations->next_page);
		martlet__v1__server_frame__free_unpacked(frame, NULL);
	} while (*place && outcome_is_ok(&outcome));
	return outcome;
}

static struct outcome compare(struct chat_log *log)
{
	struct outcome outcome;
	struct entry *entry;
	struct entry *next;

	log->connections = mqtt_client_connections(log->client);
	HASH_ITER(hh, log->entries, entry, next)
		entry->is_met = false;
	outcome = each_page(log, take_page);
	if (!outcome_is_ok(&outcome))
		return outcome;
	HASH_ITER(hh, log->entries, entry, next) {
		if (!entry->is_met)
			forget(log, entry);
	}
	return outcome;
}

struct chat_log *chat_log_open(struct mqtt_client *client, const struct chat_show *show,
                               struct outcome *ret_outcome)
{
	struct chat_log *log = memory_new(sizeof(*log));

	log->client = client;
	log->show = show;
	*ret_outcome = compare(log);
	log->is_begun = true;
	/* What came between a conversation's line in the list and its subscription. */
	if (outcome_is_ok(ret_outcome))
		*ret_outcome = compare(log);
	if (outcome_is_ok(ret_outcome))
		return log;
	chat_log_close(log);
	return NULL;
}

void chat_log_close(struct chat_log *log)
{
	struct entry *entry;
	struct entry *next;

	if (!log)
		return;
	HASH_ITER(hh, log->entries, entry, next) {
		HASH_DEL(log->entries, entry);
		free(entry);
	}
	free(log);
}

static struct outcome take_event(struct chat_log *log, const Martlet__V1__ConversationEvent *event)
{
	struct entry *entry = find_text(log, event->conversation_id);

	if (!entry || event->seq <= entry->seq)
		return outcome_ok();
	if (event->seq > entry->seq + 1)
		return fetch(log, entry);
	entry->seq = event->seq;
	chat_show_event(log->show, entry->name, event);
	return outcome_ok();
}

static struct outcome take_joined(struct chat_log *log, const Martlet__V1__Item *item)
{
	const Martlet__V1__Conversation *told = item->conversation_joined->conversation;
	struct entry *entry = find_text(log, told->id);

	if (entry)
		return outcome_ok();
	entry = follow(log, told, told->first_seq ? told->first_seq - 1 : 0);
	if (!entry)
		return outcome_ok();
	chat_show_item(log->show, entry->name, item);
	return fetch(log, entry);
}

static const char *conversation_of(const Martlet__V1__Item *item)
{
	switch (item->kind_case) {
	case MARTLET__V1__ITEM__KIND_TYPING_CHANGED:
		return item->typing_changed->conversation_id;
	case MARTLET__V1__ITEM__KIND_RECEIPT_CHANGED:
		return item->receipt_changed->conversation_id;
	case MARTLET__V1__ITEM__KIND_CONVERSATION_LEFT:
		return item->conversation_left->conversation_id;
	case MARTLET__V1__ITEM__KIND_MUTE_CHANGED:
		return item->mute_changed->conversation_id;
	default:
		return "";
	}
}

static struct outcome take_item(struct chat_log *log, const Martlet__V1__Item *item)
{
	struct entry *entry;

	if (item->kind_case == MARTLET__V1__ITEM__KIND_EVENT)
		return take_event(log, item->event);
	if (item->kind_case == MARTLET__V1__ITEM__KIND_CONVERSATION_JOINED)
		return take_joined(log, item);
	entry = find_text(log, conversation_of(item));
	chat_show_item(log->show, entry ? entry->name : conversation_of(item), item);
	if (entry && item->kind_case == MARTLET__V1__ITEM__KIND_CONVERSATION_LEFT)
		forget(log, entry);
	return outcome_ok();
}

struct outcome chat_log_turn(struct chat_log *log)
{
	struct outcome outcome = outcome_ok();
	Martlet__V1__ServerFrame *frame;

	while (outcome_is_ok(&outcome) && (frame = mqtt_client_take(log->client))) {
		for (size_t i = 0; i < frame->n_items && outcome_is_ok(&outcome); i++)
			outcome = take_item(log, frame->items[i]);
		martlet__v1__server_frame__free_unpacked(frame, NULL);
	}
	if (outcome_is_ok(&outcome) && log->connections != mqtt_client_connections(log->client))
		outcome = compare(log);
	return outcome;
}

struct uuid chat_log_find(const struct chat_log *log, const char *peer_or_id)
{
	const struct entry *entry = find_text(log, peer_or_id);
	struct entry *one;
	struct entry *next;

	HASH_ITER(hh, log->entries, one, next) {
		if (!entry && strcmp(one->peer, peer_or_id) == 0)
			entry = one;
	}
	return entry ? entry->id : (struct uuid){{0}};
}

uint64_t chat_log_seq(const struct chat_log *log, const struct uuid *conversation)
{
	const struct entry *entry = find(log, conversation);

	return entry ? entry->seq : 0;
}

const char *chat_log_name(const struct chat_log *log, const struct uuid *conversation)
{
	const struct entry *entry = find(log, conversation);

	return entry ? entry->name : "";
}

struct outcome chat_log_show_history(struct chat_log *log, const struct uuid *conversation,
                                     uint32_t limit)
{
	Martlet__V1__GetHistory get = MARTLET__V1__GET_HISTORY__INIT;
	Martlet__V1__ClientFrame command = MARTLET__V1__CLIENT_FRAME__INIT;
	struct uuid_text id = uuid_to_text(conversation);
	Martlet__V1__ServerFrame *frame;
	const Martlet__V1__Reply *reply;
	struct outcome outcome;

	get.conversation_id = id.text;
	get.limit = limit;
	command.command_case = MARTLET__V1__CLIENT_FRAME__COMMAND_GET_HISTORY;
	command.get_history = &get;
	frame = mqtt_client_ask(log->client, &command, &reply, &outcome);
	if (!frame)
		return outcome;
	for (size_t i = 0; i < reply->get_history->n_events; i++)
		chat_show_event(log->show, chat_log_name(log, conversation),
		                reply->get_history->events[i]);
	martlet__v1__server_frame__free_unpacked(frame, NULL);
	return outcome;
}

static struct outcome show_page(struct chat_log *log,
                                const Martlet__V1__ListConversationsResult *page)
{
	for (size_t i = 0; i < page->n_conversations; i++)
		chat_show_conversation(log->show, page->conversations[i]);
	return outcome_ok();
}

struct outcome chat_log_list(struct chat_log *log)
{
	return each_page(log, show_page);
}
