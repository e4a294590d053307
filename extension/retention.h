/*
 * How long things are kept: settings that only chat.maintain reads.
 */
#ifndef CHAT_RETENTION_H
#define CHAT_RETENTION_H

extern void chat_retention_init(void);

#endif
