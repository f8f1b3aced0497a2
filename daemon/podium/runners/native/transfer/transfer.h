/* podium-transfer: the entry point of a task's container on another machine (swarm, kubernetes).
 *
 * It fetches the task's files from the daemon, runs the command, sends what it prints, and at the end the files that the daemon wants and how
 * it ended. What always holds: one container at most gets leave to run an attempt; output is sent by offset, so no line is lost or doubled;
 * while the daemon is away the command runs on, and its end waits here. The protocol is in docs/adr/0014-remote-transfer.md.
 */
#ifndef PODIUM_TRANSFER_H
#define PODIUM_TRANSFER_H

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#define HOME "/podium"
#define INPUT_WAIT_S 120
#define RESULT_WAIT_S 86400
#define LEAVING_S 8
#define PATH_BYTES_MAX 8192

enum { EXIT_USAGE = 64, EXIT_SYSTEM = 71, EXIT_UNREACHED = 74, EXIT_STARTED_BEFORE = 75, EXIT_REFUSED = 76, EXIT_KILLED = 137 };

/* ---- text.c: strings that grow; all end with a NUL that is not counted */

struct text {
    char *bytes;
    size_t size, room;
};

extern void (*last_words)(const char *what, const char *about); /* tells the daemon of a mistake that nobody else will */
void die(int status, const char *what, const char *about);
void add(struct text *text, const void *bytes, size_t size);
void add_format(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
void clear(struct text *text);
double seconds(void);
void sleep_s(double how_long);

/* ---- http.c: one request a connection, HTTP/1.0, plain */

struct ask {
    const char *method;
    const char *path;                        /* below the transfer's own address, with its query */
    uint64_t length;                         /* of the body */
    int (*send)(int socket, void *about);    /* writes the body; not 0 ends the request */
    void *sent;
    int (*take)(const char *bytes, size_t size, void *about); /* the body of an answer 200; not 0 ends the request */
    void *taken;
    struct text *refusal;                    /* the body of any other answer, cut off */
    int wait_s;                              /* how long nothing may happen */
};

extern volatile sig_atomic_t leaving; /* the container is being ended: little time is left */
void http_address(const char *url, const char *token);
int http_ask(const struct ask *ask);         /* the status, or -1 when there was no whole answer */
int http_insist(const struct ask *ask, double at_most_s, void (*again)(void *about)); /* until the daemon says yes or no for good */
int write_all(int descriptor, const void *bytes, size_t size);
int send_text(int socket, void *text);
int take_text(const char *bytes, size_t size, void *text);

/* ---- archive.c: tar (GNU), in and out */

struct unpacking {
    struct text job;                         /* the member `job`: what to run */
    struct text long_name, long_link;
    char block[512];
    size_t filled;
    uint64_t left, padding;
    int file;                                /* of the member that is being written, or -1 */
    time_t mtime;                            /* its own */
    struct text *kept;                       /* into which the member goes instead */
    int ended;
};

void unpack_begin(struct unpacking *state);
int unpack(const char *bytes, size_t size, void *state);
uint64_t member_size(const char *path, uint64_t size);
int send_member(int socket, const char *path, const char *from, unsigned mode, uint64_t size, long mtime, const char *bytes);

/* ---- walk.c: what the command left */

void list_tree(struct text *listing, const char *below);

#endif
