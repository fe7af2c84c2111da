/* parameters - the arguments of one statement, in PostgreSQL's binary form.
 *
 * Added in the order of the statement's $1, $2 and so on.
 *
 * Owns:     a copy of every value.
 * Lifetime: parameters_init to parameters_done, in the caller's memory.
 * Fails:    never; what is added was bounded before (see model/limits.h).
 */
#ifndef MARTLET_STORE_PARAMETERS_H
#define MARTLET_STORE_PARAMETERS_H

#include "base/buffer.h"
#include "model/id.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PARAMETERS_MOST 10

struct parameters {
	struct buffer bytes;
	size_t starts[PARAMETERS_MOST];
	int lengths[PARAMETERS_MOST]; /* -1 for null */
	int count;
};

void parameters_init(struct parameters *parameters);
void parameters_done(struct parameters *parameters);

void parameters_add_text(struct parameters *parameters, const char *text);
void parameters_add_bigint(struct parameters *parameters, int64_t number);
void parameters_add_integer(struct parameters *parameters, int32_t number);
void parameters_add_boolean(struct parameters *parameters, bool is_true);
void parameters_add_bytes(struct parameters *parameters, const uint8_t *bytes, size_t size);
void parameters_add_null(struct parameters *parameters);
void parameters_add_uuid(struct parameters *parameters, const struct uuid *uuid);

/* An array: begun, then given its elements, then ended. */
enum parameter_element {
	ELEMENT_BOOLEAN = 16,
	ELEMENT_BYTEA = 17,
	ELEMENT_BIGINT = 20,
	ELEMENT_TEXT = 25,
	ELEMENT_UUID = 2950
};

void parameters_begin_array(struct parameters *parameters, enum parameter_element element,
                            size_t count);
void parameters_add_element(struct parameters *parameters, const void *bytes, size_t size);
void parameters_add_bigint_element(struct parameters *parameters, int64_t number);
void parameters_end_array(struct parameters *parameters);

/* Whole arrays. */
void parameters_add_uuids(struct parameters *parameters, const struct uuid *ids, size_t count);
void parameters_add_users(struct parameters *parameters, const struct user_id *users, size_t count);

#endif
