/*
 * Addresses of contacts.
 */
#ifndef CHAT_WUZAPI_ADDRESS_H
#define CHAT_WUZAPI_ADDRESS_H

#include "postgres.h"

/* As what one address may be stored, at most. */
#define CHAT_MAX_SPELLINGS 104

/* A contact's address in its one form, or NULL when the text is none: blanks around it do not count. */
extern char *chat_contact_one_form(const char *text, int length);

/*
 * Fills in as what an address, given in its one form, may be stored, and returns how many there are; devices: also with one of the
 * devices 1 to 99. Texts are in the current memory context.
 */
extern int chat_contact_spell(const char *address, bool devices, Datum *texts);
/* The other number, in the same form, that is the same contact by chat_realtime.phone_rules; NULL when there is none. */
extern char *chat_contact_other_number(const char *address);

#endif
