/* deliver - what another node told, given to whom it concerns here.
 *
 * An envelope is cut apart: events go to the hub, which puts them in order and drops what it knows;
 * membership hints go to resume, signals to signals. What is no envelope is dropped and told once.
 */
#ifndef MARTLET_FLOW_DELIVER_H
#define MARTLET_FLOW_DELIVER_H

#include <stddef.h>
#include <stdint.h>

struct hub;
struct resume;
struct signals;

/* Who takes what an envelope may hold. */
struct deliver_rooms {
	struct hub *hub;
	struct resume *resume;
	struct signals *signals;
};

/* One payload of the bus; everything is borrowed. */
void deliver_envelope(const struct deliver_rooms *rooms, const uint8_t *bytes, size_t size);

#endif
