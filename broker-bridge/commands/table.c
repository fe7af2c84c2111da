#include "commands/command.h"

#define ROW(KIND, name)                                                                            \
	{                                                                                          \
		MARTLET__V1__CLIENT_FRAME__COMMAND_##KIND, #name, command_##name                   \
	}

static const struct command_row rows[] = {
	ROW(HELLO, hello),
	ROW(PING, ping),
	ROW(REFRESH_TOKEN, refresh_token),
	ROW(SEND_MESSAGE, send_message),
	ROW(GET_HISTORY, get_history),
	ROW(LIST_CONVERSATIONS, list_conversations),
	ROW(OPEN_DIRECT, open_direct),
	ROW(CREATE_GROUP, create_group),
	ROW(SET_TYPING, set_typing),
	ROW(WATCH_PRESENCE, watch_presence),
	ROW(UNWATCH_PRESENCE, unwatch_presence),
	ROW(SET_PRESENCE, set_presence),
	ROW(BLOCK_USER, block_user),
	ROW(UNBLOCK_USER, unblock_user),
	ROW(LIST_BLOCKED, list_blocked),
};

const struct command_row *command_find(Martlet__V1__ClientFrame__CommandCase kind)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].kind == kind)
			return &rows[i];
	}
	return NULL;
}
