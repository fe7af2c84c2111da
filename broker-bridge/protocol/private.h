/* private - what the encoders show each other and nobody else. */
#ifndef MARTLET_PROTOCOL_PRIVATE_H
#define MARTLET_PROTOCOL_PRIVATE_H

#include "base/buffer.h"
#include "model/frame.h"

#include <martlet/bus/v1/bus.pb-c.h>
#include <martlet/v1/frame.pb-c.h>

#include <stdbool.h>
#include <stdint.h>

/* protobuf-c describes strings and bytes without const, and does not write to what it packs. */
#define BORROW_TEXT(text) ((char *)(uintptr_t)(text))
#define BORROW_BYTES(bytes) ((uint8_t *)(uintptr_t)(bytes))

/* A frame of this one item; of one reply; an envelope of one entry, false if the buffer can't hold it. */
struct frame *pack(Martlet__V1__Item *item);
struct frame *pack_reply(Martlet__V1__Reply *reply, uint32_t request_id);
bool pack_entry(struct buffer *buffer, Martlet__Bus__V1__Entry *entry)
	__attribute__((warn_unused_result));

#endif
