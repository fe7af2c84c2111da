/* presence - whether a user is there, as one word. */
#ifndef MARTLET_MODEL_PRESENCE_H
#define MARTLET_MODEL_PRESENCE_H

#include "model/id.h"

#include <stdint.h>

/* As numbers on the wire (PresenceStatus). Of several words about one user the greatest holds. */
enum presence {
	PRESENCE_OFFLINE = 1, /* no session */
	PRESENCE_AWAY = 2,    /* sessions, each of which said so */
	PRESENCE_ONLINE = 3,  /* a session that did not */
};

/* A user's presence as another sees it. */
struct shown_presence {
	struct user_id user;
	enum presence presence;
	int64_t last_seen_ms; /* since 1970, with OFFLINE; 0 if it is not known, or not to be known */
};

#endif
