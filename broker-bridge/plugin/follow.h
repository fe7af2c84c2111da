/* follow - what the bridges' envelopes tell of memberships, and ask of presence.
 *
 * Each passes here before it, or anything that its bridge publishes after it, is delivered to anyone: so a removal
 * is known before the first message that the removed member must not have.
 *
 * Fails:    never; an entry that can't be read is left out.
 */
#ifndef MARTLET_PLUGIN_FOLLOW_H
#define MARTLET_PLUGIN_FOLLOW_H

#include "plugin/memberships.h"
#include "plugin/online.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* False if the bytes are no envelope: then news may be lost. */
bool follow_envelope(struct memberships *memberships, struct online *online, const uint8_t *bytes,
                     size_t size) __attribute__((warn_unused_result));

#endif
