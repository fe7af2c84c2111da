#include "hub/allowance.h"

#include "hub/private.h"

/* Refusals of one session, or of one user without, that are borne: a client that waits as it is told is refused once now and then. */
static const struct rate refusals = {.per_second = 5, .burst = 200};

void hub_set_allowances(struct hub *hub, const struct allowances *allowances)
{
	hub->options.allowances = *allowances;
}

static uint32_t take_turn(const struct hub *hub, struct allowance *allowance, bool is_write,
                          uint64_t now_ms)
{
	const struct allowances *allowances = &hub->options.allowances;
	uint32_t wait_ms = bucket_take(&allowance->commands, &allowances->commands, now_ms);

	if (!wait_ms && is_write)
		wait_ms = bucket_take(&allowance->writes, &allowances->writes, now_ms);
	return wait_ms;
}

uint32_t session_take_turn(struct session *session, bool is_write, uint64_t now_ms)
{
	struct hub_user *user = hub_find_user(session->hub, &session->user);
	uint32_t wait_ms = take_turn(session->hub, &user->allowance, is_write, now_ms);

	if (wait_ms && bucket_take(&session->refusals, &refusals, now_ms))
		session_close(session, CLOSE_RATE_LIMIT,
		              "too many commands; wait as long as retry_after_ms says");
	return wait_ms;
}

uint32_t hub_take_turn(struct hub *hub, const struct user_id *id, bool is_write, uint64_t now_ms,
                       bool *ret_is_too_often)
{
	struct hub_user *user = hub_find_user(hub, id);
	struct allowance *allowance = user ? &user->allowance : guests_allowance(hub->guests, id);
	uint32_t wait_ms = take_turn(hub, allowance, is_write, now_ms);

	*ret_is_too_often = wait_ms && bucket_take(&allowance->refusals, &refusals, now_ms);
	return wait_ms;
}
