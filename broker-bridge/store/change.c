#include "store/change.h"

#include "base/memory.h"
#include "base/must.h"
#include "store/events.h"
#include "store/private.h"
#include "store/rows.h"

#include <stdlib.h>

struct question {
	void (*done)(void *context, const struct change_answer *answer);
	void *context;
	enum change_kind kind;
};

static struct outcome refuse(enum outcome_code code, const char *text)
{
	return outcome_refuse(code, "%s", text);
}

/* What the caller's role or the other side does not allow. */
static struct outcome denied(enum change_kind kind)
{
	switch (kind) {
	case CHANGE_EDIT:
		return refuse(OUTCOME_PERMISSION_DENIED,
		              "a message is edited by its sender, who may send here");
	case CHANGE_REDACT:
		return refuse(OUTCOME_PERMISSION_DENIED,
		              "a message is redacted by its sender, or by an admin of its group");
	default:
		return refuse(OUTCOME_PERMISSION_DENIED, "your role does not allow it");
	}
}

static struct outcome outcome_of_status(int16_t status, enum change_kind kind)
{
	switch (status) {
	case 0:
	case 1:
		return outcome_ok();
	case 2:
		return refuse(OUTCOME_NOT_FOUND, "you have no such conversation");
	case 3:
		return refuse(OUTCOME_NOT_FOUND, "you have no such message");
	case 4:
		return denied(kind);
	case 5:
		return refuse(OUTCOME_FAILED_PRECONDITION,
		              "a direct conversation has no settings and always the same members");
	case 6:
		return refuse(OUTCOME_FAILED_PRECONDITION, "the message is redacted");
	case 7:
		return refuse(OUTCOME_PERMISSION_DENIED,
		              "the message is too old; Limits.edit_window_s says for how long it "
		              "can be edited");
	case 8:
		return refuse(OUTCOME_NOT_FOUND, "the group has no such member");
	case 9:
		return refuse(OUTCOME_FAILED_PRECONDITION,
		              "a group keeps an owner; make another member the owner first");
	case 10:
		return refuse(OUTCOME_FAILED_PRECONDITION,
		              "the group would have more than Limits.group_members");
	case 11:
		return refuse(OUTCOME_FAILED_PRECONDITION,
		              "the message has Limits.reaction_symbols different symbols");
	case 12:
		return refuse(OUTCOME_PERMISSION_DENIED,
		              kind == CHANGE_ADD_MEMBERS
		                      ? "one of these users cannot be added by you"
		                      : "you cannot write to this user");
	default:
		return refuse(OUTCOME_INTERNAL, "the server could not do this");
	}
}

static void on_changed(void *context, const PGresult *result, const struct outcome *outcome)
{
	struct question *question = context;
	struct arena *arena = arena_create(SIZE_MAX);
	struct change_answer answer = {.outcome = *outcome};
	struct event event;
	int16_t status = -1;

	if (outcome_is_ok(outcome)) {
		status = PQntuples(result) == 1 ? row_smallint(result, 0, 0) : -1;
		answer.outcome = outcome_of_status(status, question->kind);
	}
	if (status == 0) {
		event = event_from_row(result, 0, 1, arena);
		answer.event = &event;
	}
	question->done(question->context, &answer);
	arena_destroy(arena);
	free(question);
}

static enum writer_statement add_parameters(struct parameters *parameters,
                                            const struct change *change)
{
	parameters_init(parameters);
	parameters_add_uuid(parameters, &change->conversation);
	parameters_add_text(parameters, change->user.text);
	switch (change->kind) {
	case CHANGE_EDIT:
		parameters_add_bigint(parameters, (int64_t)change->target_seq);
		parameters_add_text(parameters, change->content_type);
		parameters_add_bytes(parameters, change->body, change->body_size);
		parameters_add_users(parameters, change->users, change->users_count);
		parameters_add_integer(parameters, (int32_t)change->most);
		return STATEMENT_EDIT_MESSAGE;
	case CHANGE_REDACT:
		parameters_add_bigint(parameters, (int64_t)change->target_seq);
		return STATEMENT_REDACT_MESSAGE;
	case CHANGE_REACT:
	case CHANGE_UNREACT:
		parameters_add_bigint(parameters, (int64_t)change->target_seq);
		parameters_add_text(parameters, change->symbol);
		parameters_add_boolean(parameters, change->kind == CHANGE_REACT);
		parameters_add_integer(parameters, (int32_t)change->most);
		return STATEMENT_CHANGE_REACTION;
	case CHANGE_TITLE:
		parameters_add_text(parameters, change->title);
		parameters_add_null(parameters);
		parameters_add_null(parameters);
		return STATEMENT_UPDATE_GROUP;
	case CHANGE_ANNOUNCEMENT:
		parameters_add_null(parameters);
		parameters_add_boolean(parameters, change->is_on);
		parameters_add_null(parameters);
		return STATEMENT_UPDATE_GROUP;
	case CHANGE_FULL_HISTORY:
		parameters_add_null(parameters);
		parameters_add_null(parameters);
		parameters_add_boolean(parameters, change->is_on);
		return STATEMENT_UPDATE_GROUP;
	case CHANGE_ADD_MEMBERS:
		parameters_add_users(parameters, change->users, change->users_count);
		parameters_add_integer(parameters, (int32_t)change->most);
		return STATEMENT_ADD_MEMBERS;
	case CHANGE_REMOVE_MEMBER:
		parameters_add_text(parameters, change->users[0].text);
		return STATEMENT_REMOVE_MEMBER;
	case CHANGE_LEAVE:
		parameters_add_text(parameters, change->user.text);
		return STATEMENT_REMOVE_MEMBER;
	case CHANGE_ROLE:
		parameters_add_text(parameters, change->users[0].text);
		parameters_add_integer(parameters, (int32_t)change->role);
		return STATEMENT_SET_ROLE;
	}
	must(false);
	return WRITER_STATEMENTS;
}

void change_submit(struct store *store, const struct change *change,
                   void (*done)(void *context, const struct change_answer *answer), void *context)
{
	struct question *question = memory_new(sizeof(*question));
	struct parameters parameters;
	enum writer_statement statement = add_parameters(&parameters, change);

	question->done = done;
	question->context = context;
	question->kind = change->kind;
	connection_ask(store->writer, statement, &parameters, on_changed, question);
}
