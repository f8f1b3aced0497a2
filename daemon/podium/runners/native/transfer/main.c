/* podium-transfer <address of the transfer> <file with its token> <user, or "-" for whoever this is>. See transfer.h for what it does.
 *
 * Signals: TERM asks the command to end (the engine sends it); USR2 does so for the daemon, USR1 kills. Exit status: the command's own, 128 +
 * signal, or one of transfer.h. */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

void become(const char *user); /* user.c */

#define OUTPUT_BYTES_MAX (512LL * 1024 * 1024)
#define PIECE_BYTES (256 * 1024)
#define QUIET_S 0.1

extern char **environ;

static char by[40]; /* names this container to the daemon: another one of the same attempt gets nothing */
static volatile sig_atomic_t killed;
static volatile pid_t command, helper; /* the leader of the command's session, and who waits for orders */

struct job {
    char **argv, **env, **trees;
    size_t arguments, variables, tree_count;
};

struct stream {
    const char *name;
    int file;
    off_t sent;
    double again_at, pause;
};

static struct stream streams[2] = {{.name = "stdout"}, {.name = "stderr"}};

/* ---- what is said to the daemon */

static int ask_text(const char *method, const char *what, const struct text *body, struct text *answer, struct text *refusal, double at_most_s) {
    char path[256];
    snprintf(path, sizeof path, "/%s%cby=%s", what, strchr(what, '?') ? '&' : '?', by);
    struct ask ask = {
        .method = method, .path = path, .length = body ? body->size : 0, .send = body ? send_text : NULL, .sent = (void *)(uintptr_t)body,
        .take = answer ? take_text : NULL, .taken = answer, .refusal = refusal, .wait_s = 40,
    };
    return at_most_s > 0 ? http_insist(&ask, at_most_s, answer ? (void (*)(void *))clear : NULL) : http_ask(&ask);
}

static void tell(const char *what, const char *about) {
    struct text body = {0};
    add_format(&body, "%s%s%s", what, about ? ": " : "", about ? about : "");
    ask_text("POST", "failed", &body, NULL, NULL, 20);
}

static void begin_again(void *state) { unpack_begin(state); }

static void fetch(struct unpacking *state) {
    char path[64];
    struct text refusal = {0};
    snprintf(path, sizeof path, "/input?by=%s", by);
    unpack_begin(state);
    struct ask ask = {.method = "GET", .path = path, .take = unpack, .taken = state, .refusal = &refusal, .wait_s = 60};
    int status = http_insist(&ask, INPUT_WAIT_S, begin_again);
    if (status == 409) die(EXIT_STARTED_BEFORE, "this attempt was started by another container", NULL);
    if (status == 410) die(EXIT_KILLED, "this attempt was ended before it began", NULL);
    if (status < 0) die(EXIT_UNREACHED, "the daemon cannot be reached at its runner.remote_url", strerror(errno));
    if (status != 200) die(EXIT_REFUSED, "the daemon refused the task's files", refusal.bytes);
    if (!state->ended || !state->job.size) die(EXIT_REFUSED, "what the daemon sent is no task", NULL);
}

/* ---- the command */

static char **take_list(const char **at, const char *end, size_t *count) {
    *count = *at < end ? strtoull(*at, NULL, 10) : 0;
    *at += strnlen(*at, (size_t)(end - *at)) + 1;
    char **list = *count < 1000000 ? calloc(*count + 1, sizeof *list) : NULL;
    if (!list) die(EXIT_REFUSED, "what the daemon sent is no task", NULL);
    for (size_t i = 0; i < *count; i++) {
        if (*at >= end) die(EXIT_REFUSED, "what the daemon sent is no task", NULL);
        list[i] = (char *)(uintptr_t)*at;
        *at += strlen(*at) + 1;
    }
    return list;
}

/* Three lists, each its length in decimal and its members, all with a NUL behind: arguments, variables, folders to list at the end. */
static struct job read_job(const struct text *text) {
    struct job job;
    const char *at = text->bytes, *end = text->bytes + text->size;
    job.argv = take_list(&at, end, &job.arguments);
    job.env = take_list(&at, end, &job.variables);
    job.trees = take_list(&at, end, &job.tree_count);
    if (!job.arguments) die(EXIT_REFUSED, "what the daemon sent is no task", NULL);
    return job;
}

/* As the first process of the container it reaches everybody in it, whatever session they are in; elsewhere only the command's own group. */
static int signal_all(int number) {
    if (getpid() == 1) return kill(-1, number);
    if (number == SIGKILL && helper > 0) kill(helper, number);
    return command > 0 ? kill(-command, number) : -1;
}

static void on_signal(int number) {
    int reason = errno;
    if (number == SIGTERM) leaving = 1;
    else killed = 1;
    signal_all(number == SIGUSR1 ? SIGKILL : SIGTERM);
    errno = reason;
}

static void on_child(int number) { (void)number; } /* only so that sleep ends */

static void catch(int number, void (*handler)(int)) {
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigaction(number, &action, NULL);
}

static void run(const struct job *job) {
    for (int number = 1; number < 32; number++)
        if (number != SIGKILL && number != SIGSTOP) catch(number, SIG_DFL);
    setsid();
    int nothing = open("/dev/null", O_RDONLY);
    if (nothing >= 0) dup2(nothing, 0);
    dup2(streams[0].file, 1);
    dup2(streams[1].file, 2);
    for (size_t i = 0; i < job->variables; i++) putenv(job->env[i]);
    prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
    if (chdir(HOME "/work") == 0) execvp(job->argv[0], job->argv);
    int status = errno == ENOENT || errno == ENOTDIR ? 127 : 126;
    dprintf(2, "%s: %s\n", job->argv[0], strerror(errno));
    _exit(status);
}

/* In a process of its own: waits for the daemon's word to end the command. */
static void obey(pid_t main_process) {
    catch(SIGTERM, SIG_IGN), catch(SIGINT, SIG_IGN), catch(SIGUSR1, SIG_IGN), catch(SIGUSR2, SIG_IGN);
    prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    struct text order = {0};
    for (double pause = 0.2;;) {
        clear(&order);
        int status = ask_text("GET", "orders", NULL, &order, NULL, 0);
        double grace_s = 0;
        if (status == 410 || (status == 200 && order.size && sscanf(order.bytes, "kill %lf", &grace_s) == 1)) {
            if (grace_s > 0) {
                kill(main_process, SIGUSR2);
                sleep_s(grace_s);
            }
            kill(main_process, SIGUSR1);
            _exit(0);
        }
        if (status == 200) {
            pause = 0.2;
            continue;
        }
        sleep_s(pause);
        if (pause < 5) pause *= 1.5;
    }
}

/* ---- what it prints */

static void open_stream(struct stream *stream) {
    char path[] = HOME "/.output";
    stream->file = open(path, O_RDWR | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0600);
    if (stream->file < 0) die(EXIT_SYSTEM, "the output cannot be kept", strerror(errno));
    unlink(path); /* the command cannot find it, and nothing is left of it */
}

/* Sends the next piece; whether there may be more at once. */
static int push(struct stream *stream) {
    static char piece[PIECE_BYTES];
    if (stream->sent < 0 || seconds() < stream->again_at) return 0;
    ssize_t got = pread(stream->file, piece, sizeof piece, stream->sent);
    if (got <= 0) return 0;
    char what[64];
    struct text body = {.bytes = piece, .size = (size_t)got}, refusal = {0};
    snprintf(what, sizeof what, "output?stream=%s&offset=%lld", stream->name, (long long)stream->sent);
    int status = ask_text("POST", what, &body, NULL, &refusal, 0);
    if (status == 200) stream->sent += got, stream->pause = 0;
    else if (status == 409 && refusal.size) stream->sent = strtoll(refusal.bytes, NULL, 10), stream->pause = 0;
    else if (status == 410 || status == 413) stream->sent = -1, on_signal(SIGUSR1); /* nobody wants it, or it is too much */
    else {
        stream->pause = stream->pause ? (stream->pause < 5 ? stream->pause * 1.7 : 5) : 0.2;
        stream->again_at = seconds() + stream->pause;
    }
    free(refusal.bytes);
    return status == 200 || status == 409;
}

static int is_too_much(void) {
    struct stat found;
    for (int i = 0; i < 2; i++)
        if (fstat(streams[i].file, &found) == 0 && found.st_size > OUTPUT_BYTES_MAX) return 1;
    return 0;
}

/* ---- how it ends */

static unsigned long long oom_kills(void) {
    static const char *const places[] = {"/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control"};
    for (int i = 0; i < 2; i++) {
        FILE *file = fopen(places[i], "re");
        char line[256];
        unsigned long long count = 0;
        if (!file) continue;
        while (fgets(line, sizeof line, file))
            if (sscanf(line, "oom_kill %llu", &count) == 1) break;
        fclose(file);
        return count;
    }
    return 0;
}

static int follow(void) {
    for (double pause = 0.01;;) {
        int status, busy = push(&streams[0]) | push(&streams[1]);
        pid_t ended;
        while ((ended = waitpid(-1, &status, WNOHANG)) > 0)
            if (ended == command) return status;
        if (is_too_much()) on_signal(SIGUSR1);
        pause = busy ? 0.01 : pause < QUIET_S ? pause * 1.5 : QUIET_S;
        sleep_s(pause);
    }
}

struct parcel {
    struct text result;
    const char **paths;
    struct stat *found;
    size_t count;
};

static int send_parcel(int socket, void *about) {
    const struct parcel *parcel = about;
    if (send_member(socket, "result", NULL, 0600, parcel->result.size, 0, parcel->result.bytes) != 0) return -1;
    for (size_t i = 0; i < parcel->count; i++) {
        char full[PATH_BYTES_MAX + sizeof HOME];
        snprintf(full, sizeof full, HOME "/%s", parcel->paths[i]);
        const struct stat *found = &parcel->found[i];
        if (send_member(socket, parcel->paths[i], full, found->st_mode & 0777, (uint64_t)found->st_size, found->st_mtime, NULL) != 0) return -1;
    }
    static const char end[1024];
    return write_all(socket, end, sizeof end);
}

/* Which files the daemon wants of those that are there. */
static void choose(struct parcel *parcel, const struct job *job, int code, struct text *wanted) {
    char what[32];
    if (!job->tree_count) return;
    struct text listing = {0};
    snprintf(what, sizeof what, "listing?code=%d", code);
    for (size_t i = 0; i < job->tree_count; i++) list_tree(&listing, job->trees[i]);
    if (ask_text("POST", what, &listing, wanted, NULL, RESULT_WAIT_S) != 200) clear(wanted);
    free(listing.bytes);
    for (size_t at = 0; at < wanted->size; at += strlen(wanted->bytes + at) + 1) parcel->count++;
    parcel->paths = calloc(parcel->count + 1, sizeof *parcel->paths);
    parcel->found = calloc(parcel->count + 1, sizeof *parcel->found);
    if (!parcel->paths || !parcel->found) die(EXIT_SYSTEM, "out of memory", NULL);
    size_t kept = 0;
    for (size_t at = 0; at < wanted->size; at += strlen(wanted->bytes + at) + 1) {
        char full[PATH_BYTES_MAX + sizeof HOME];
        snprintf(full, sizeof full, HOME "/%s", wanted->bytes + at);
        if (lstat(full, &parcel->found[kept]) == 0 && S_ISREG(parcel->found[kept].st_mode)) parcel->paths[kept++] = wanted->bytes + at;
    }
    parcel->count = kept;
}

static int conclude(const struct job *job, int status, unsigned long long ooms) {
    for (double until = seconds() + 5; seconds() < until; sleep_s(0.005)) { /* what it left running ends with it, the helper too */
        signal_all(SIGKILL);
        while (waitpid(-1, NULL, WNOHANG) > 0) continue;
        if (waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD) break;
    }
    for (double until = seconds() + RESULT_WAIT_S; seconds() < until; sleep_s(0.05)) {
        while (push(&streams[0]) | push(&streams[1])) continue;
        struct stat size[2];
        int done = 1;
        for (int i = 0; i < 2; i++) done &= fstat(streams[i].file, &size[i]) == 0 && (streams[i].sent < 0 || streams[i].sent >= size[i].st_size);
        if (done) break;
    }
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    struct rusage used;
    getrusage(RUSAGE_CHILDREN, &used);
    struct parcel parcel = {0};
    struct text wanted = {0};
    add_format(
        &parcel.result, "{\"code\": %d, \"killed\": %s, \"oom\": %s, \"maxrss_kb\": %ld}", code, killed ? "true" : "false",
        oom_kills() > ooms ? "true" : "false", used.ru_maxrss
    );
    choose(&parcel, job, code, &wanted);
    char path[64];
    snprintf(path, sizeof path, "/result?by=%s", by);
    struct ask ask = {.method = "PUT", .path = path, .length = member_size("result", parcel.result.size) + 1024, .send = send_parcel, .sent = &parcel, .wait_s = 120};
    for (size_t i = 0; i < parcel.count; i++) ask.length += member_size(parcel.paths[i], (uint64_t)parcel.found[i].st_size);
    int answer = http_insist(&ask, RESULT_WAIT_S, NULL);
    if (answer != 200 && answer != 410) fprintf(stderr, "podium-transfer: the daemon did not take the result (%d)\n", answer);
    return code;
}

/* ---- all of it */

static void read_token(const char *path, char *token, size_t room) {
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t got = file >= 0 ? read(file, token, room - 1) : -1;
    if (got <= 0) die(EXIT_USAGE, path, strerror(errno));
    close(file);
    token[got] = 0;
    token[strcspn(token, "\r\n")] = 0;
}

int main(int count, char **arguments) {
    char token[256];
    unsigned char chance[16];
    if (count != 4) die(EXIT_USAGE, "address, token file and user are needed", NULL);
    catch(SIGPIPE, SIG_IGN), catch(SIGHUP, SIG_IGN), catch(SIGINT, on_signal), catch(SIGTERM, on_signal);
    catch(SIGUSR1, on_signal), catch(SIGUSR2, on_signal), catch(SIGCHLD, on_child);
    read_token(arguments[2], token, sizeof token);
    http_address(arguments[1], token);
    if (getrandom(chance, sizeof chance, 0) != sizeof chance) die(EXIT_SYSTEM, "no chance to be had", strerror(errno));
    for (size_t i = 0; i < sizeof chance; i++) snprintf(by + 2 * i, 3, "%02x", chance[i]);
    last_words = tell;
    umask(022);
    if (mkdir(HOME, 01777) == 0) chmod(HOME, 01777);
    else if (errno != EEXIST) die(EXIT_SYSTEM, HOME " cannot be made", strerror(errno));
    become(arguments[3]);
    prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);

    struct unpacking input = {0};
    fetch(&input);
    struct job job = read_job(&input.job);
    open_stream(&streams[0]), open_stream(&streams[1]);
    unsigned long long ooms = oom_kills();
    pid_t self = getpid(), child = fork();
    if (child == 0) last_words = NULL, obey(self);
    helper = child;
    child = killed ? -1 : fork();
    if (child == 0) run(&job);
    command = child;
    if (helper < 0 || (command < 0 && !killed)) die(EXIT_SYSTEM, "no process can be made", strerror(errno));
    if (killed) signal_all(SIGKILL); /* it came before the command did */
    return conclude(&job, command < 0 ? SIGKILL : follow(), ooms);
}
