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
	ROW(EDIT_MESSAGE, edit_message),
	ROW(REDACT_MESSAGE, redact_message),
	ROW(REACT, react),
	ROW(UNREACT, unreact),
	ROW(GET_HISTORY, get_history),
	ROW(LIST_CONVERSATIONS, list_conversations),
	ROW(GET_CONVERSATION, get_conversation),
	ROW(LIST_MEMBERS, list_members),
	ROW(MARK_DELIVERED, mark_delivered),
	ROW(MARK_READ, mark_read),
	ROW(GET_RECEIPTS, get_receipts),
	ROW(OPEN_DIRECT, open_direct),
	ROW(CREATE_GROUP, create_group),
	ROW(UPDATE_GROUP, update_group),
	ROW(ADD_MEMBERS, add_members),
	ROW(REMOVE_MEMBER, remove_member),
	ROW(LEAVE, leave),
	ROW(SET_ROLE, set_role),
	ROW(SET_MUTE, set_mute),
};

const struct command_row *command_find(Martlet__V1__ClientFrame__CommandCase kind)
{
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].kind == kind)
			return &rows[i];
	}
	return NULL;
}
