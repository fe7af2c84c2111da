#include "front/admission.h"

#include "base/memory.h"
#include "base/must.h"

#include <stdlib.h>

struct admission {
	struct admission_options options;
	struct address_range *proxies;
	size_t proxies_count;

	struct addresses *addresses;
	size_t under_way;
};

static bool read_proxies(struct admission *admission, const char *const *texts,
                         struct outcome *ret_outcome)
{
	size_t count = 0;

	while (texts[count])
		count++;
	admission->proxies = memory_new_array(count + 1, sizeof(struct address_range));
	for (; *texts; texts++) {
		if (!address_range_from_text(*texts,
		                             &admission->proxies[admission->proxies_count++])) {
			*ret_outcome = outcome_refuse(OUTCOME_INVALID_ARGUMENT,
			                              "trusted_proxies: %s is no address or range",
			                              *texts);
			return false;
		}
	}
	return true;
}

struct admission *admission_create(const struct admission_options *options,
                                   struct outcome *ret_outcome)
{
	struct admission *admission = memory_new(sizeof(*admission));

	admission->options = *options;
	admission->addresses = addresses_create();
	if (read_proxies(admission, options->trusted_proxies, ret_outcome))
		return admission;
	admission_destroy(admission);
	return NULL;
}

void admission_destroy(struct admission *admission)
{
	if (!admission)
		return;
	must(!admission->under_way);
	addresses_destroy(admission->addresses);
	free(admission->proxies);
	free(admission);
}

static bool is_proxy(const struct admission *admission, const struct address *address)
{
	for (size_t i = 0; i < admission->proxies_count; i++) {
		if (address_is_in(address, &admission->proxies[i]))
			return true;
	}
	return false;
}

static void count(struct admission *admission, struct visitor *visitor)
{
	visitor->is_counted = true;
	visitor->is_too_many = addresses_enter(admission->addresses, &visitor->address) >
	                       admission->options.connections_of_address;
}

bool admission_enter(struct admission *admission, struct visitor *visitor,
                     const struct sockaddr *peer)
{
	const uint64_t most = admission->options.connections_of_address;
	bool has_address = address_of_socket(peer, &visitor->address);

	visitor->is_proxied = has_address && is_proxy(admission, &visitor->address);
	if (most && has_address && !visitor->is_proxied) {
		if (addresses_count(admission->addresses, &visitor->address) >= 2 * most)
			return false;
		count(admission, visitor);
	}
	visitor->is_under_way = true;
	if (++admission->under_way == admission->options.handshakes)
		admission->options.on_full(admission->options.context, true);
	return true;
}

enum admission_answer admission_ask(struct admission *admission, struct visitor *visitor,
                                    const char *forwarded)
{
	/* Without the header it is the proxy itself that asks. */
	if (visitor->is_proxied && forwarded && admission->options.connections_of_address) {
		must(!visitor->is_counted);
		if (!address_of_forwarded(forwarded, &visitor->address))
			return ADMISSION_NO_ADDRESS;
		count(admission, visitor);
	}
	return visitor->is_too_many ? ADMISSION_TOO_MANY : ADMISSION_GOOD;
}

static void end_handshake(struct admission *admission, struct visitor *visitor)
{
	if (!visitor->is_under_way)
		return;
	visitor->is_under_way = false;
	if (admission->under_way-- == admission->options.handshakes)
		admission->options.on_full(admission->options.context, false);
}

void admission_settle(struct admission *admission, struct visitor *visitor)
{
	end_handshake(admission, visitor);
}

void admission_leave(struct admission *admission, struct visitor *visitor)
{
	end_handshake(admission, visitor);
	if (visitor->is_counted)
		addresses_leave(admission->addresses, &visitor->address);
	visitor->is_counted = false;
}

size_t admission_under_way(const struct admission *admission)
{
	return admission->under_way;
}
