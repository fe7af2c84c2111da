/* What services told the user. */
#include "store/notifications.h"
#include "commands/command.h"
#include "flow/notify.h"
#include "protocol/encode_notifications.h"

static void on_list(void *context, const struct notifications_answer *answer)
{
	struct command *command = context;

	if (outcome_is_ok(&answer->outcome))
		command_reply(command,
		              encode_notification_list(command->request_id, answer->notifications,
		                                       answer->count, answer->has_more));
	else
		command_refuse(command, answer->outcome);
}

void command_list_notifications(struct command *command)
{
	const Martlet__V1__ListNotifications *list = command->frame->list_notifications;
	const struct dispatcher_options *options = &command->dispatcher->options;
	uint32_t limit;
	struct outcome outcome =
		check_page_size(list->limit, options->limits.list_notifications, &limit);

	if (outcome_is_ok(&outcome) && list->after_number > INT64_MAX)
		outcome = outcome_invalid("after_number", "is no notification's number");
	if (outcome_is_ok(&outcome))
		notifications_list(command->dispatcher->store, &command->user, list->after_number,
		                   limit, options->history_bytes, on_list, command);
	else
		command_refuse(command, outcome);
}

static void on_acked(void *context, const struct ack_answer *answer)
{
	struct command *command = context;

	if (outcome_is_ok(&answer->outcome))
		command_reply(command, encode_notification_acks(command->request_id,
		                                                answer->numbers, answer->count));
	else
		command_refuse(command, answer->outcome);
}

void command_ack_notifications(struct command *command)
{
	const Martlet__V1__AckNotifications *ack = command->frame->ack_notifications;
	uint32_t most = command->dispatcher->options.limits.list_notifications;
	struct outcome outcome = outcome_ok();

	if (ack->n_numbers < 1 || ack->n_numbers > most)
		outcome = outcome_invalid("numbers", "are %zu; give 1 to %u", ack->n_numbers, most);
	for (size_t i = 0; i < ack->n_numbers && outcome_is_ok(&outcome); i++) {
		if (!ack->numbers[i] || ack->numbers[i] > INT64_MAX)
			outcome = outcome_invalid("numbers", "has one that is no notification's");
	}
	if (outcome_is_ok(&outcome))
		notify_ack(command->dispatcher->notify, &command->user, ack->numbers,
		           ack->n_numbers, on_acked, command);
	else
		command_refuse(command, outcome);
}

/* A user's token says nothing about a service. */
void command_notify(struct command *command)
{
	command_refuse(command, outcome_refuse(OUTCOME_PERMISSION_DENIED,
	                                       "users do not notify; a service does, over MQTT"));
}
