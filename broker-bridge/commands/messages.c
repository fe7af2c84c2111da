/* Messages: sending them, and changing what was sent. */
#include "commands/command.h"
#include "flow/announce.h"
#include "model/text.h"
#include "store/append.h"
#include "store/query.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct outcome check_content(const struct command *command, const char *content_type,
                                    const ProtobufCBinaryData *body)
{
	uint32_t body_bytes = command->dispatcher->options.limits.body_bytes;

	if (strlen(content_type) > LIMIT_CONTENT_TYPE_BYTES ||
	    !text_is_printable_ascii(content_type))
		return outcome_invalid(
			"content_type",
			"is not printable ASCII of at most %d bytes; give a media type "
			"like text/plain",
			LIMIT_CONTENT_TYPE_BYTES);
	if (!body->len)
		return outcome_invalid("body", "is empty; it has at least one byte");
	if (body->len > body_bytes)
		return outcome_invalid("body", "is %zu bytes long; it has at most %u", body->len,
		                       body_bytes);
	return outcome_ok();
}

/* With commas between, in the command's arena: a comma is in no user's id. */
static const char *join_mentions(struct command *command, const struct user_id *users, size_t count)
{
	size_t size = count * (LIMIT_USER_BYTES + 1) + 1;
	char *text = arena_get(command->arena, size);
	char *at = text;

	if (!text)
		return NULL;
	*at = '\0';
	for (size_t i = 0; i < count; i++)
		at += snprintf(at, size - (size_t)(at - text), "%s%s", i ? "," : "", users[i].text);
	return text;
}

static struct outcome check_mentions(struct command *command, char **texts, size_t count,
                                     const char **ret_mentions)
{
	struct user_id *users;
	struct outcome outcome = check_users("mentions", texts, count, LIMIT_MENTIONS, &users);

	if (!outcome_is_ok(&outcome))
		return outcome;
	*ret_mentions = join_mentions(command, users, count);
	free(users);
	return *ret_mentions ? outcome_ok()
	                     : outcome_invalid("mentions", "need too much memory; name fewer");
}

static struct outcome check_send(struct command *command, struct append_item *ret_item)
{
	const Martlet__V1__SendMessage *send = command->frame->send_message;
	struct outcome outcome =
		check_uuid("conversation_id", send->conversation_id, &ret_item->conversation);

	if (outcome_is_ok(&outcome))
		outcome = check_uuid("client_message_id", send->client_message_id,
		                     &ret_item->client_message_id);
	if (outcome_is_ok(&outcome))
		outcome = check_content(command, send->content_type, &send->body);
	if (outcome_is_ok(&outcome))
		outcome = check_mentions(command, send->mentions, send->n_mentions,
		                         &ret_item->mentions);
	if (outcome_is_ok(&outcome) && send->reply_to_seq > INT64_MAX)
		outcome = outcome_invalid("reply_to_seq", "is no event of this conversation");
	ret_item->sender = command->user;
	ret_item->content_type = send->content_type;
	ret_item->body = send->body.data;
	ret_item->body_size = send->body.len;
	ret_item->reply_to_seq = send->reply_to_seq;
	return outcome;
}

/* A repeated send is announced again, in case the first announcement was lost; as the log has it, since
 * a repetition may say something else. */
static void on_duplicate_read(void *context, const struct events_answer *answer)
{
	for (size_t i = 0; i < answer->count; i++)
		announce_event(context, &answer->events[i]);
}

static void announce_again(struct command *command, uint64_t seq)
{
	const struct log_place place = {command->conversation, seq - 1};

	query_log(command->dispatcher->store, &place, 1, 1, 1, on_duplicate_read,
	          command->dispatcher->announce);
}

static void announce_new(struct command *command, const struct append_answer *answer)
{
	const Martlet__V1__SendMessage *send = command->frame->send_message;
	struct event event = {
		.conversation = command->conversation,
		.seq = answer->seq,
		.kind = EVENT_MESSAGE,
		.sender = command->user.text,
		.time_ms = answer->time_ms,
		.content_type = send->content_type,
		.body = send->body.data,
		.body_size = send->body.len,
		.reply_to_seq = send->reply_to_seq,
		.mentions = (const char *const *)send->mentions,
		.mentions_count = send->n_mentions,
	};

	if (uuid_from_text(send->client_message_id, &event.client_message_id))
		announce_event(command->dispatcher->announce, &event);
}

static void on_appended(void *context, const struct append_answer *answer)
{
	struct command *command = context;

	if (!outcome_is_ok(&answer->outcome)) {
		command_refuse(command, answer->outcome);
		return;
	}
	if (answer->is_duplicate)
		announce_again(command, answer->seq);
	else
		announce_new(command, answer);
	command_reply(command, encode_sent(command->request_id, answer->seq, answer->time_ms,
	                                   answer->is_duplicate));
}

void command_send_message(struct command *command)
{
	struct append_item item;
	struct outcome outcome = check_send(command, &item);

	if (!outcome_is_ok(&outcome)) {
		command_refuse(command, outcome);
		return;
	}
	command->conversation = item.conversation;
	append_submit(command->dispatcher->store, &item, on_appended, command);
}

/* Changing. */

void command_edit_message(struct command *command)
{
	const Martlet__V1__EditMessage *edit = command->frame->edit_message;
	struct user_id *mentions = NULL;
	struct change change = {
		.kind = CHANGE_EDIT,
		.target_seq = edit->seq,
		.content_type = edit->content_type,
		.body = edit->body.data,
		.body_size = edit->body.len,
		.most = command->dispatcher->options.limits.edit_window_s,
	};
	struct outcome outcome = check_seq(edit->seq);

	if (outcome_is_ok(&outcome))
		outcome = check_content(command, edit->content_type, &edit->body);
	if (outcome_is_ok(&outcome))
		outcome = check_users("mentions", edit->mentions, edit->n_mentions, LIMIT_MENTIONS,
		                      &mentions);
	change.users = mentions;
	change.users_count = edit->n_mentions;
	command_change(command, &change, edit->conversation_id, outcome);
	free(mentions);
}

void command_redact_message(struct command *command)
{
	const Martlet__V1__RedactMessage *redact = command->frame->redact_message;
	struct change change = {.kind = CHANGE_REDACT, .target_seq = redact->seq};

	command_change(command, &change, redact->conversation_id, check_seq(redact->seq));
}

static void change_reaction(struct command *command, enum change_kind kind,
                            const char *conversation_id, uint64_t seq, const char *symbol)
{
	struct change change = {
		.kind = kind,
		.target_seq = seq,
		.symbol = symbol,
		.most = LIMIT_REACTION_SYMBOLS,
	};
	struct outcome outcome = check_seq(seq);

	if (outcome_is_ok(&outcome) &&
	    (strlen(symbol) > LIMIT_SYMBOL_BYTES || !text_is_utf8(symbol) ||
	     text_has_controls(symbol) || !text_is_visible(symbol)))
		outcome = outcome_invalid("symbol", "is not 1 to %d bytes of visible UTF-8",
		                          LIMIT_SYMBOL_BYTES);
	command_change(command, &change, conversation_id, outcome);
}

void command_react(struct command *command)
{
	const Martlet__V1__React *react = command->frame->react;

	change_reaction(command, CHANGE_REACT, react->conversation_id, react->seq, react->symbol);
}

void command_unreact(struct command *command)
{
	const Martlet__V1__Unreact *unreact = command->frame->unreact;

	change_reaction(command, CHANGE_UNREACT, unreact->conversation_id, unreact->seq,
	                unreact->symbol);
}
