/* What the HTTP servers (peers/http_*, lariat/http.c) share: what they answer. A server is started and found as those of net.h
 * are, and loaded by http_load.py, which says what is measured. */
#ifndef LARIAT_BENCH_HTTP_H
#define LARIAT_BENCH_HTTP_H
#include "net.h"

#define HELLO "Hello, World!"
#define HELLO_TYPE "text/plain"

#endif
