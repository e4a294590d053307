/*
 * Taking turns: a tree in which every node has a ring of those of its children that want a turn. A node is in a ring
 * exactly while it wants one: a leaf when it says so, any other as long as its own ring is not empty. No I/O.
 *
 * Who takes turns embeds a struct turn; all zero with its home set it is ready for use. A root has no home.
 */
#ifndef SIDECAR_TURNS_H
#define SIDECAR_TURNS_H

struct turn
{
	struct turn *home; /* whose ring it takes its turns in */
	struct turn *ring; /* where it stands now; NULL: it wants no turn */
	struct turn *before, *after;
	struct turn *first, *last; /* of its own ring */
};

/* Lists a node at the end of its home's ring, and its home where that is the first one there. Nothing when it stands somewhere. */
void turn_list(struct turn *turn);
/* Takes a node out of where it stands, and what has an empty ring by that. Nothing when it stands nowhere. */
void turn_unlist(struct turn *turn);
/* It had its turn: the next one is the last of the ring. */
void turn_rotate(struct turn *turn);
/* Lets a listed node wait at the end of another ring, which wants no turn for it, until it is listed again. */
void turn_set_aside(struct turn *turn, struct turn *ring);
/* Lists a node that was set aside where it belongs. */
void turn_return(struct turn *turn);

#endif
