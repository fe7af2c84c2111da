/* Blocking. */
#include "commands/command.h"
#include "flow/blocks.h"
#include "flow/signals.h"
#include "protocol/encode_signals.h"
#include "store/people.h"

static void on_block(void *context, const struct block_answer *answer)
{
	struct command *command = context;
	struct dispatcher *dispatcher = command->dispatcher;
	bool is_blocked =
		command->frame->command_case == MARTLET__V1__CLIENT_FRAME__COMMAND_BLOCK_USER;
	struct frame *frame;

	if (!outcome_is_ok(&answer->outcome)) {
		command_refuse(command, answer->outcome);
		return;
	}
	/* Also if it was so already: a repetition may follow a death before the first one was told. */
	blocks_tell(dispatcher->blocks, &command->user, &command->other);
	frame = encode_block_changed(&command->other, is_blocked);
	signals_tell_user(dispatcher->signals, &command->user, frame, command->session);
	frame_unref(frame);
	command_reply(command, encode_done(command->request_id));
}

void command_block_user(struct command *command)
{
	struct dispatcher *dispatcher = command->dispatcher;
	struct outcome outcome =
		check_user("user", command->frame->block_user->user, &command->other);

	if (outcome_is_ok(&outcome) && user_id_is_equal(&command->other, &command->user))
		outcome = outcome_invalid("user", "is you; give another user");
	if (outcome_is_ok(&outcome))
		people_block(dispatcher->store, &command->user, &command->other,
		             dispatcher->options.limits.blocked_users, on_block, command);
	else
		command_refuse(command, outcome);
}

void command_unblock_user(struct command *command)
{
	struct outcome outcome =
		check_user("user", command->frame->unblock_user->user, &command->other);

	if (outcome_is_ok(&outcome))
		people_unblock(command->dispatcher->store, &command->user, &command->other,
		               on_block, command);
	else
		command_refuse(command, outcome);
}

static void on_list(void *context, const struct blocked_answer *answer)
{
	struct command *command = context;

	if (!outcome_is_ok(&answer->outcome))
		command_refuse(command, answer->outcome);
	else
		command_reply(command,
		              encode_blocked_users(
				      command->request_id, answer->users, answer->count,
				      answer->has_more ? answer->users[answer->count - 1] : ""));
}

/* The next page begins after the last user of this one. */
void command_list_blocked(struct command *command)
{
	const Martlet__V1__ListBlocked *list = command->frame->list_blocked;
	uint32_t limit;
	struct outcome outcome = check_page_size(
		list->limit, command->dispatcher->options.limits.list_members, &limit);

	if (outcome_is_ok(&outcome) && list->page[0] && !id_is_valid(list->page))
		outcome = outcome_invalid("page", "is not the next_page of an earlier answer");
	if (outcome_is_ok(&outcome))
		people_list_blocked(command->dispatcher->store, &command->user, list->page, limit,
		                    on_list, command);
	else
		command_refuse(command, outcome);
}
