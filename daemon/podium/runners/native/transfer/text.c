/* Strings, time and the one way out. Called by all the others. */
#include "transfer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void (*last_words)(const char *what, const char *about);

void die(int status, const char *what, const char *about) {
    void (*say)(const char *, const char *) = last_words;
    last_words = NULL;
    if (say && (status == EXIT_SYSTEM || status == EXIT_REFUSED)) say(what, about);
    fprintf(stderr, "podium-transfer: %s%s%s\n", what, about ? ": " : "", about ? about : "");
    exit(status);
}

static void make_room(struct text *text, size_t more) {
    if (text->size + more + 1 <= text->room) return;
    text->room = (text->size + more + 1) * 2;
    text->bytes = realloc(text->bytes, text->room);
    if (!text->bytes) die(EXIT_SYSTEM, "out of memory", NULL);
}

void add(struct text *text, const void *bytes, size_t size) {
    make_room(text, size);
    if (size) memcpy(text->bytes + text->size, bytes, size);
    text->size += size;
    text->bytes[text->size] = 0;
}

void add_format(struct text *text, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    make_room(text, (size_t)size);
    va_start(arguments, format);
    vsnprintf(text->bytes + text->size, (size_t)size + 1, format, arguments);
    va_end(arguments);
    text->size += (size_t)size;
}

void clear(struct text *text) {
    text->size = 0;
    if (text->bytes) text->bytes[0] = 0;
}

double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

void sleep_s(double how_long) {
    struct timespec rest = {(time_t)how_long, (long)((how_long - (double)(time_t)how_long) * 1e9)};
    nanosleep(&rest, NULL); /* a signal may cut it short: whoever calls looks again */
}
