/*
 * See questions.h.
 */
#include "endpoint/questions.h"

#include <stdlib.h>

#include "base/memory.h"

struct asker
{
	struct entry entry; /* key: who */
	struct turn turn;
	struct question *first, *last;
	uint32_t waiting;
};

void
questions_init(struct questions *questions)
{
	*questions = (struct questions){.waiting = 0};
	table_init(&questions->askers);
}

static void
forget(struct entry *entry)
{
	free(entry);
}

void
questions_clear(struct questions *questions)
{
	table_clear(&questions->askers, forget);
}

static struct asker *
asker_of_turn(struct turn *turn)
{
	return (struct asker *) ((char *) turn - offsetof(struct asker, turn));
}

static struct asker *
find_or_make(struct questions *questions, const char *who)
{
	struct asker *asker = (struct asker *) table_find(&questions->askers, who);

	if (asker != NULL)
		return asker;
	asker = xcalloc(1, sizeof(*asker));
	asker->turn.home = &questions->turns;
	table_add(&questions->askers, &asker->entry, who);
	return asker;
}

static void
append(struct questions *questions, struct asker *asker, struct question *question)
{
	question->asker = asker;
	question->next = NULL;
	if (asker->last != NULL)
		asker->last->next = question;
	else
		asker->first = question;
	asker->last = question;
	asker->waiting++;
	questions->waiting++;
	questions->bytes += question->bytes;
	turn_list(&asker->turn);
}

/* An asker with nothing to ask goes. */
static void
note_taken(struct questions *questions, struct asker *asker, const struct question *question)
{
	asker->waiting--;
	questions->waiting--;
	questions->bytes -= question->bytes;
	if (asker->waiting > 0)
		return;
	turn_unlist(&asker->turn);
	table_remove(&questions->askers, &asker->entry);
	free(asker);
}

static struct question *
take_first(struct questions *questions, struct asker *asker)
{
	struct question *question = asker->first;

	asker->first = question->next;
	if (asker->first == NULL)
		asker->last = NULL;
	note_taken(questions, asker, question);
	return question;
}

static struct question *
take_last(struct questions *questions, struct asker *asker)
{
	struct question *question = asker->last, *before = asker->first;

	if (before == question)
		return take_first(questions, asker);
	while (before->next != question)
		before = before->next;
	before->next = NULL;
	asker->last = before;
	note_taken(questions, asker, question);
	return question;
}

static void
compare(void *arg, struct entry *entry)
{
	struct asker **most = arg, *asker = (struct asker *) entry;

	if (*most == NULL || asker->waiting > (*most)->waiting)
		*most = asker;
}

struct question *
questions_add(struct questions *questions, const char *who, struct question *question)
{
	struct asker *asker = find_or_make(questions, who), *most = NULL;

	append(questions, asker, question);
	if (asker->waiting > QUESTIONS_OF_ONE)
		return take_last(questions, asker);
	if (questions->waiting <= QUESTIONS && questions->bytes <= QUESTIONS_BYTES)
		return NULL;
	table_each(&questions->askers, compare, &most);
	return take_last(questions, most);
}

struct question *
questions_next(struct questions *questions)
{
	struct turn *turn = questions->turns.first;

	if (turn == NULL)
		return NULL;
	turn_rotate(turn);
	return take_first(questions, asker_of_turn(turn));
}
