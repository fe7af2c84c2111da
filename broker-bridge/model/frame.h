/* frame - encoded bytes for clients, made once and shared by all their receivers.
 *
 * The bytes are a martlet.v1.ServerFrame. They do not change after they were written, and go when the
 * last receiver has let go of them. One thread, so the count needs no lock.
 *
 * Owns:     its bytes, in one allocation.
 * Lifetime: frame_create gives one reference; frame_unref of the last frees it.
 * Threads:  one.
 * Fails:    never.
 */
#ifndef MARTLET_MODEL_FRAME_H
#define MARTLET_MODEL_FRAME_H

#include <stddef.h>
#include <stdint.h>

/* Writable room in front of the bytes for a door's own header, so that a frame that travels alone is sent
 * without being copied. libwebsockets asks for 16 bytes (LWS_PRE). It writes the same header each
 * time. */
#define FRAME_HEADROOM 16

struct frame {
	/* What the hub must know of an event without looking into it: who is no member any more with it (NULL
	 * if nobody), and which message it empties (0 if none). */
	char *leaver;
	uint64_t redacts_seq;
	uint32_t references;
	uint32_t size;
	uint8_t headroom[FRAME_HEADROOM];
	uint8_t bytes[];
};

/* A frame of `size` bytes, to be written by the caller before anyone else sees it. */
struct frame *frame_create(size_t size) __attribute__((returns_nonnull, warn_unused_result));

/* Names the user who is no member any more with this event. Before anyone else sees the frame; "" is
 * nobody. The text is copied. */
void frame_set_leaver(struct frame *frame, const char *user);

/* One more reference; returns its argument. */
struct frame *frame_ref(struct frame *frame);

/* One reference less. NULL is allowed. */
void frame_unref(struct frame *frame);

#endif
