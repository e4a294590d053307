/*
 * Where a page of the health port is asked for by this machine. No I/O.
 */
#ifndef SIDECAR_PAGE_URL_H
#define SIDECAR_PAGE_URL_H

/* listen: a value of HTTP_LISTEN; an address that stands for all is asked at the nearest. Malloc'ed. */
char *page_url(const char *listen, const char *path);

#endif
