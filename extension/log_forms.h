/*
 * Forms in which chat.read_log gives the events of a row of the log.
 *
 * For clients a message of /api/broadcast:
 *   {"topic":"…","event":"…","payload":…,"private":true,"id":"…"}
 *
 * For webhooks there are only the events that webhooks get. In place of the topic stands the
 * owner (empty: nobody knows), before the message and not in it; the name is the webhooks', and the message their body:
 *   {"id":"evt_…","type":"…","event":"…","timestamp":"…","data":…}
 * What is stored for later, and what is shown of an attempt, has its body by chat.hook_body, which makes it in the same place.
 * A conversation that is closed is an event more, with the id of the one that said so, flag 2 and "evt_…_closed" in it.
 *
 * For Socket.IO there are only the events that its server has, of users who are served by it (log_packets.h). The topic stands
 * before the message and not in it; the name is the server's, and the message what a broadcast of its adapter has as data:
 *   {"packet":{"type":2,"data":["…",{"eventId":"…",…}]},"opts":{"rooms":["…"],"except":[…],"flags":{}}}
 */
#ifndef CHAT_LOG_FORMS_H
#define CHAT_LOG_FORMS_H

#include "postgres.h"

#include "log_answer.h"
#include "log_scan.h"

typedef enum ChatLogForm
{
	CHAT_FORM_PRIVATE, /* messages to private topics */
	CHAT_FORM_PUBLIC,  /* to public ones */
	CHAT_FORM_WEBHOOK,
	CHAT_FORM_PACKET /* of Socket.IO */
} ChatLogForm;

/* Puts the events of a row with ids above beyond and up to up_to; answers the id of its last event, wanted or not. */
extern int64 chat_log_put(ChatLogAnswer *answer, ChatLogForm form, const ChatLogRow *row,
						  int64 beyond, int64 up_to);

#endif
