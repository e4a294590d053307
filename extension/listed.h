/*
 * What a list of conversations is to hold, as far as the text of its statement depends on it: a number, which names that text's
 * variant (statements.h).
 *
 * Each account of the owner's, then each agent that the user is, and each part of the list, is a query of its own, so their
 * number is in it.
 */
#ifndef CHAT_LISTED_H
#define CHAT_LISTED_H

#include "postgres.h"

#define CHAT_MAX_LISTED 0xffff /* accounts, and agents */

/* Whose conversations: of any agent, of none, or of one that a parameter names. */
typedef enum ChatAssigned
{
	CHAT_ASSIGNED_ANY,
	CHAT_ASSIGNED_NONE,
	CHAT_ASSIGNED_ONE
} ChatAssigned;

typedef enum ChatUnread
{
	CHAT_UNREAD_ANY,
	CHAT_UNREAD_SOME,
	CHAT_UNREAD_NONE
} ChatUnread;

/* What comes after a place in the list: all; what is after one that has a last message; after one that has none. */
typedef enum ChatAfter
{
	CHAT_AFTER_NOTHING,
	CHAT_AFTER_TIME,
	CHAT_AFTER_NO_TIME
} ChatAfter;

typedef struct ChatListed
{
	int accounts;
	int agents;
	bool status; /* of one that a parameter names */
	bool search; /* whose name or address is like a parameter */
	ChatAssigned assigned;
	ChatUnread unread;
	ChatAfter after;
} ChatListed;

static inline uint64
chat_listed_pack(const ChatListed *listed)
{
	return (uint64) listed->accounts | (uint64) listed->agents << 16 |
		   (uint64) listed->status << 32 | (uint64) listed->search << 33 |
		   (uint64) listed->assigned << 34 | (uint64) listed->unread << 36 |
		   (uint64) listed->after << 38;
}

static inline ChatListed
chat_listed_unpack(uint64 variant)
{
	ChatListed listed = {.accounts = variant & 0xffff,
						 .agents = variant >> 16 & 0xffff,
						 .status = variant >> 32 & 1,
						 .search = variant >> 33 & 1,
						 .assigned = variant >> 34 & 3,
						 .unread = variant >> 36 & 3,
						 .after = variant >> 38 & 3};

	return listed;
}

#endif
