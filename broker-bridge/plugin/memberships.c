#include "plugin/memberships.h"

#include "base/memory.h"

#include <stdlib.h>
#include <string.h>

/* An empty heap is base/must's to end, as everywhere; what is half done then is distrusted. */
#define uthash_malloc(size) memory_new(size)
#include <uthash.h>

#define FIRST_PLACES 4

/* A user's id, once for all its memberships. */
struct user {
	UT_hash_handle hh;
	uint32_t references;
	char text[];
};

/* The newest word about one user in one conversation. An end is kept until a pass has seen it, so that an older
 * beginning that comes late is known as older. */
struct member {
	struct user *user; /* NULL: an empty place */
	uint64_t seq : 48; /* of the event; 0 if a pass was first */
	uint64_t pass : 15;
	uint64_t is_member : 1;
};

struct conversation {
	struct uuid id;
	UT_hash_handle hh;

	uint64_t floor_seq; /* events up to here are in what a pass has read */
	uint64_t pass_seq;  /* the lowest number in this pass's rows */
	uint32_t pass;      /* the newest that had a row of it */
	uint32_t event_pass;

	struct member *members; /* open addressing; places are a power of two, or none */
	uint32_t places;
	uint32_t count;
};

struct memberships {
	struct user *users;
	struct conversation *conversations;
	struct conversation *current; /* of the pass: its rows are coming */
	uint32_t pass;
	uint32_t distrusted_pass; /* the one under way when something was lost here */
	bool is_loaded;
	size_t count;
	size_t bytes;
};

#define PASS_OF_MEMBER(memberships) ((memberships)->pass & 0x7fff)

static struct user *find_user(const struct memberships *memberships, const char *text)
{
	struct user *user;

	HASH_FIND_STR(memberships->users, text, user);
	return user;
}

static size_t user_bytes(const struct user *user)
{
	return sizeof(*user) + strlen(user->text) + 1;
}

static struct user *user_take(struct memberships *memberships, const struct user_id *id)
{
	struct user *user = find_user(memberships, id->text);

	if (!user) {
		user = memory_new(sizeof(*user) + strlen(id->text) + 1);
		memcpy(user->text, id->text, strlen(id->text));
		HASH_ADD_KEYPTR(hh, memberships->users, user->text, strlen(user->text), user);
		memberships->bytes += user_bytes(user);
	}
	user->references++;
	return user;
}

static void user_drop(struct memberships *memberships, struct user *user)
{
	if (--user->references)
		return;
	memberships->bytes -= user_bytes(user);
	HASH_DEL(memberships->users, user);
	free(user);
}

static struct conversation *find_conversation(const struct memberships *memberships,
                                              const struct uuid *id)
{
	struct conversation *conversation;

	HASH_FIND(hh, memberships->conversations, id->bytes, sizeof(id->bytes), conversation);
	return conversation;
}

static struct conversation *get_conversation(struct memberships *memberships, const struct uuid *id)
{
	struct conversation *conversation = find_conversation(memberships, id);

	if (conversation)
		return conversation;
	conversation = memory_new(sizeof(*conversation));
	conversation->id = *id;
	conversation->pass = memberships->pass - 1;
	conversation->event_pass = memberships->pass - 1;
	HASH_ADD(hh, memberships->conversations, id.bytes, sizeof(id->bytes), conversation);
	memberships->bytes += sizeof(*conversation);
	return conversation;
}

/* A user's first place; pointers differ in their middle bits. */
static uint32_t first_place(const struct conversation *conversation, const struct user *user)
{
	uint64_t mixed = (uint64_t)(uintptr_t)user * UINT64_C(0x9e3779b97f4a7c15);

	return (uint32_t)(mixed >> 32) & (conversation->places - 1);
}

/* The user's place, or the empty one where it would stand. There is one: sets are never full. */
static struct member *place_of(const struct conversation *conversation, const struct user *user)
{
	uint32_t place = first_place(conversation, user);

	while (conversation->members[place].user && conversation->members[place].user != user)
		place = (place + 1) & (conversation->places - 1);
	return &conversation->members[place];
}

static struct member *find_member(const struct conversation *conversation, const struct user *user)
{
	struct member *member;

	if (!conversation->places || !user)
		return NULL;
	member = place_of(conversation, user);
	return member->user ? member : NULL;
}

/* Moves all members for which it is asked into a set of `places`. */
static void rebuild(struct memberships *memberships, struct conversation *conversation,
                    uint32_t places,
                    bool (*is_kept)(const struct memberships *memberships,
                                    const struct conversation *conversation,
                                    const struct member *member))
{
	struct member *old = conversation->members;
	uint32_t old_places = conversation->places;

	conversation->members = memory_new_array(places, sizeof(struct member));
	conversation->places = places;
	memberships->bytes += (size_t)places * sizeof(struct member);
	memberships->bytes -= (size_t)old_places * sizeof(struct member);
	for (uint32_t i = 0; i < old_places; i++) {
		if (!old[i].user)
			continue;
		if (!is_kept || is_kept(memberships, conversation, &old[i])) {
			*place_of(conversation, old[i].user) = old[i];
			continue;
		}
		user_drop(memberships, old[i].user);
		conversation->count--;
		memberships->count--;
	}
	free(old);
}

/* Three places of four are taken at most. */
static bool has_room(uint32_t places, uint32_t count)
{
	return (uint64_t)count * 4 <= (uint64_t)places * 3;
}

static struct member *get_member(struct memberships *memberships, struct conversation *conversation,
                                 const struct user_id *id)
{
	struct member *member = find_member(conversation, find_user(memberships, id->text));
	struct user *user;

	if (member)
		return member;
	if (!has_room(conversation->places, conversation->count + 1))
		rebuild(memberships, conversation,
		        conversation->places ? conversation->places * 2 : FIRST_PLACES, NULL);
	user = user_take(memberships, id);
	member = place_of(conversation, user);
	*member = (struct member){.user = user};
	conversation->count++;
	memberships->count++;
	return member;
}

struct memberships *memberships_create(void)
{
	struct memberships *memberships = memory_new(sizeof(*memberships));

	memberships->pass = 1;
	return memberships;
}

static void conversation_free(struct memberships *memberships, struct conversation *conversation)
{
	for (uint32_t i = 0; i < conversation->places; i++) {
		if (conversation->members[i].user)
			user_drop(memberships, conversation->members[i].user);
	}
	memberships->count -= conversation->count;
	memberships->bytes -=
		sizeof(*conversation) + (size_t)conversation->places * sizeof(struct member);
	HASH_DEL(memberships->conversations, conversation);
	free(conversation->members);
	free(conversation);
}

void memberships_destroy(struct memberships *memberships)
{
	struct conversation *conversation;
	struct conversation *next;

	if (!memberships)
		return;
	HASH_ITER(hh, memberships->conversations, conversation, next)
		conversation_free(memberships, conversation);
	free(memberships);
}

bool memberships_has(const struct memberships *memberships, const struct user_id *user,
                     const struct uuid *conversation)
{
	const struct conversation *found =
		memberships->is_loaded ? find_conversation(memberships, conversation) : NULL;
	const struct member *member =
		found ? find_member(found, find_user(memberships, user->text)) : NULL;

	return member && member->is_member;
}

static void apply(struct memberships *memberships, const struct uuid *id,
                  const struct user_id *user, uint64_t seq, bool is_member)
{
	struct conversation *conversation = get_conversation(memberships, id);
	struct member *member;

	conversation->event_pass = memberships->pass;
	if (seq <= conversation->floor_seq)
		return;
	member = get_member(memberships, conversation, user);
	if (seq <= member->seq)
		return;
	member->seq = seq & 0xffffffffffff;
	member->is_member = is_member;
}

void memberships_join(struct memberships *memberships, const struct uuid *conversation,
                      const struct user_id *user, uint64_t seq)
{
	apply(memberships, conversation, user, seq, true);
}

void memberships_leave(struct memberships *memberships, const struct uuid *conversation,
                       const struct user_id *user, uint64_t seq)
{
	apply(memberships, conversation, user, seq, false);
}

void memberships_pass_begin(struct memberships *memberships)
{
	memberships->current = NULL;
	memberships->pass++;
}

/* What the pass had no row of is no membership any more, unless it is newer than the pass. */
static bool is_of_pass_or_newer(const struct memberships *memberships,
                                const struct conversation *conversation,
                                const struct member *member)
{
	return member->pass == PASS_OF_MEMBER(memberships) || member->seq > conversation->pass_seq;
}

static void sweep(struct memberships *memberships, struct conversation *conversation)
{
	bool has_old = false;

	for (uint32_t i = 0; i < conversation->places && !has_old; i++)
		has_old =
			conversation->members[i].user &&
			!is_of_pass_or_newer(memberships, conversation, &conversation->members[i]);
	if (has_old)
		rebuild(memberships, conversation, conversation->places, is_of_pass_or_newer);
	if (conversation->pass_seq > conversation->floor_seq)
		conversation->floor_seq = conversation->pass_seq;
}

void memberships_pass_row(struct memberships *memberships, const struct uuid *id,
                          const struct user_id *user, uint64_t last_seq)
{
	struct conversation *conversation = memberships->current;
	struct member *member;

	if (!conversation || !uuid_is_equal(&conversation->id, id)) {
		if (conversation)
			sweep(memberships, conversation);
		memberships->current = NULL;
		conversation = get_conversation(memberships, id);
		conversation->pass = memberships->pass;
		conversation->pass_seq = last_seq;
		memberships->current = conversation;
	}
	/* A large conversation's rows come in several pages, each true up to its own number. */
	if (last_seq < conversation->pass_seq)
		conversation->pass_seq = last_seq;
	member = get_member(memberships, conversation, user);
	member->pass = PASS_OF_MEMBER(memberships) & 0x7fff;
	if (member->seq <= last_seq)
		member->is_member = true;
}

void memberships_pass_end(struct memberships *memberships)
{
	struct conversation *conversation;
	struct conversation *next;

	if (memberships->current)
		sweep(memberships, memberships->current);
	memberships->current = NULL;
	/* Those without a row have no member, unless an event of this time knows better. */
	HASH_ITER(hh, memberships->conversations, conversation, next) {
		if (conversation->pass != memberships->pass &&
		    conversation->event_pass != memberships->pass)
			conversation_free(memberships, conversation);
	}
	memberships->is_loaded = memberships->pass != memberships->distrusted_pass;
}

void memberships_distrust(struct memberships *memberships)
{
	memberships->is_loaded = false;
	memberships->current = NULL;
	memberships->distrusted_pass = memberships->pass;
}

bool memberships_is_loaded(const struct memberships *memberships)
{
	return memberships->is_loaded;
}

struct memberships_counts memberships_counts(const struct memberships *memberships)
{
	return (struct memberships_counts){
		.conversations = HASH_COUNT(memberships->conversations),
		.users = HASH_COUNT(memberships->users),
		.memberships = memberships->count,
		.bytes = memberships->bytes + HASH_OVERHEAD(hh, memberships->users) +
	                 HASH_OVERHEAD(hh, memberships->conversations),
	};
}
