/*
 * What the files of the configuration share: config.c reads settings, config_check.c says whether they make sense,
 * config_names.c finds variables that look like one of ours.
 */
#ifndef SIDECAR_CONFIG_INTERNAL_H
#define SIDECAR_CONFIG_INTERNAL_H

#include <stdbool.h>

#include "config.h"

#define SECRET_MIN 32

/*
 * Prints what is wrong with a setting and ends with 2. Values must not get here where they may hold a secret, be it by
 * mistake: those of files' names and of DATABASE_URL never.
 */
void config_fail(const char *name, const char *format, ...)
	__attribute__((noreturn, format(printf, 2, 3)));

/* Ends the process where the settings cannot work, by themselves or together. */
void config_check(struct config *config);

/* What is wrong with a value of REALTIME_KEY, EMBEDDED_JWT_SECRET or of CONSOLE_TOKEN_FILE, or NULL; static. */
const char *config_key_fault(const char *key);
const char *config_secret_fault(const char *secret);
const char *config_token_fault(const char *token);

/* The setting whose name a variable that is none of them resembles, or NULL. */
const char *config_resembles(const char *variable, const char *const *names, int count);

#endif
