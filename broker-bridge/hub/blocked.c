#include "hub/blocked.h"

#include "base/memory.h"
#include "hub/private.h"

#include <stdlib.h>
#include <string.h>

void blocked_done(struct blocked *blocked)
{
	free(blocked->users);
	*blocked = (struct blocked){.is_known = false};
}

static int compare(const void *a, const void *b)
{
	return strcmp(((const struct user_id *)a)->text, ((const struct user_id *)b)->text);
}

bool blocked_has(const struct blocked *blocked, const struct user_id *user)
{
	if (!blocked->is_known || blocked->is_all)
		return true;
	return blocked->count &&
	       bsearch(user, blocked->users, blocked->count, sizeof(*user), compare);
}

void hub_set_blocked(struct hub *hub, const struct user_id *id, const struct user_id *others,
                     size_t count)
{
	struct hub_user *user = hub_find_user(hub, id);

	if (!user)
		return;
	blocked_done(&user->blocked);
	user->blocked.is_known = true;
	/* Most have none, and there are many of them. */
	if (!count)
		return;
	user->blocked.users = memory_new_array(count, sizeof(*others));
	memcpy(user->blocked.users, others, count * sizeof(*others));
	user->blocked.count = count;
}

void hub_set_all_blocked(struct hub *hub, const struct user_id *id)
{
	struct hub_user *user = hub_find_user(hub, id);

	if (!user)
		return;
	blocked_done(&user->blocked);
	user->blocked.is_known = true;
	user->blocked.is_all = true;
}

void hub_forget_blocked(struct hub *hub, const struct user_id *id)
{
	struct hub_user *user = hub_find_user(hub, id);

	if (user)
		blocked_done(&user->blocked);
}
