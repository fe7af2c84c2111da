#include "hub/allowance.h"

#include "hub/private.h"

/* Refusals of one session that are borne: a client that waits as it is told is refused once now and then. */
static const struct rate refusals = {.per_second = 5, .burst = 200};

void hub_set_allowances(struct hub *hub, const struct allowances *allowances)
{
	hub->options.allowances = *allowances;
}

uint32_t session_take_turn(struct session *session, bool is_write, uint64_t now_ms)
{
	const struct hub *hub = session->hub;
	const struct allowances *allowances = &hub->options.allowances;
	struct hub_user *user = hub_find_user(hub, &session->user);
	uint32_t wait_ms = bucket_take(&user->commands, &allowances->commands, now_ms);

	if (!wait_ms && is_write)
		wait_ms = bucket_take(&user->writes, &allowances->writes, now_ms);
	if (wait_ms && bucket_take(&session->refusals, &refusals, now_ms))
		session_close(session, CLOSE_RATE_LIMIT,
		              "too many commands; wait as long as retry_after_ms says");
	return wait_ms;
}
