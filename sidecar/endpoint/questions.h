/*
 * Questions to the database that wait, in turns of those who ask: who asks without end waits for itself alone. Bounded in
 * number of one and of all, and in bytes; where there is no room the one who has most waiting gives way. No I/O.
 */
#ifndef SIDECAR_ENDPOINT_QUESTIONS_H
#define SIDECAR_ENDPOINT_QUESTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/table.h"
#include "base/turns.h"

#define QUESTIONS_OF_ONE 400
#define QUESTIONS 4000
#define QUESTIONS_BYTES (8 * 1024 * 1024)

struct asker;

/* Embedded by the caller's struct, which is found from it by being its first member. */
struct question
{
	struct question *next;
	struct asker *asker;
	size_t bytes; /* that it keeps */
};

struct questions
{
	struct table askers; /* who has one at least */
	struct turn turns;
	uint32_t waiting;
	size_t bytes;
};

void questions_init(struct questions *questions);
/* There must be none left. */
void questions_clear(struct questions *questions);
/* Puts one at the end of what somebody asks. Answers the one that there is no room for, this or another; NULL: there is. */
struct question *
questions_add(struct questions *questions, const char *who, struct question *question);
/* Takes the next one out; NULL: none waits. */
struct question *questions_next(struct questions *questions);

#endif
