/*
 * Who gets the events of a read of the log, asked of the database after it: an endpoint that was changed or turned off before an
 * event was written is known as it was then, or later. No event waits for more than the one answer.
 */
#ifndef SIDECAR_WEBHOOK_TERMS_H
#define SIDECAR_WEBHOOK_TERMS_H

struct load;
struct webhook;

/* The lease was obtained: asks which events may have been delivered before. To be called before anything is read. */
void webhook_terms_begin(struct webhook *webhook);
/* Asks who gets the events of a load, and makes their messages when the answer is there. */
void webhook_terms_ask(struct webhook *webhook, struct load *load);

#endif
