#include "commands/command.h"

#define ROW(KIND, name)                                                                            \
	{                                                                                          \
		MARTLET__V1__CLIENT_FRAME__COMMAND_##KIND, #name, false, NULL, command_##name      \
	}
#define WRITE(KIND, name)                                                                          \
	{                                                                                          \
		MARTLET__V1__CLIENT_FRAME__COMMAND_##KIND, #name, true, NULL, command_##name       \
	}
#define SESSION(KIND, name, text)                                                                  \
	{                                                                                          \
		MARTLET__V1__CLIENT_FRAME__COMMAND_##KIND, #name, false, text, command_##name      \
	}

static const struct command_row rows[] = {
	SESSION(HELLO, hello, "there is no session to begin here; give your command at once"),
	ROW(PING, ping),
	SESSION(REFRESH_TOKEN, refresh_token,
                "there is no session here that a token keeps; connect again with the new one"),
	WRITE(SEND_MESSAGE, send_message),
	WRITE(EDIT_MESSAGE, edit_message),
	WRITE(REDACT_MESSAGE, redact_message),
	WRITE(REACT, react),
	WRITE(UNREACT, unreact),
	ROW(GET_HISTORY, get_history),
	ROW(LIST_CONVERSATIONS, list_conversations),
	ROW(GET_CONVERSATION, get_conversation),
	ROW(LIST_MEMBERS, list_members),
	ROW(MARK_DELIVERED, mark_delivered),
	ROW(MARK_READ, mark_read),
	ROW(GET_RECEIPTS, get_receipts),
	WRITE(OPEN_DIRECT, open_direct),
	WRITE(CREATE_GROUP, create_group),
	WRITE(UPDATE_GROUP, update_group),
	WRITE(ADD_MEMBERS, add_members),
	WRITE(REMOVE_MEMBER, remove_member),
	WRITE(LEAVE, leave),
	WRITE(SET_ROLE, set_role),
	ROW(SET_MUTE, set_mute),
	ROW(SET_TYPING, set_typing),
	SESSION(WATCH_PRESENCE, watch_presence,
                "presence is told to sessions, and you have none here; open a WebSocket"),
	SESSION(UNWATCH_PRESENCE, unwatch_presence,
                "presence is told to sessions, and you have none here; open a WebSocket"),
	SESSION(SET_PRESENCE, set_presence,
                "presence is what sessions say, and you have none here; open a WebSocket"),
	ROW(LIST_NOTIFICATIONS, list_notifications),
	ROW(ACK_NOTIFICATIONS, ack_notifications),
	ROW(NOTIFY, notify),
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
