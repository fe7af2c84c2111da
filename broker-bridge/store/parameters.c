#include "store/parameters.h"

#include "base/must.h"

#include <endian.h>
#include <string.h>

/* A batch of 64 sends of the largest body, or a group of 100,000 members, and room to spare. */
#define MOST_BYTES (64u * 1024 * 1024)

void parameters_init(struct parameters *parameters)
{
	*parameters = (struct parameters){.count = 0};
	buffer_init(&parameters->bytes, MOST_BYTES);
}

void parameters_done(struct parameters *parameters)
{
	buffer_done(&parameters->bytes);
}

static void append(struct parameters *parameters, const void *bytes, size_t size)
{
	must(buffer_append(&parameters->bytes, bytes, size));
}

static void append_int32(struct parameters *parameters, int32_t number)
{
	uint32_t wire = htobe32((uint32_t)number);

	append(parameters, &wire, sizeof(wire));
}

static void begin(struct parameters *parameters)
{
	must(parameters->count < PARAMETERS_MOST);
	parameters->starts[parameters->count] = parameters->bytes.size;
}

static void end(struct parameters *parameters)
{
	size_t start = parameters->starts[parameters->count];

	parameters->lengths[parameters->count] = (int)(parameters->bytes.size - start);
	parameters->count++;
}

void parameters_add_text(struct parameters *parameters, const char *text)
{
	begin(parameters);
	append(parameters, text, strlen(text));
	end(parameters);
}

void parameters_add_bigint(struct parameters *parameters, int64_t number)
{
	uint64_t wire = htobe64((uint64_t)number);

	begin(parameters);
	append(parameters, &wire, sizeof(wire));
	end(parameters);
}

void parameters_add_integer(struct parameters *parameters, int32_t number)
{
	begin(parameters);
	append_int32(parameters, number);
	end(parameters);
}

void parameters_add_boolean(struct parameters *parameters, bool is_true)
{
	const uint8_t wire = is_true;

	parameters_add_bytes(parameters, &wire, sizeof(wire));
}

void parameters_add_bytes(struct parameters *parameters, const uint8_t *bytes, size_t size)
{
	begin(parameters);
	append(parameters, bytes, size);
	end(parameters);
}

void parameters_add_null(struct parameters *parameters)
{
	begin(parameters);
	parameters->lengths[parameters->count++] = -1;
}

void parameters_add_uuid(struct parameters *parameters, const struct uuid *uuid)
{
	begin(parameters);
	append(parameters, uuid->bytes, sizeof(uuid->bytes));
	end(parameters);
}

void parameters_begin_array(struct parameters *parameters, enum parameter_element element,
                            size_t count)
{
	begin(parameters);
	append_int32(parameters, count ? 1 : 0); /* dimensions; an empty array has none */
	append_int32(parameters, 0);             /* no nulls */
	append_int32(parameters, (int32_t)element);
	if (count) {
		append_int32(parameters, (int32_t)count);
		append_int32(parameters, 1); /* the first index */
	}
}

void parameters_add_element(struct parameters *parameters, const void *bytes, size_t size)
{
	append_int32(parameters, (int32_t)size);
	append(parameters, bytes, size);
}

void parameters_add_bigint_element(struct parameters *parameters, int64_t number)
{
	uint64_t wire = htobe64((uint64_t)number);

	parameters_add_element(parameters, &wire, sizeof(wire));
}

void parameters_end_array(struct parameters *parameters)
{
	end(parameters);
}

void parameters_add_uuids(struct parameters *parameters, const struct uuid *ids, size_t count)
{
	parameters_begin_array(parameters, ELEMENT_UUID, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_element(parameters, ids[i].bytes, sizeof(ids[i].bytes));
	parameters_end_array(parameters);
}

void parameters_add_users(struct parameters *parameters, const struct user_id *users, size_t count)
{
	parameters_begin_array(parameters, ELEMENT_TEXT, count);
	for (size_t i = 0; i < count; i++)
		parameters_add_element(parameters, users[i].text, strlen(users[i].text));
	parameters_end_array(parameters);
}
