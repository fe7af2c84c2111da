/* decode - bytes of a client or of another node, taken apart.
 *
 * Whatever comes from outside passes here before anyone else sees it. Memory is the arena's, so what is
 * returned lives as long as it; a message whose decoding would outgrow the arena is refused.
 *
 * Fails:    by NULL or false.
 */
#ifndef MARTLET_PROTOCOL_DECODE_H
#define MARTLET_PROTOCOL_DECODE_H

#include "base/arena.h"
#include "model/id.h"

#include <martlet/bus/v1/bus.pb-c.h>
#include <martlet/v1/frame.pb-c.h>

#include <stddef.h>
#include <stdint.h>

/* A client's command; NULL if the bytes are no ClientFrame. Its strings end at their
 * first zero and may be malformed UTF-8: whoever passes one on checks it (model/text.h). */
Martlet__V1__ClientFrame *decode_client_frame(struct arena *arena, const uint8_t *bytes,
                                              size_t size);

/* What a service asks for; NULL if the bytes are no Notify. The same holds for its strings. */
Martlet__V1__Notify *decode_notify(struct arena *arena, const uint8_t *bytes, size_t size);

/* What another node tells; NULL if the bytes are no Envelope. */
Martlet__Bus__V1__Envelope *decode_envelope(struct arena *arena, const uint8_t *bytes, size_t size);

/* The name of a text field of a ClientFrame's command that has a zero byte in it, or NULL. C would see the text end
 * there, so "alice\0bob" would pass for "alice". The bytes were decoded before. */
const char *decode_find_zero(const uint8_t *bytes, size_t size);

#endif
