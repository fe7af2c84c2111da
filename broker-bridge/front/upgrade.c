#include "front/upgrade.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#define HEADER_BYTES 512

static const struct refusal good = {0};

static bool copy_header(struct lws *wsi, enum lws_token_indexes token, char ret_text[HEADER_BYTES])
{
	return lws_hdr_copy(wsi, ret_text, HEADER_BYTES, token) > 0;
}

static bool is_allowed_origin(const char *origin, const char *const *origins)
{
	for (; *origins; origins++) {
		if (strcmp(*origins, "*") == 0 || strcasecmp(*origins, origin) == 0)
			return true;
	}
	return false;
}

/* `list` is comma separated, as the client offers it. */
static bool offers_protocol(char *list)
{
	char *rest = list;
	char *item;

	while ((item = strtok_r(rest, ", \t", &rest))) {
		if (strcmp(item, UPGRADE_PROTOCOL) == 0)
			return true;
	}
	return false;
}

struct refusal upgrade_judge(struct lws *wsi, const char *const *origins)
{
	char text[HEADER_BYTES];

	if (!copy_header(wsi, WSI_TOKEN_UPGRADE, text))
		return (struct refusal){426, COUNTER_UPGRADE_NOT_ASKED,
		                        "this address speaks WebSocket only"};
	if (strcasecmp(text, "websocket") != 0)
		return (struct refusal){400, COUNTER_UPGRADE_KIND,
		                        "the upgrade must be to websocket"};
	if (!copy_header(wsi, WSI_TOKEN_GET_URI, text) || strcmp(text, UPGRADE_PATH) != 0)
		return (struct refusal){404, COUNTER_UPGRADE_PATH,
		                        "the WebSocket is at GET " UPGRADE_PATH};
	if (!copy_header(wsi, WSI_TOKEN_VERSION, text) || strcmp(text, "13") != 0)
		return (struct refusal){426, COUNTER_UPGRADE_VERSION,
		                        "Sec-WebSocket-Version must be 13"};
	if (!copy_header(wsi, WSI_TOKEN_PROTOCOL, text) || !offers_protocol(text))
		return (struct refusal){400, COUNTER_UPGRADE_SUBPROTOCOL,
		                        "Sec-WebSocket-Protocol must offer " UPGRADE_PROTOCOL};
	if (lws_hdr_total_length(wsi, WSI_TOKEN_ORIGIN) &&
	    (!copy_header(wsi, WSI_TOKEN_ORIGIN, text) || !is_allowed_origin(text, origins)))
		return (struct refusal){403, COUNTER_UPGRADE_ORIGIN,
		                        "the Origin is not allowed here"};
	return good;
}
