/*
 * Descriptors.
 */
#ifndef SIDECAR_FILES_H
#define SIDECAR_FILES_H

/* Raises the limit of descriptors as far as the system lets us, up to a number; answers how many this process may have. */
int files_raise_limit(void);

#endif
