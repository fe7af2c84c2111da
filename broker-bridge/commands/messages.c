/* Sending. */
#include "commands/command.h"
#include "flow/announce.h"
#include "model/text.h"
#include "store/append.h"
#include "store/query.h"

#include <string.h>

static struct outcome check_send(const struct command *command, struct append_item *ret_item)
{
	const Martlet__V1__SendMessage *send = command->frame->send_message;
	uint32_t body_bytes = command->dispatcher->options.limits.body_bytes;
	struct outcome outcome =
		check_uuid("conversation_id", send->conversation_id, &ret_item->conversation);

	if (outcome_is_ok(&outcome))
		outcome = check_uuid("client_message_id", send->client_message_id,
		                     &ret_item->client_message_id);
	if (!outcome_is_ok(&outcome))
		return outcome;
	if (strlen(send->content_type) > LIMIT_CONTENT_TYPE_BYTES ||
	    !text_is_printable_ascii(send->content_type))
		return outcome_invalid(
			"content_type",
			"is not printable ASCII of at most %d bytes; give a media type "
			"like text/plain",
			LIMIT_CONTENT_TYPE_BYTES);
	if (!send->body.len)
		return outcome_invalid("body", "is empty; it has at least one byte");
	if (send->body.len > body_bytes)
		return outcome_invalid("body", "is %zu bytes long; it has at most %u",
		                       send->body.len, body_bytes);
	if (send->reply_to_seq > INT64_MAX)
		return outcome_invalid("reply_to_seq", "is no event of this conversation");
	ret_item->sender = command->user;
	ret_item->content_type = send->content_type;
	ret_item->body = send->body.data;
	ret_item->body_size = send->body.len;
	ret_item->reply_to_seq = send->reply_to_seq;
	return outcome_ok();
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
