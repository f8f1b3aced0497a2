/* podium-supervise: the entry point (PID 1) of a task's container on the daemon's own machine.
 *
 * Usage: podium-supervise SOCKET OUTPUT_BYTES_MAX. It connects to the daemon's socket and waits for one job: a byte with five descriptors
 * (SCM_RIGHTS), which are standard output, standard error, the result, the order of the streams, and a tar for /podium whose first member `job` is argv and environment, as
 * podium-transfer has it. It says `started` in the result, runs the command with a pipe for each stream, ends whatever that left, says `ended …`
 * and exits as the command did. Pipes, since a command may open /dev/stdout anew: a file would be cut off by that, or closed to other users.
 * What always holds: one job at most; the result says `started` before the command does anything, and `ended` after its last byte of output is on
 * the disk; nothing here can be read by the command (not dumpable, descriptors close on exec); without a daemon before the job, it is over.
 */
#define _GNU_SOURCE
#include "../transfer/transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS 5
#define TURNS_MAX 100000
#define LOOK_MS 250
#define NO_JOB 75

enum { OUT, ERR, RESULT, ORDER, FILES };

static int given[DESCRIPTORS], printed[2][2]; /* printed: the pipes of both streams */

static void tell(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void tell(const char *format, ...) {
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    if (size >= (int)sizeof line) size = sizeof line - 1;
    write_all(given[RESULT], line, (size_t)size);
    fsync(given[RESULT]);
}

static void tell_failure(const char *what, const char *about) {
    dprintf(given[ERR], "%s%s%s\n", what, about ? ": " : "", about ? about : "");
    tell("failed %.300s%s%.100s\n", what, about ? ": " : "", about ? about : "");
}

static int reach(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) die(EXIT_USAGE, "the socket's path is too long", path);
    strcpy(address.sun_path, path);
    int connection = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (connection < 0 || connect(connection, (struct sockaddr *)&address, sizeof address) != 0) die(EXIT_UNREACHED, "the daemon cannot be reached", strerror(errno));
    return connection;
}

/* The descriptors of the job. Ends this process when the daemon goes away, or when the container is ended. */
static void receive(int connection, int signals) {
    struct pollfd watched[2] = {{.fd = connection, .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    char byte, space[CMSG_SPACE(sizeof given)];
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof space};
    for (;;) {
        if (poll(watched, 2, -1) < 0 && errno != EINTR) die(EXIT_SYSTEM, "poll", strerror(errno));
        if (watched[1].revents) {
            struct signalfd_siginfo seen;
            if (read(signals, &seen, sizeof seen) == sizeof seen && seen.ssi_signo != SIGCHLD) exit(NO_JOB);
        }
        if (watched[0].revents) break;
    }
    if (recvmsg(connection, &message, MSG_CMSG_CLOEXEC) != 1) exit(NO_JOB);
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS || header->cmsg_len != CMSG_LEN(sizeof given)) exit(NO_JOB);
    memcpy(given, CMSG_DATA(header), sizeof given);
}

/* argv and, behind its NULL, the environment; both are lists of the member `job`: a length and as many texts. */
static char **read_job(const struct text *job, size_t *arguments) {
    size_t texts = 0, used = 0;
    for (size_t i = 0; i < job->size; i++) texts += !job->bytes[i];
    char **list = calloc(texts + 2, sizeof *list), *at = job->bytes, *end = job->bytes + job->size;
    if (!list || !job->size || job->bytes[job->size - 1]) die(EXIT_SYSTEM, "what the daemon sent is no task", NULL);
    for (int which = 0; which < 2; which++) {
        if (at >= end) die(EXIT_SYSTEM, "what the daemon sent is no task", NULL);
        size_t count = strtoul(at, NULL, 10);
        at += strlen(at) + 1;
        for (; count && at < end; count--, at += strlen(at) + 1) list[used++] = at;
        if (count) die(EXIT_SYSTEM, "what the daemon sent is no task", NULL);
        if (which == 0) *arguments = used++;
    }
    if (!*arguments) die(EXIT_SYSTEM, "what the daemon sent is no task", NULL);
    return list;
}

static void unpack_files(struct unpacking *state) {
    char buffer[65536];
    ssize_t got;
    unpack_begin(state);
    while ((got = read(given[FILES], buffer, sizeof buffer)) != 0) {
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) die(EXIT_SYSTEM, "the task's files cannot be read", strerror(errno));
        unpack(buffer, (size_t)got, state);
    }
    if (!state->ended) die(EXIT_SYSTEM, "the task's files are cut off", NULL);
}

static void become_command(char **argv, char **env) {
    sigset_t none;
    setsid();
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, 0);
    dup2(printed[OUT][1], 1);
    dup2(printed[ERR][1], 2);
    if (nothing > 2) close(nothing);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    for (; *env; env++) putenv(*env);
    int status = EXIT_REFUSED;
    if (chdir(HOME "/work") != 0) {
        dprintf(2, HOME "/work: %s\n", strerror(errno));
    } else {
        execvp(argv[0], argv);
        status = errno == ENOENT ? 127 : 126;
        dprintf(2, "%s: %s\n", argv[0], strerror(errno));
    }
    _exit(status);
}

/* How often the kernel ended something here for want of memory, or -1 where that cannot be seen. */
static long ooms(void) {
    static const char *const places[] = {"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        char text[1024] = "";
        int file = open(places[i], O_RDONLY | O_CLOEXEC);
        if (file < 0) continue;
        ssize_t got = read(file, text, sizeof text - 1);
        close(file);
        char *found = got > 0 ? strstr(text, "oom_kill ") : NULL;
        if (found) return strtol(found + 9, NULL, 10);
    }
    return -1;
}

/* Appends to a file of the daemon's. A full disk holds the command up, as it does with every pipe that nobody empties. */
static void keep(int which, const char *bytes, size_t size) {
    while (size) {
        ssize_t put = write(given[which], bytes, size);
        if (put > 0) bytes += put, size -= (size_t)put;
        else if (put < 0 && (errno == ENOSPC || errno == EDQUOT)) poll(NULL, 0, LOOK_MS);
        else if (put < 0 && errno != EINTR) die(EXIT_SYSTEM, "the output cannot be kept", strerror(errno));
    }
}

/* Notes, whenever the other stream has its turn, how much the one before has printed: 8 bytes, the sum and in the lowest bit which one. A log
 * without whole notes is no loss but that of the order, so it is given up where it cannot be written. */
static void note_turn(int which, size_t size) {
    static uint64_t printed_so_far[2];
    static int last = -1, turns;
    if (last >= 0 && last != which && turns < TURNS_MAX) {
        uint64_t note = printed_so_far[last] << 1 | (unsigned)last;
        turns = write(given[ORDER], &note, sizeof note) == sizeof note ? turns + 1 : TURNS_MAX;
    }
    last = which;
    printed_so_far[which] += size;
}

/* One piece of what the command printed: how long it was, or 0 when there is none now. */
static size_t hand_on(int which) {
    static char buffer[65536];
    ssize_t got;
    do got = read(printed[which][0], buffer, sizeof buffer);
    while (got < 0 && errno == EINTR);
    if (got > 0) note_turn(which, (size_t)got), keep(which, buffer, (size_t)got);
    return got > 0 ? (size_t)got : 0;
}

/* Waits for the command. too_much: it printed more than it may, and was ended. */
static int follow(pid_t command, int signals, unsigned long long output_max, int *too_much) {
    struct pollfd watched[3] = {{.fd = printed[OUT][0], .events = POLLIN}, {.fd = printed[ERR][0], .events = POLLIN}, {.fd = signals, .events = POLLIN}};
    unsigned long long kept = 0;
    int status = 0, ended = 0;
    while (!ended) {
        if (poll(watched, 3, -1) < 0) continue;
        for (int which = OUT; which <= ERR; which++) {
            if (!watched[which].revents) continue;
            size_t size = hand_on(which);
            if (!size && watched[which].revents & POLLHUP) watched[which].fd = -1; /* everybody has closed it */
            kept += size;
        }
        if (!*too_much && kept > output_max) {
            *too_much = 1;
            kill(-1, SIGKILL);
        }
        if (!watched[2].revents) continue;
        struct signalfd_siginfo seen;
        if (read(signals, &seen, sizeof seen) == sizeof seen && seen.ssi_signo != SIGCHLD) kill(-command, (int)seen.ssi_signo);
        int each;
        pid_t pid;
        while ((pid = waitpid(-1, &each, WNOHANG)) > 0)
            if (pid == command) status = each, ended = 1;
    }
    return status;
}

/* Every signal that somebody else may send, among them the STOPSIGNAL of an image, and the end of children. */
static int watch_signals(void) {
    static const int own[] = {SIGFPE, SIGILL, SIGSEGV, SIGBUS, SIGABRT, SIGTRAP, SIGSYS, SIGTTIN, SIGTTOU, SIGPIPE};
    sigset_t watched;
    sigfillset(&watched);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) sigdelset(&watched, own[i]);
    sigprocmask(SIG_BLOCK, &watched, NULL);
    signal(SIGPIPE, SIG_IGN);
    int signals = signalfd(-1, &watched, SFD_CLOEXEC);
    if (signals < 0) die(EXIT_SYSTEM, "signalfd", strerror(errno));
    return signals;
}

int main(int argc, char **argv) {
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    if (argc != 3) die(EXIT_USAGE, "usage: podium-supervise SOCKET OUTPUT_BYTES_MAX", NULL);
    if (getpid() != 1) die(EXIT_USAGE, "this is no entry point of a container", NULL);
    int signals = watch_signals(), connection = reach(argv[1]);
    if (write_all(connection, "+", 1) != 0) exit(NO_JOB);
    receive(connection, signals);
    last_words = tell_failure;

    static struct unpacking state = {.file = -1};
    size_t arguments;
    unpack_files(&state);
    close(given[FILES]);
    char **list = read_job(&state.job, &arguments);

    for (int which = OUT; which <= ERR; which++)
        if (pipe2(printed[which], O_CLOEXEC) != 0 || fcntl(printed[which][0], F_SETFL, O_NONBLOCK) != 0) die(EXIT_SYSTEM, "pipe", strerror(errno));

    tell("started\n");
    double began = seconds();
    pid_t command = fork();
    if (command < 0) die(EXIT_SYSTEM, "fork", strerror(errno));
    if (command == 0) {
        signal(SIGPIPE, SIG_DFL);
        become_command(list, list + arguments + 1);
    }
    close(printed[OUT][1]), close(printed[ERR][1]);
    int too_much = 0, status = follow(command, signals, strtoull(argv[2], NULL, 10), &too_much);
    struct rusage used;
    do kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR);
    for (int which = OUT; which <= ERR; which++)
        while (hand_on(which));
    getrusage(RUSAGE_CHILDREN, &used);
    fsync(given[OUT]), fsync(given[ERR]);
    int signalled = WIFSIGNALED(status) ? WTERMSIG(status) : 0, code = signalled ? 128 + signalled : WEXITSTATUS(status);
    tell("ended {\"exit\": %d, \"signal\": %d, \"ms\": %.0f, \"user_ms\": %lld, \"system_ms\": %lld, \"maxrss_kb\": %ld, \"ooms\": %ld, \"too_much\": %d}\n",
        code, signalled, (seconds() - began) * 1000, (long long)used.ru_utime.tv_sec * 1000 + used.ru_utime.tv_usec / 1000,
        (long long)used.ru_stime.tv_sec * 1000 + used.ru_stime.tv_usec / 1000, used.ru_maxrss, ooms(), too_much);
    return code;
}
