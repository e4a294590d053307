/*
 * Questions in turns: order of each who asks, one after the other of all, and bounds that the one with most feels.
 */
#include <stdio.h>
#include <stdlib.h>

#include "../../sidecar/endpoint/questions.h"
#include "require.h"

struct asked
{
	struct question question;
	char who;
	int number;
};

static struct asked *
add(struct questions *questions, char who, int number, size_t bytes)
{
	struct asked *asked = calloc(1, sizeof(*asked));
	char name[2] = {who, '\0'};

	asked->who = who;
	asked->number = number;
	asked->question.bytes = bytes;
	return (struct asked *) questions_add(questions, name, &asked->question);
}

/* Whether there is room for so many. */
static int
fits(struct questions *questions, char who, int count)
{
	int n = 0;

	while (n < count && add(questions, who, n, 1) == NULL)
		n++;
	return n == count;
}

static int
next_is(struct questions *questions, char who, int number)
{
	struct asked *asked = (struct asked *) questions_next(questions);
	int is = asked != NULL && asked->who == who && asked->number == number;

	free(asked);
	return is;
}

static void
empty(struct questions *questions)
{
	void *asked;

	while ((asked = questions_next(questions)) != NULL)
		free(asked);
	require("nothing is kept of who asks nothing",
			questions->askers.count == 0 && questions->waiting == 0 && questions->bytes == 0);
}

static void
check_turns(struct questions *questions)
{
	require("nobody asks", questions_next(questions) == NULL);
	require("there is room", fits(questions, 'a', 3));
	require("for another one", fits(questions, 'b', 2));
	require("the first of the first", next_is(questions, 'a', 0));
	require("then the other one's", next_is(questions, 'b', 0));
	require("a third who comes now", add(questions, 'c', 0, 1) == NULL);
	require("waits for those before", next_is(questions, 'a', 1) && next_is(questions, 'b', 1));
	require("and has its turn", next_is(questions, 'c', 0) && next_is(questions, 'a', 2));
	empty(questions);
}

static void
check_number(struct questions *questions)
{
	struct asked *left_out;

	require("of one", fits(questions, 'a', QUESTIONS_OF_ONE));
	left_out = add(questions, 'a', QUESTIONS_OF_ONE, 1);
	require("no more of one", left_out != NULL && left_out->number == QUESTIONS_OF_ONE);
	free(left_out);
	for (int who = 1; who < QUESTIONS / QUESTIONS_OF_ONE; who++)
		require("of all", fits(questions, (char) ('a' + who), QUESTIONS_OF_ONE));
	left_out = add(questions, 'z', 0, 1);
	require("one more: who has most gives its last way",
			left_out != NULL && left_out->who != 'z' && left_out->number == QUESTIONS_OF_ONE - 1);
	free(left_out);
	require("no more than there may be", questions->waiting == QUESTIONS);
	empty(questions);
}

static void
check_bytes(struct questions *questions)
{
	struct asked *left_out;

	require("much of one", add(questions, 'a', 0, 8) == NULL && add(questions, 'a', 1, 8) == NULL);
	left_out = add(questions, 'b', 0, QUESTIONS_BYTES);
	require("too many bytes", left_out != NULL && left_out->who == 'a' && left_out->number == 1);
	free(left_out);
	empty(questions);
}

int
main(void)
{
	struct questions questions;

	questions_init(&questions);
	check_turns(&questions);
	check_number(&questions);
	check_bytes(&questions);
	questions_clear(&questions);
	return 0;
}
