/* One request to the daemon at a time, each with a connection of its own. What always holds: an answer counts only when all of it came. */
#include "transfer.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#define HEAD_BYTES_MAX 16384
#define REFUSAL_BYTES_MAX 4096

static char host[256], port[8] = "80", base[1024], bearer[256];

void http_address(const char *url, const char *token) {
    if (strncmp(url, "http://", 7) != 0) die(EXIT_USAGE, "not an http:// address", url);
    const char *name = url + 7, *path = strchr(name, '/');
    if (!path) path = name + strlen(name);
    const char *end = path;
    if (*name == '[') { /* an address of IPv6 */
        const char *close = memchr(name, ']', (size_t)(path - name));
        if (!close) die(EXIT_USAGE, "not an address", url);
        if (close[1] == ':') snprintf(port, sizeof port, "%.*s", (int)(path - close - 2), close + 2);
        name++, end = close;
    } else {
        const char *colon = memchr(name, ':', (size_t)(path - name));
        if (colon) snprintf(port, sizeof port, "%.*s", (int)(path - colon - 1), colon + 1), end = colon;
    }
    if ((size_t)(end - name) >= sizeof host || strlen(path) >= sizeof base || strlen(token) >= sizeof bearer) die(EXIT_USAGE, "too long", url);
    snprintf(host, sizeof host, "%.*s", (int)(end - name), name);
    snprintf(base, sizeof base, "%s", path);
    snprintf(bearer, sizeof bearer, "%s", token);
}

static int open_connection(int wait_s) {
    struct addrinfo wanted = {.ai_socktype = SOCK_STREAM}, *found = NULL;
    if (getaddrinfo(host, port, &wanted, &found) != 0) return -1;
    int connection = -1;
    for (struct addrinfo *each = found; each && connection < 0; each = each->ai_next) {
        connection = socket(each->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (connection < 0) continue;
        struct timeval limit = {wait_s, 0}, connecting = {wait_s < 10 ? wait_s : 10, 0};
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
        setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &connecting, sizeof connecting);
        if (connect(connection, each->ai_addr, each->ai_addrlen) != 0) {
            int reason = errno;
            close(connection);
            errno = reason;
            connection = -1;
            continue;
        }
        setsockopt(connection, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    }
    freeaddrinfo(found);
    return connection;
}

int write_all(int descriptor, const void *bytes, size_t size) {
    const char *at = bytes;
    while (size) {
        ssize_t done = write(descriptor, at, size);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return -1;
        at += done, size -= (size_t)done;
    }
    return 0;
}

static ssize_t receive(int connection, char *into, size_t size) {
    ssize_t got;
    do got = recv(connection, into, size, 0);
    while (got < 0 && errno == EINTR);
    return got;
}

/* Reads the answer; status, or -1 when it broke off. */
static int read_answer(int connection, const struct ask *ask) {
    char buffer[65536 + 1];
    size_t filled = 0;
    char *body = NULL;
    while (!body) {
        if (filled >= HEAD_BYTES_MAX) return -1;
        ssize_t got = receive(connection, buffer + filled, HEAD_BYTES_MAX - filled);
        if (got <= 0) return -1;
        filled += (size_t)got;
        buffer[filled] = 0;
        body = strstr(buffer, "\r\n\r\n");
    }
    int status = 0;
    if (sscanf(buffer, "HTTP/1.%*c %d", &status) != 1) return -1;
    int64_t left = -1; /* not known: to the end of the connection */
    for (char *line = strstr(buffer, "\r\n"); line && line < body; line = strstr(line + 2, "\r\n"))
        if (strncasecmp(line + 2, "content-length:", 15) == 0) left = strtoll(line + 17, NULL, 10);
    char *at = body + 4;
    size_t size = filled - (size_t)(at - buffer);
    for (;;) {
        if (left >= 0 && (int64_t)size > left) size = (size_t)left;
        if (status == 200 && ask->take && size && ask->take(at, size, ask->taken) != 0) return -1;
        if (status != 200 && ask->refusal && ask->refusal->size < REFUSAL_BYTES_MAX) add(ask->refusal, at, size);
        if (left >= 0) left -= (int64_t)size;
        if (left == 0) return status;
        ssize_t got = receive(connection, buffer, sizeof buffer - 1);
        if (got < 0 || (got == 0 && left > 0)) return -1;
        if (got == 0) return status;
        at = buffer, size = (size_t)got;
    }
}

int http_ask(const struct ask *ask) {
    int connection = open_connection(ask->wait_s);
    if (connection < 0) return -1;
    struct text head = {0};
    const char *brackets = strchr(host, ':') ? "[]" : "";
    add_format(
        &head, "%s %s%s HTTP/1.0\r\nHost: %.1s%s%s:%s\r\nAuthorization: Bearer %s\r\nContent-Type: application/octet-stream\r\n"
        "Content-Length: %llu\r\nConnection: close\r\n\r\n",
        ask->method, base, ask->path, brackets, host, *brackets ? brackets + 1 : "", port, bearer, (unsigned long long)ask->length
    );
    int status = write_all(connection, head.bytes, head.size);
    free(head.bytes);
    /* A daemon that refuses need not read the body: its answer counts even if that could not be written. */
    if (status == 0 && ask->send) (void)ask->send(connection, ask->sent);
    if (status == 0) status = read_answer(connection, ask);
    close(connection);
    return status;
}

volatile sig_atomic_t leaving;

int http_insist(const struct ask *ask, double at_most_s, void (*again)(void *about)) {
    double until = seconds() + at_most_s, pause = 0.2;
    for (int hurried = 0;;) {
        if (leaving && !hurried) { /* the engine waits for so long, then it kills */
            hurried = 1, pause = 0.2;
            if (until > seconds() + LEAVING_S) until = seconds() + LEAVING_S;
        }
        if (ask->refusal) clear(ask->refusal);
        int status = http_ask(ask);
        if (status >= 200 && status < 500 && status != 408 && status != 425 && status != 429) return status;
        if (seconds() + pause > until) return status;
        sleep_s(pause);
        if (pause < 10) pause *= 1.7;
        if (again) again(ask->taken);
    }
}

int send_text(int socket, void *text) {
    const struct text *body = text;
    return write_all(socket, body->bytes, body->size);
}

int take_text(const char *bytes, size_t size, void *text) {
    add(text, bytes, size);
    return 0;
}
