/* rows - values out of a result in PostgreSQL's binary form. What is returned as a pointer lies in the
 * result and lives as long as it. A null reads as 0, "" or nil.
 */
#ifndef MARTLET_STORE_ROWS_H
#define MARTLET_STORE_ROWS_H

#include "base/arena.h"
#include "model/id.h"

#include <libpq-fe.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

int64_t row_bigint(const PGresult *result, int row, int column);
int32_t row_integer(const PGresult *result, int row, int column);
int16_t row_smallint(const PGresult *result, int row, int column);
bool row_boolean(const PGresult *result, int row, int column);
struct uuid row_uuid(const PGresult *result, int row, int column);
const char *row_text(const PGresult *result, int row, int column);
const uint8_t *row_bytes(const PGresult *result, int row, int column, size_t *ret_size);

/* A timestamptz as milliseconds since 1970. */
int64_t row_time_ms(const PGresult *result, int row, int column);

/* The elements of a text[] or a bigint[], in the arena; NULL if there are none. */
const char **row_texts(const PGresult *result, int row, int column, struct arena *arena,
                       size_t *ret_count);
int64_t *row_bigints(const PGresult *result, int row, int column, struct arena *arena,
                     size_t *ret_count);

#endif
