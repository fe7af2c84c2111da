#include "flow/pickup.h"

#include "base/memory.h"
#include "flow/announce.h"
#include "flow/notify.h"
#include "link/link.h"
#include "store/outbox.h"

#include <stdbool.h>
#include <stdlib.h>

struct pickup {
	struct pickup_options options;
	struct store *store;
	struct link *link;
	struct announce *announce;
	struct notify *notify;
	struct timers *timers;

	struct timer timer; /* the next look; stopped while a question is on its way */
	bool is_full;       /* the last look found a whole page */
	bool is_stopped;
};

static void look_later(struct pickup *pickup, uint32_t delay_ms)
{
	if (!pickup->is_stopped)
		timer_start(pickup->timers, &pickup->timer, delay_ms);
}

/* What was not forgotten is told once more when its lease is over, and known by its number. */
static void on_forgotten(void *context, const struct outcome *outcome)
{
	struct pickup *pickup = context;
	bool is_good = outcome_is_ok(outcome);

	look_later(pickup, is_good && pickup->is_full ? 0 : pickup->options.poll_ms);
}

static void tell(const struct pickup *pickup, const struct outbox_row *row)
{
	if (row->event)
		announce_event(pickup->announce, row->event);
	else if (row->version)
		notify_tell(pickup->notify, &row->user, row->version);
}

static void on_taken(void *context, const struct outbox_answer *answer)
{
	struct pickup *pickup = context;
	int64_t ids[LIMIT_OUTBOX_ROWS];

	if (pickup->is_stopped)
		return;
	if (!answer->count) {
		look_later(pickup, pickup->options.poll_ms);
		return;
	}
	for (size_t i = 0; i < answer->count; i++) {
		tell(pickup, &answer->rows[i]);
		ids[i] = answer->rows[i].id;
	}
	pickup->is_full = answer->count == LIMIT_OUTBOX_ROWS;
	outbox_forget(pickup->store, ids, answer->count, on_forgotten, pickup);
}

static void on_look_due(struct timer *timer)
{
	struct pickup *pickup = (struct pickup *)((char *)timer - offsetof(struct pickup, timer));

	if (link_is_up(pickup->link))
		outbox_take(pickup->store, pickup->options.node, pickup->options.lease_ms,
		            LIMIT_OUTBOX_ROWS, on_taken, pickup);
	else
		look_later(pickup, pickup->options.poll_ms);
}

struct pickup *pickup_create(const struct pickup_options *options, struct store *store,
                             struct link *link, struct announce *announce, struct notify *notify,
                             struct timers *timers)
{
	struct pickup *pickup = memory_new(sizeof(*pickup));

	*pickup = (struct pickup){
		.options = *options,
		.store = store,
		.link = link,
		.announce = announce,
		.notify = notify,
		.timers = timers,
	};
	pickup->timer.on_due = on_look_due;
	look_later(pickup, options->poll_ms);
	return pickup;
}

void pickup_stop(struct pickup *pickup)
{
	pickup->is_stopped = true;
	timer_stop(pickup->timers, &pickup->timer);
}

void pickup_destroy(struct pickup *pickup)
{
	free(pickup);
}
