/* What is told live: typing and presence. */
#include "flow/signals.h"
#include "commands/command.h"

void command_set_typing(struct command *command)
{
	const Martlet__V1__SetTyping *set = command->frame->set_typing;
	struct outcome outcome =
		check_uuid("conversation_id", set->conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome) &&
	    !signals_set_typing(command->dispatcher->signals, command->session,
	                        &command->conversation, set->typing))
		outcome = outcome_refuse(OUTCOME_NOT_FOUND, "you have no such conversation");
	if (outcome_is_ok(&outcome))
		command_reply(command, encode_done(command->request_id));
	else
		command_refuse(command, outcome);
}
