#include "store/store.h"

#include "base/memory.h"
#include "store/private.h"

#include <stdlib.h>

static struct connection *open_connection(const struct store_options *options, const char *purpose,
                                          const struct statement *statements, size_t count)
{
	return connection_create(&(struct connection_options){
		.loop = options->loop,
		.connection = options->connection,
		.purpose = purpose,
		.statements = statements,
		.statements_count = count,
		.wait_ms = options->wait_ms,
		.pending = options->query_pending,
	});
}

struct store *store_create(const struct store_options *options)
{
	struct store *store = memory_new(sizeof(*store));

	store->writer =
		open_connection(options, "martlet-write", writer_statements, WRITER_STATEMENTS);
	store->reader =
		open_connection(options, "martlet-read", reader_statements, READER_STATEMENTS);
	store->open_connections = 2;
	store->receipt_members = options->receipt_members;
	store->appends = appends_create(store, options);
	store->marks = marks_create(store, options);
	store->orders = orders_create(store, options);
	return store;
}

static void on_connection_closed(void *context)
{
	struct store *store = context;

	if (--store->open_connections)
		return;
	/* Whoever was answered meanwhile may have sent again. */
	appends_stop(store->appends);
	marks_stop(store->marks);
	orders_stop(store->orders);
	store->on_closed(store->closed_context);
	appends_destroy(store->appends);
	marks_destroy(store->marks);
	orders_destroy(store->orders);
	free(store);
}

void store_close(struct store *store, void (*on_closed)(void *context), void *context)
{
	store->on_closed = on_closed;
	store->closed_context = context;
	appends_stop(store->appends);
	marks_stop(store->marks);
	orders_stop(store->orders);
	connection_close(store->writer, on_connection_closed, store);
	connection_close(store->reader, on_connection_closed, store);
}

bool store_is_ready(const struct store *store)
{
	return connection_is_ready(store->writer) && connection_is_ready(store->reader);
}

void store_flush(struct store *store)
{
	appends_flush(store->appends);
	marks_flush(store->marks);
	orders_flush(store->orders);
}
