/* How far members have a conversation. */
#include "store/receipts.h"
#include "commands/command.h"
#include "flow/signals.h"
#include "store/query.h"

/* The user's own other sessions alone learn the count. */
static void tell_own(struct command *command, const struct receipt *receipt, uint32_t unread_count)
{
	struct frame *frame = encode_receipt_changed(&command->conversation, receipt, unread_count);

	signals_tell_user(command->dispatcher->signals, &command->user, frame, command->session);
	frame_unref(frame);
}

static void on_marked(void *context, const struct mark_answer *answer)
{
	struct command *command = context;
	const struct receipt receipt = {command->user.text, answer->delivered_seq,
	                                answer->read_seq};
	struct frame *reply;

	if (!outcome_is_ok(&answer->outcome)) {
		command_refuse(command, answer->outcome);
		return;
	}
	reply = encode_mark(command->request_id, answer->delivered_seq, answer->read_seq,
	                    answer->unread_count);
	if (answer->is_changed)
		tell_own(command, &receipt, answer->unread_count);
	/* Others, in a small conversation. */
	if (answer->is_changed && answer->is_told)
		command_tell_and_reply(command,
		                       encode_receipt_changed(&command->conversation, &receipt, 0),
		                       reply);
	else
		command_reply(command, reply);
}

static void mark(struct command *command, const char *conversation_id, uint64_t seq, bool is_read)
{
	struct mark given = {
		.user = command->user, .delivered_seq = seq, .read_seq = is_read ? seq : 0};
	struct outcome outcome =
		check_uuid("conversation_id", conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome))
		outcome = check_seq(seq);
	if (!outcome_is_ok(&outcome)) {
		command_refuse(command, outcome);
		return;
	}
	given.conversation = command->conversation;
	receipts_mark(command->dispatcher->store, &given, on_marked, command);
}

void command_mark_delivered(struct command *command)
{
	const Martlet__V1__MarkDelivered *given = command->frame->mark_delivered;

	mark(command, given->conversation_id, given->seq, false);
}

void command_mark_read(struct command *command)
{
	const Martlet__V1__MarkRead *given = command->frame->mark_read;

	mark(command, given->conversation_id, given->seq, true);
}

static void on_receipts(void *context, const struct receipts_answer *answer)
{
	struct command *command = context;

	if (outcome_is_ok(&answer->outcome))
		command_reply(command, encode_receipts(command->request_id, answer->delivered_count,
		                                       answer->read_count));
	else
		command_refuse(command, answer->outcome);
}

void command_get_receipts(struct command *command)
{
	const Martlet__V1__GetReceipts *get = command->frame->get_receipts;
	struct outcome outcome =
		check_uuid("conversation_id", get->conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome))
		outcome = check_seq(get->seq);
	if (outcome_is_ok(&outcome))
		query_receipts(command->dispatcher->store, &command->user, &command->conversation,
		               get->seq, on_receipts, command);
	else
		command_refuse(command, outcome);
}
