/*
 * Names that are nearly ours: at most two letters put in, left out or exchanged.
 */
#include <stdlib.h>
#include <string.h>

#include "config_internal.h"

#define NEAR 2
#define NAME_MAX_LEN 64

/* How many letters differ (Levenshtein's distance); anything above NEAR where it is surely more. */
static int
distance(const char *a, const char *b)
{
	size_t len_a = strlen(a), len_b = strlen(b);
	int row[NAME_MAX_LEN + 1];

	if (len_a > NAME_MAX_LEN || len_b > NAME_MAX_LEN || labs((long) len_a - (long) len_b) > NEAR)
		return NEAR + 1;
	for (size_t j = 0; j <= len_b; j++)
		row[j] = (int) j;
	for (size_t i = 1; i <= len_a; i++)
	{
		int diagonal = row[0];

		row[0] = (int) i;
		for (size_t j = 1; j <= len_b; j++)
		{
			int above = row[j];
			int best = diagonal + (a[i - 1] != b[j - 1]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = above;
			row[j] = best;
		}
	}
	return row[len_b];
}

const char *
config_resembles(const char *variable, const char *const *names, int count)
{
	const char *nearest = NULL;
	int least = NEAR + 1;

	for (int i = 0; i < count && least > 0; i++)
	{
		int d = distance(variable, names[i]);

		if (d < least)
		{
			least = d;
			nearest = names[i];
		}
	}
	return least > 0 ? nearest : NULL;
}
