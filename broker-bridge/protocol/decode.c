#include "protocol/decode.h"

static void *allocate(void *arena, size_t size)
{
	return arena_get(arena, size);
}

/* The arena frees all at once. */
static void release(void *arena, void *memory)
{
	(void)arena;
	(void)memory;
}

static ProtobufCAllocator allocator_of(struct arena *arena)
{
	return (ProtobufCAllocator){.alloc = allocate, .free = release, .allocator_data = arena};
}

Martlet__V1__ClientFrame *decode_client_frame(struct arena *arena, const uint8_t *bytes,
                                              size_t size)
{
	ProtobufCAllocator allocator = allocator_of(arena);

	return martlet__v1__client_frame__unpack(&allocator, size, bytes);
}

Martlet__Bus__V1__Envelope *decode_envelope(struct arena *arena, const uint8_t *bytes, size_t size)
{
	ProtobufCAllocator allocator = allocator_of(arena);

	return martlet__bus__v1__envelope__unpack(&allocator, size, bytes);
}

Martlet__V1__Notify *decode_notify(struct arena *arena, const uint8_t *bytes, size_t size)
{
	ProtobufCAllocator allocator = allocator_of(arena);

	return martlet__v1__notify__unpack(&allocator, size, bytes);
}
