#include "flow/announce.h"

#include "base/buffer.h"
#include "base/memory.h"
#include "flow/resume.h"
#include "flow/topics.h"
#include "hub/hub.h"
#include "link/link.h"
#include "protocol/encode.h"

#include <stdlib.h>

struct announce {
	struct hub *hub;
	struct link *link;
	struct resume *resume;
	struct topics *topics;
	uint32_t shards;
	struct buffer entry;
};

struct announce *announce_create(struct hub *hub, struct link *link, struct resume *resume,
                                 struct topics *topics, uint32_t shards)
{
	struct announce *announce = memory_new(sizeof(*announce));

	*announce = (struct announce){
		.hub = hub, .link = link, .resume = resume, .topics = topics, .shards = shards};
	buffer_init(&announce->entry, LIMIT_PUBLISH_BYTES);
	return announce;
}

void announce_destroy(struct announce *announce)
{
	buffer_done(&announce->entry);
	free(announce);
}

void announce_event(struct announce *announce, const struct event *event)
{
	struct frame *frame = encode_event(event);

	hub_offer(announce->hub, &event->conversation, event->seq, frame);
	if (encode_event_entry(&announce->entry, event, frame))
		link_publish_bus(announce->link,
		                 shard_of_conversation(&event->conversation, announce->shards),
		                 announce->entry.bytes, announce->entry.size);
	topics_event(announce->topics, event, frame);
	frame_unref(frame);
}

void announce_memberships(struct announce *announce, const struct uuid *conversation,
                          uint64_t since_seq, const struct user_id *users, size_t count)
{
	topics_joined(announce->topics, conversation, users, count);
	for (size_t i = 0; i < count; i++) {
		resume_membership_changed(announce->resume, &users[i], conversation);
		if (encode_membership_entry(&announce->entry, &users[i], conversation, since_seq))
			link_publish_bus(announce->link, shard_of_user(&users[i], announce->shards),
			                 announce->entry.bytes, announce->entry.size);
	}
}
