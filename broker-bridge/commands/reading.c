/* Reading back: history and the list of conversations. */
#include "commands/command.h"
#include "store/query.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A page of conversations is cut at this many bytes of their last events. */
#define LIST_BYTES 65536

static void on_history(void *context, const struct events_answer *answer)
{
	struct command *command = context;

	if (outcome_is_ok(&answer->outcome))
		command_reply(command, encode_history(command->request_id, answer->events,
		                                      answer->count, answer->has_more));
	else
		command_refuse(command, answer->outcome);
}

void command_get_history(struct command *command)
{
	const Martlet__V1__GetHistory *get = command->frame->get_history;
	const struct dispatcher_options *options = &command->dispatcher->options;
	bool is_after = get->from_case == MARTLET__V1__GET_HISTORY__FROM_AFTER_SEQ;
	bool is_before = get->from_case == MARTLET__V1__GET_HISTORY__FROM_BEFORE_SEQ;
	uint32_t limit;
	struct outcome outcome =
		check_uuid("conversation_id", get->conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome))
		outcome = check_page_size(get->limit, options->limits.history_events, &limit);
	if (outcome_is_ok(&outcome) && is_before && !get->before_seq)
		outcome = outcome_invalid("before_seq", "is 0; leave it out for the newest page");
	if (!outcome_is_ok(&outcome)) {
		command_refuse(command, outcome);
		return;
	}
	query_history(command->dispatcher->store, &command->user, &command->conversation,
	              is_after ? HISTORY_AFTER : HISTORY_BEFORE,
	              is_after ? get->after_seq : (is_before ? get->before_seq : 0), limit,
	              options->history_bytes, on_history, command);
}

/* A page's end as the client gets it to give it back: "milliseconds/uuid". */

#define PAGE_BYTES 64

static void page_to_text(const struct membership *last, char ret_text[PAGE_BYTES])
{
	snprintf(ret_text, PAGE_BYTES, "%" PRId64 "/%s", last->last_event_time_ms,
	         uuid_to_text(&last->conversation).text);
}

static bool page_from_text(const char *text, struct list_place *ret_place)
{
	char *end;

	ret_place->last_event_time_ms = strtoll(text, &end, 10);
	return end != text && *end == '/' && ret_place->last_event_time_ms >= 0 &&
	       ret_place->last_event_time_ms < INT64_C(9000000000000) &&
	       uuid_from_text(end + 1, &ret_place->conversation);
}

/* How many of them go in one frame; one at least, if there is one. */
static size_t count_fitting(const struct memberships_answer *answer)
{
	size_t bytes = 0;
	size_t count = 0;

	while (count < answer->count && bytes < LIST_BYTES) {
		const struct event *last = answer->memberships[count++].last_event;

		bytes += last ? last->body_size : 0;
	}
	return count;
}

static void on_list(void *context, const struct memberships_answer *answer)
{
	struct command *command = context;
	size_t count = count_fitting(answer);
	char next_page[PAGE_BYTES] = "";

	if (!outcome_is_ok(&answer->outcome)) {
		command_refuse(command, answer->outcome);
		return;
	}
	if (count && (answer->has_more || count < answer->count))
		page_to_text(&answer->memberships[count - 1], next_page);
	command_reply(command,
	              encode_list(command->request_id, answer->memberships, count, next_page));
}

void command_list_conversations(struct command *command)
{
	const Martlet__V1__ListConversations *list = command->frame->list_conversations;
	struct list_place place;
	uint32_t limit;
	struct outcome outcome = check_page_size(
		list->limit, command->dispatcher->options.limits.list_conversations, &limit);

	if (outcome_is_ok(&outcome) && list->page[0] && !page_from_text(list->page, &place))
		outcome = outcome_invalid("page", "is not the next_page of an earlier answer");
	if (outcome_is_ok(&outcome))
		query_list(command->dispatcher->store, &command->user,
		           list->page[0] ? &place : NULL, limit, on_list, command);
	else
		command_refuse(command, outcome);
}

static void on_conversation(void *context, const struct memberships_answer *answer)
{
	struct command *command = context;

	if (!outcome_is_ok(&answer->outcome))
		command_refuse(command, answer->outcome);
	else if (!answer->count)
		command_refuse(command,
		               outcome_refuse(OUTCOME_NOT_FOUND, "you have no such conversation"));
	else
		command_reply(command,
		              encode_conversation(command->request_id, &answer->memberships[0]));
}

void command_get_conversation(struct command *command)
{
	const Martlet__V1__GetConversation *get = command->frame->get_conversation;
	struct outcome outcome =
		check_uuid("conversation_id", get->conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome))
		query_memberships(command->dispatcher->store, &command->user,
		                  &command->conversation, 1, on_conversation, command);
	else
		command_refuse(command, outcome);
}

static void on_members(void *context, const struct members_answer *answer)
{
	struct command *command = context;

	/* A page of members is named by its last one. */
	if (outcome_is_ok(&answer->outcome))
		command_reply(command,
		              encode_members(command->request_id, answer->members, answer->count,
		                             answer->has_more
		                                     ? answer->members[answer->count - 1].user
		                                     : ""));
	else
		command_refuse(command, answer->outcome);
}

void command_list_members(struct command *command)
{
	const Martlet__V1__ListMembers *list = command->frame->list_members;
	struct user_id after;
	uint32_t limit;
	struct outcome outcome =
		check_uuid("conversation_id", list->conversation_id, &command->conversation);

	if (outcome_is_ok(&outcome))
		outcome = check_page_size(list->limit,
		                          command->dispatcher->options.limits.list_members, &limit);
	if (outcome_is_ok(&outcome) && list->page[0] && !user_id_from_text(list->page, &after))
		outcome = outcome_invalid("page", "is not the next_page of an earlier answer");
	if (outcome_is_ok(&outcome))
		query_members(command->dispatcher->store, &command->user, &command->conversation,
		              list->page, limit, on_members, command);
	else
		command_refuse(command, outcome);
}
