/* Signals of what a caller does, told to a conversation's other members. */
#include "commands/command.h"
#include "flow/signals.h"
#include "store/query.h"

static void on_head_read(void *context, const struct heads_answer *answer)
{
	struct command *command = context;
	struct frame *reply = command->answer;

	if (outcome_is_ok(&answer->outcome) && answer->count)
		signals_tell_conversation_after(command->dispatcher->signals,
		                                &command->conversation, answer->heads[0].last_seq,
		                                &command->user, command->signal);
	frame_unref(command->signal);
	command_reply(command, reply);
}

void command_tell_and_reply(struct command *command, struct frame *signal, struct frame *reply)
{
	struct dispatcher *dispatcher = command->dispatcher;

	if (signals_tell_conversation(dispatcher->signals, &command->conversation, &command->user,
	                              signal)) {
		frame_unref(signal);
		command_reply(command, reply);
		return;
	}
	command->signal = signal;
	command->answer = reply;
	query_heads(dispatcher->store, &command->conversation, 1, on_head_read, command);
}
