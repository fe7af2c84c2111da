/* catch_up - what the rooms of resume share: one session's catching up, and its stages.
 *
 * See resume.h for the picture. resume.c has the life and turns the stages; stating.c and feeding.c are the
 * stages. Not for anybody else.
 *
 * Owns:     a reference on its session; the cursors, the wanted conversations.
 * Lifetime: from resume_session to the end of the session; if the store still owes an answer then, to that.
 */
#ifndef MARTLET_FLOW_CATCH_UP_H
#define MARTLET_FLOW_CATCH_UP_H

#include "flow/resume.h"
#include "link/interest.h"
#include "model/outcome.h"

#include <stdbool.h>
#include <uthash.h>

#define STATES_AT_ONCE 16 /* with a last event of 16 KiB each they fit a session's room */
#define HINTS 32          /* beyond it all memberships are read again */
#define CATCH_UP_RETRY_MS 300

enum stage {
	RESTING,         /* nothing to do */
	HEARING_USER,    /* until hints for this user can be heard */
	READING_FOLLOWS, /* what the user is a member of */
	HEARING,         /* until the shards of what is wanted are heard */
	READING_HEADS,   /* the newest numbers of what nobody here knew */
	STATING,         /* how each stands, and its seat */
	PARTING,         /* what the client keeps, and the user is no member of */
	VERIFYING,       /* whether what needed no telling changed before it was heard */
	NOTIFYING,       /* what services told the user */
	FEEDING,         /* lagging seats, from the log; then stale ones, of how they stand */
};

/* A conversation that the session shall sit in. */
struct wanted {
	struct uuid conversation;
	uint64_t
		after_seq; /* the client's cursor, or where the log ended when it was seen as followed */
	uint64_t member_seq; /* the user was seen to be a member there */
	uint64_t signals;    /* of the conversation, when it was read how it stands */
	bool has_cursor;
	bool is_joined;   /* it is news to the client */
	bool is_unstated; /* the client will list it when it wants to */
	bool is_stated;   /* it was told how it stands */
};

struct known_cursor {
	struct cursor cursor;
	uint64_t signals; /* of the conversation when follows were read; valid if it is heard */
	bool is_heard;    /* then */
	bool is_followed;
	bool is_unsure; /* it is as the client knows it, but it was not heard yet */
	UT_hash_handle hh;
};

/* One session's catching up, for as long as it is open. */
struct catch_up {
	struct resume *resume;
	struct session *session; /* a reference */
	UT_hash_handle hh;       /* resume::catch_ups, by session */

	enum stage stage;
	bool is_first;         /* Ready is still to come */
	bool is_refresh_asked; /* read what it follows again */
	bool is_asking;        /* the store owes an answer */
	bool is_gone;          /* free it with that answer */
	struct interest_wait wait;
	struct timer timer; /* goes on with the stage */
	struct timer deadline;
	struct known_cursor *cursors; /* by conversation */
	struct known_cursor *cursors_memory;
	struct wanted *wanted;
	size_t wanted_count;
	size_t wanted_done;
	struct uuid *parted; /* room for all wanted ones and all cursors */
	size_t parted_count;
	struct uuid stale[STATES_AT_ONCE]; /* whose standing was asked for */
	size_t stale_count;
	uint64_t user_signals; /* of the session, when it was read how conversations stand */
	struct uuid hints[HINTS];
	size_t hints_count;
};

struct resume {
	struct resume_options options;
	struct store *store;
	struct interest *interest;
	struct timers *timers;
	struct hub *hub;
	struct notify *notify;
	struct catch_up *catch_ups;
};

/* What the stages share. */
void catch_up_set_stage(struct catch_up *catch_up, enum stage stage);

/* Goes on with the present stage now, or after this call has returned to the loop. */
void catch_up_go_on(struct catch_up *catch_up);
void catch_up_go_on_later(struct catch_up *catch_up, uint64_t delay_ms);

/* Takes an answer of the store: false if nobody waits for it any more, or if it must be asked again. */
bool catch_up_take_answer(struct catch_up *catch_up, const struct outcome *outcome)
	__attribute__((warn_unused_result));

/* Queues the frame for the session, and lets go of it. May end the catch-up: see is_gone. */
void catch_up_tell(struct catch_up *catch_up, struct frame *frame);

/* Room for so many wanted conversations, after forgetting those before; and one more of them. */
void catch_up_make_wanted(struct catch_up *catch_up, size_t count);
void catch_up_forget_wanted(struct catch_up *catch_up);
struct wanted *catch_up_add_wanted(struct catch_up *catch_up, const struct uuid *conversation);
void catch_up_forget_cursors(struct catch_up *catch_up);
bool catch_up_is_seated(const struct catch_up *catch_up, const struct uuid *conversation);

/* stating.c: what the user follows, how each stands, what it has left, what services told it. Each begins its stage,
 * and goes on to the next when it is answered. */
void catch_up_note_heard(struct catch_up *catch_up);
void catch_up_read_follows(struct catch_up *catch_up);
void catch_up_read_heads(struct catch_up *catch_up);
void catch_up_state(struct catch_up *catch_up);
void catch_up_part(struct catch_up *catch_up);
void catch_up_verify(struct catch_up *catch_up);
void catch_up_read_notifications(struct catch_up *catch_up);

/* feeding.c: lagging seats, from the log; then stale ones. Rests when there are none. */
void catch_up_feed(struct catch_up *catch_up);

#endif
