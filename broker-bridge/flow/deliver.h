/* deliver - what another node told, given to whom it concerns here.
 *
 * An envelope is cut apart: events go to the hub, which puts them in order and drops what it knows;
 * membership hints go to resume, and the rest to the room that bears its name. What is no envelope is dropped and
 * told once.
 */
#ifndef MARTLET_FLOW_DELIVER_H
#define MARTLET_FLOW_DELIVER_H

#include <stddef.h>
#include <stdint.h>

struct blocks;
struct hub;
struct notify;
struct resume;
struct signals;
struct watching;

/* Who takes what an envelope may hold. */
struct deliver_rooms {
	struct hub *hub;
	struct resume *resume;
	struct signals *signals;
	struct blocks *blocks;
	struct watching *watching;
	struct notify *notify;
};

/* One payload of the bus; everything is borrowed. */
void deliver_envelope(const struct deliver_rooms *rooms, const uint8_t *bytes, size_t size);

#endif
