#include "cli/chat_show.h"

#include "base/memory.h"

#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* One line, at once: who reads it through a pipe waits for it. */
static void print_json(json_t *line)
{
	char *text = json_dumps(line, JSON_COMPACT);

	if (text)
		printf("%s\n", text);
	fflush(stdout);
	free(text);
	json_decref(line);
}

static json_t *line_of(const char *kind, const char *conversation_id)
{
	json_t *line = json_object();

	json_object_set_new(line, "kind", json_string(kind));
	if (conversation_id)
		json_object_set_new(line, "conversation_id", json_string(conversation_id));
	return line;
}

static void set_text(json_t *line, const char *name, const char *text)
{
	json_t *value = json_string(text);

	/* A server's text is UTF-8; what is not is left out. */
	if (value)
		json_object_set_new(line, name, value);
}

static void set_number(json_t *line, const char *name, uint64_t number)
{
	json_object_set_new(line, name, json_integer((json_int_t)number));
}

static void set_texts(json_t *line, const char *name, char *const *texts, size_t count)
{
	json_t *array = json_array();

	for (size_t i = 0; i < count; i++)
		json_array_append_new(array, json_string(texts[i]));
	json_object_set_new(line, name, array);
}

static void set_body(json_t *line, const char *content_type, const ProtobufCBinaryData *body)
{
	json_t *text = json_stringn((const char *)body->data, body->len);
	unsigned char *base64;

	if (*content_type)
		set_text(line, "content_type", content_type);
	if (text) {
		json_object_set_new(line, "body", text);
		return;
	}
	base64 = memory_new(body->len * 4 / 3 + 5);
	EVP_EncodeBlock(base64, body->data, (int)body->len);
	set_text(line, "body_base64", (const char *)base64);
	free(base64);
}

static const char *kind_of(const Martlet__V1__ConversationEvent *event)
{
	switch (event->kind_case) {
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE:
		return "message";
	case MARTLET__V1__CONVERSATION_EVENT__KIND_CREATED:
		return "created";
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE_EDITED:
		return "edited";
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE_REDACTED:
		return "redacted";
	case MARTLET__V1__CONVERSATION_EVENT__KIND_REACTION_CHANGED:
		return "reaction";
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MEMBERS_ADDED:
		return "members_added";
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MEMBER_REMOVED:
		return "member_removed";
	case MARTLET__V1__CONVERSATION_EVENT__KIND_ROLE_CHANGED:
		return "role";
	case MARTLET__V1__CONVERSATION_EVENT__KIND_GROUP_UPDATED:
		return "group";
	default: /* of a later release: it counts all the same */
		return "unknown";
	}
}

static void set_kind(json_t *line, const Martlet__V1__ConversationEvent *event)
{
	switch (event->kind_case) {
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE:
		set_text(line, "client_message_id", event->message->client_message_id);
		set_body(line, event->message->content_type, &event->message->body);
		if (event->message->reply_to_seq)
			set_number(line, "reply_to_seq", event->message->reply_to_seq);
		if (event->message->redacted_seq)
			set_number(line, "redacted_seq", event->message->redacted_seq);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_CREATED:
		set_text(line, "title", event->created->title);
		set_texts(line, "members", event->created->members, event->created->n_members);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE_EDITED:
		set_number(line, "target_seq", event->message_edited->target_seq);
		set_body(line, event->message_edited->content_type, &event->message_edited->body);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE_REDACTED:
		set_number(line, "target_seq", event->message_redacted->target_seq);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_REACTION_CHANGED:
		set_number(line, "target_seq", event->reaction_changed->target_seq);
		set_text(line, "symbol", event->reaction_changed->symbol);
		json_object_set_new(line, "added", json_boolean(event->reaction_changed->added));
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MEMBERS_ADDED:
		set_texts(line, "users", event->members_added->users,
		          event->members_added->n_users);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MEMBER_REMOVED:
		set_text(line, "user", event->member_removed->user);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_ROLE_CHANGED:
		set_text(line, "user", event->role_changed->user);
		set_number(line, "role", event->role_changed->role);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_GROUP_UPDATED:
		set_text(line, "title", event->group_updated->title);
		break;
	default:
		break;
	}
}

static void print_event_json(const Martlet__V1__ConversationEvent *event)
{
	json_t *line = line_of(kind_of(event), event->conversation_id);

	set_number(line, "seq", event->seq);
	set_text(line, "sender", event->sender);
	set_number(line, "time_ms", (uint64_t)event->time_ms);
	set_kind(line, event);
	print_json(line);
}

/* For people. What others wrote must not move their cursor or ring their bell. */

static void print_safely(const char *text, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		unsigned char byte = (unsigned char)text[i];

		putchar(byte < 0x20 || byte == 0x7f ? (byte == '\n' ? ' ' : '?') : byte);
	}
}

static void print_time(int64_t time_ms)
{
	time_t seconds = (time_t)(time_ms / 1000);
	struct tm local;
	char text[16] = "";

	if (localtime_r(&seconds, &local))
		strftime(text, sizeof(text), "%H:%M:%S", &local);
	printf("%s ", text);
}

static void print_content(const char *content_type, const ProtobufCBinaryData *body)
{
	bool is_text = !*content_type || strncmp(content_type, "text/", 5) == 0;

	if (is_text)
		print_safely((const char *)body->data, body->len);
	else
		printf("(%s, %zu bytes)", content_type, body->len);
}

static void print_what(const Martlet__V1__ConversationEvent *event)
{
	switch (event->kind_case) {
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE:
		printf(": ");
		if (event->message->redacted_seq)
			printf("(taken back)");
		else
			print_content(event->message->content_type, &event->message->body);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_CREATED:
		printf(" began the conversation");
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE_EDITED:
		printf(" changed %" PRIu64 ": ", event->message_edited->target_seq);
		print_content(event->message_edited->content_type, &event->message_edited->body);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MESSAGE_REDACTED:
		printf(" took %" PRIu64 " back", event->message_redacted->target_seq);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_REACTION_CHANGED:
		printf(event->reaction_changed->added ? " reacts to %" PRIu64 ": "
		                                      : " takes back on %" PRIu64 ": ",
		       event->reaction_changed->target_seq);
		print_safely(event->reaction_changed->symbol,
		             strlen(event->reaction_changed->symbol));
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MEMBERS_ADDED:
		printf(" added");
		for (size_t i = 0; i < event->members_added->n_users; i++)
			printf(" %s", event->members_added->users[i]);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_MEMBER_REMOVED:
		if (strcmp(event->member_removed->user, event->sender) == 0)
			printf(" left");
		else
			printf(" removed %s", event->member_removed->user);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_ROLE_CHANGED:
		printf(" gave %s another role", event->role_changed->user);
		break;
	case MARTLET__V1__CONVERSATION_EVENT__KIND_GROUP_UPDATED:
		printf(" changed the group");
		break;
	default:
		printf(" did something that this program does not know");
		break;
	}
}

void chat_show_event(const struct chat_show *show, const char *name,
                     const Martlet__V1__ConversationEvent *event)
{
	if (show->is_json) {
		print_event_json(event);
		return;
	}
	print_time(event->time_ms);
	putchar('[');
	print_safely(name, strlen(name));
	printf(" %" PRIu64 "] %s", event->seq, event->sender);
	print_what(event);
	printf("\n");
	fflush(stdout);
}

void chat_show_conversation(const struct chat_show *show, const Martlet__V1__Conversation *one)
{
	const char *name = *one->title ? one->title : one->peer;
	json_t *line;

	if (!show->is_json) {
		printf("%s  ", one->id);
		print_safely(name, strlen(name));
		printf("  %" PRIu64 " events, %u unread\n", one->last_seq, one->unread_count);
		return;
	}
	line = line_of("conversation", one->id);
	if (*one->title)
		set_text(line, "title", one->title);
	if (*one->peer)
		set_text(line, "peer", one->peer);
	set_number(line, "last_seq", one->last_seq);
	set_number(line, "read_seq", one->read_seq);
	set_number(line, "unread_count", one->unread_count);
	print_json(line);
}

void chat_show_sent(const struct chat_show *show, const char *conversation_id,
                    const Martlet__V1__SendMessageResult *result)
{
	json_t *line;

	if (!show->is_json) {
		printf("%" PRIu64 "\n", result->seq);
		return;
	}
	line = line_of("sent", conversation_id);
	set_number(line, "seq", result->seq);
	set_number(line, "time_ms", (uint64_t)result->time_ms);
	print_json(line);
}

static json_t *json_of(const Martlet__V1__Item *item)
{
	json_t *line = NULL;

	switch (item->kind_case) {
	case MARTLET__V1__ITEM__KIND_TYPING_CHANGED:
		line = line_of("typing", item->typing_changed->conversation_id);
		set_text(line, "user", item->typing_changed->user);
		set_number(line, "expires_in_ms", item->typing_changed->expires_in_ms);
		break;
	case MARTLET__V1__ITEM__KIND_RECEIPT_CHANGED:
		line = line_of("receipt", item->receipt_changed->conversation_id);
		set_text(line, "user", item->receipt_changed->user);
		set_number(line, "delivered_seq", item->receipt_changed->delivered_seq);
		set_number(line, "read_seq", item->receipt_changed->read_seq);
		break;
	case MARTLET__V1__ITEM__KIND_CONVERSATION_JOINED:
		line = line_of("joined", item->conversation_joined->conversation->id);
		break;
	case MARTLET__V1__ITEM__KIND_CONVERSATION_LEFT:
		line = line_of("left", item->conversation_left->conversation_id);
		set_number(line, "last_seq", item->conversation_left->last_seq);
		break;
	case MARTLET__V1__ITEM__KIND_MUTE_CHANGED:
		line = line_of("mute", item->mute_changed->conversation_id);
		set_number(line, "until_ms", (uint64_t)item->mute_changed->until_ms);
		break;
	case MARTLET__V1__ITEM__KIND_BLOCK_CHANGED:
		line = line_of("block", NULL);
		set_text(line, "user", item->block_changed->user);
		json_object_set_new(line, "blocked", json_boolean(item->block_changed->blocked));
		break;
	default:
		break;
	}
	return line;
}

void chat_show_item(const struct chat_show *show, const char *name, const Martlet__V1__Item *item)
{
	json_t *line = show->is_json ? json_of(item) : NULL;

	if (line)
		print_json(line);
	if (show->is_json)
		return;
	if (item->kind_case == MARTLET__V1__ITEM__KIND_TYPING_CHANGED &&
	    item->typing_changed->expires_in_ms)
		printf("[%s] %s types\n", name, item->typing_changed->user);
	else if (item->kind_case == MARTLET__V1__ITEM__KIND_RECEIPT_CHANGED)
		printf("[%s] %s has read up to %" PRIu64 "\n", name, item->receipt_changed->user,
		       item->receipt_changed->read_seq);
	else if (item->kind_case == MARTLET__V1__ITEM__KIND_CONVERSATION_JOINED)
		printf("[%s] is yours now\n", name);
	else if (item->kind_case == MARTLET__V1__ITEM__KIND_CONVERSATION_LEFT)
		printf("[%s] is yours no more\n", name);
	fflush(stdout);
}
