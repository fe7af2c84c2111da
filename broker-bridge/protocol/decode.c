#include "protocol/decode.h"

#include <string.h>

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

/* Looking for zeros. What the bytes mean was found well formed before; here nothing is read beyond them. */

struct reader {
	const uint8_t *at;
	const uint8_t *end;
};

static uint64_t read_varint(struct reader *reader)
{
	uint64_t value = 0;
	unsigned shift = 0;

	while (reader->at < reader->end) {
		uint8_t byte = *reader->at++;

		if (shift < 64)
			value |= (uint64_t)(byte & 0x7f) << shift;
		shift += 7;
		if (!(byte & 0x80))
			break;
	}
	return value;
}

static struct reader read_bytes(struct reader *reader, uint64_t size)
{
	uint64_t left = (uint64_t)(reader->end - reader->at);
	struct reader bytes = {reader->at, reader->at + (size < left ? size : left)};

	reader->at = bytes.end;
	return bytes;
}

static const char *find_zero(const ProtobufCMessageDescriptor *message, struct reader reader);

static const char *find_zero_in_field(const ProtobufCMessageDescriptor *message, unsigned number,
                                      struct reader bytes)
{
	const ProtobufCFieldDescriptor *field =
		protobuf_c_message_descriptor_get_field(message, number);

	if (field && field->type == PROTOBUF_C_TYPE_MESSAGE)
		return find_zero(field->descriptor, bytes);
	if (field && field->type == PROTOBUF_C_TYPE_STRING && bytes.at < bytes.end &&
	    memchr(bytes.at, 0, (size_t)(bytes.end - bytes.at)))
		return field->name;
	return NULL;
}

/* As deep as the messages are nested in proto/: what is not known there is passed over. */
static const char *find_zero(const ProtobufCMessageDescriptor *message, struct reader reader)
{
	const char *found = NULL;

	while (!found && reader.at < reader.end) {
		uint64_t tag = read_varint(&reader);

		switch (tag & 7) {
		case 0:
			read_varint(&reader);
			break;
		case 1:
			read_bytes(&reader, 8);
			break;
		case 2:
			found = find_zero_in_field(message, (unsigned)(tag >> 3),
			                           read_bytes(&reader, read_varint(&reader)));
			break;
		default:
			read_bytes(&reader, 4);
			break;
		}
	}
	return found;
}

const char *decode_find_zero(const uint8_t *bytes, size_t size)
{
	return find_zero(&martlet__v1__client_frame__descriptor,
	                 (struct reader){bytes, bytes + size});
}
