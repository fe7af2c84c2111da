#include "store/rows.h"

#include "base/must.h"

#include <endian.h>
#include <string.h>

/* PostgreSQL counts microseconds from 2000-01-01. */
#define EPOCH_OFFSET_MS INT64_C(946684800000)

int64_t row_bigint(const PGresult *result, int row, int column)
{
	uint64_t wire = 0;

	if (PQgetlength(result, row, column) == sizeof(wire))
		memcpy(&wire, PQgetvalue(result, row, column), sizeof(wire));
	return (int64_t)be64toh(wire);
}

int32_t row_integer(const PGresult *result, int row, int column)
{
	uint32_t wire = 0;

	if (PQgetlength(result, row, column) == sizeof(wire))
		memcpy(&wire, PQgetvalue(result, row, column), sizeof(wire));
	return (int32_t)be32toh(wire);
}

int16_t row_smallint(const PGresult *result, int row, int column)
{
	uint16_t wire = 0;

	if (PQgetlength(result, row, column) == sizeof(wire))
		memcpy(&wire, PQgetvalue(result, row, column), sizeof(wire));
	return (int16_t)be16toh(wire);
}

bool row_boolean(const PGresult *result, int row, int column)
{
	return PQgetlength(result, row, column) == 1 && PQgetvalue(result, row, column)[0];
}

struct uuid row_uuid(const PGresult *result, int row, int column)
{
	struct uuid uuid = {{0}};

	if (PQgetlength(result, row, column) == sizeof(uuid.bytes))
		memcpy(uuid.bytes, PQgetvalue(result, row, column), sizeof(uuid.bytes));
	return uuid;
}

/* libpq closes each value with a zero, in the binary form too. */
const char *row_text(const PGresult *result, int row, int column)
{
	return PQgetvalue(result, row, column);
}

const uint8_t *row_bytes(const PGresult *result, int row, int column, size_t *ret_size)
{
	*ret_size = (size_t)PQgetlength(result, row, column);
	return (const uint8_t *)PQgetvalue(result, row, column);
}

int64_t row_time_ms(const PGresult *result, int row, int column)
{
	if (PQgetisnull(result, row, column))
		return 0;
	return row_bigint(result, row, column) / 1000 + EPOCH_OFFSET_MS;
}

static uint32_t read_int32(const char *at)
{
	uint32_t wire;

	memcpy(&wire, at, sizeof(wire));
	return be32toh(wire);
}

#define ARRAY_HEAD_BYTES (5 * sizeof(uint32_t))

/* Where an array's elements begin, and how many there are; the form is written in store/parameters.c. */
static const char *open_array(const PGresult *result, int row, int column, size_t *ret_count)
{
	const char *at = PQgetvalue(result, row, column);
	size_t size = (size_t)PQgetlength(result, row, column);

	*ret_count = size < ARRAY_HEAD_BYTES || read_int32(at) != 1 ? 0 : read_int32(at + 12);
	return at + ARRAY_HEAD_BYTES;
}

static void *get(struct arena *arena, size_t size)
{
	void *memory = arena_get(arena, size);

	must(memory != NULL);
	return memory;
}

/* The strings are laid behind the pointers to them. */
const char **row_texts(const PGresult *result, int row, int column, struct arena *arena,
                       size_t *ret_count)
{
	const char *at = open_array(result, row, column, ret_count);
	const char **texts;
	char *copy;

	if (!*ret_count)
		return NULL;
	texts = get(arena,
	            *ret_count * (sizeof(char *) + 1) + (size_t)PQgetlength(result, row, column));
	copy = (char *)(texts + *ret_count);
	for (size_t i = 0; i < *ret_count; i++) {
		uint32_t length = read_int32(at);

		texts[i] = copy;
		memcpy(copy, at + sizeof(uint32_t), length);
		copy[length] = '\0';
		copy += length + 1;
		at += sizeof(uint32_t) + length;
	}
	return texts;
}

int64_t *row_bigints(const PGresult *result, int row, int column, struct arena *arena,
                     size_t *ret_count)
{
	const char *at = open_array(result, row, column, ret_count);
	int64_t *numbers = *ret_count ? get(arena, *ret_count * sizeof(*numbers)) : NULL;

	for (size_t i = 0; i < *ret_count; i++) {
		uint64_t wire;

		memcpy(&wire, at + sizeof(uint32_t), sizeof(wire));
		numbers[i] = (int64_t)be64toh(wire);
		at += sizeof(uint32_t) + sizeof(wire);
	}
	return numbers;
}
