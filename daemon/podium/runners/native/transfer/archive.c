/* Tar archives in the GNU dialect: what the daemon sends is unpacked as it comes, what it wants is packed as it goes.
 * What always holds: nothing is written outside of HOME; a file that shrank meanwhile is filled up, so that lengths announced are kept. */
#include "transfer.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define JOB_BYTES_MAX (64 * 1024 * 1024)

struct header {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], sum[8], kind, link[100], magic[8], owner[32], group[32], devices[16], prefix[155], rest[12];
};

static uint64_t number(const char *field, size_t size) {
    uint64_t value = 0;
    if (field[0] & 0x80) { /* base 256 */
        value = (unsigned char)field[0] & 0x3f;
        for (size_t i = 1; i < size; i++) value = value << 8 | (unsigned char)field[i];
        return value;
    }
    for (size_t i = 0; i < size && field[i]; i++)
        if (field[i] >= '0' && field[i] <= '7') value = value * 8 + (uint64_t)(field[i] - '0');
    return value;
}

static void set_number(char *field, size_t size, uint64_t value) {
    if (value < (uint64_t)1 << (3 * (size - 1))) {
        snprintf(field, size, "%0*llo", (int)size - 1, (unsigned long long)value);
        return;
    }
    for (size_t i = size; i-- > 1; value >>= 8) field[i] = (char)(value & 0xff);
    field[0] = (char)0x80;
}

void unpack_begin(struct unpacking *state) {
    clear(&state->job), clear(&state->long_name), clear(&state->long_link);
    if (state->file > 0) close(state->file);
    state->file = -1, state->kept = NULL, state->filled = 0, state->left = state->padding = 0, state->ended = 0;
}

static void make_parents(char *path) {
    for (char *slash = path + 1; (slash = strchr(slash, '/')); slash++) {
        *slash = 0;
        if (mkdir(path, 0755) != 0 && errno != EEXIST) die(EXIT_SYSTEM, path, strerror(errno));
        *slash = '/';
    }
}

static int is_inside(const char *name) {
    if (*name == '/') return 0;
    for (const char *at = name; at; at = strchr(at, '/') ? strchr(at, '/') + 1 : NULL)
        if (at[0] == '.' && at[1] == '.' && (at[2] == '/' || at[2] == 0)) return 0;
    return 1;
}

static void link_target(char target[PATH_BYTES_MAX], const struct unpacking *state, const struct header *header) {
    if (state->long_link.size) snprintf(target, PATH_BYTES_MAX, "%s", state->long_link.bytes);
    else snprintf(target, PATH_BYTES_MAX, "%.100s", header->link);
}

static void begin_member(struct unpacking *state, const struct header *header) {
    char name[PATH_BYTES_MAX], path[PATH_BYTES_MAX + sizeof HOME];
    state->left = number(header->size, sizeof header->size);
    state->padding = (512 - state->left % 512) % 512;
    if (header->kind == 'L' || header->kind == 'K') {
        state->kept = header->kind == 'L' ? &state->long_name : &state->long_link;
        if (state->left >= PATH_BYTES_MAX) die(EXIT_REFUSED, "a path in the task's files is too long", NULL);
        clear(state->kept);
        return;
    }
    if (state->long_name.size) snprintf(name, sizeof name, "%s", state->long_name.bytes);
    else snprintf(name, sizeof name, "%.100s", header->name);
    clear(&state->long_name);
    if (strcmp(name, "job") == 0) {
        if (state->left > JOB_BYTES_MAX) die(EXIT_REFUSED, "the command is too long", NULL);
        state->kept = &state->job;
        return;
    }
    if (!is_inside(name)) die(EXIT_REFUSED, "a file of the task is meant for elsewhere", name);
    for (size_t length = strlen(name); length && name[length - 1] == '/'; length--) name[length - 1] = 0;
    snprintf(path, sizeof path, HOME "/%s", name);
    make_parents(path);
    unsigned mode = (unsigned)number(header->mode, sizeof header->mode) & 0777;
    if (header->kind == '5') {
        if (mkdir(path, mode | 0700) == 0) chmod(path, mode | 0700); /* whatever the umask is */
        else if (errno != EEXIST) die(EXIT_SYSTEM, path, strerror(errno));
    } else if (header->kind == '2') {
        char target[PATH_BYTES_MAX];
        link_target(target, state, header);
        unlink(path);
        if (symlink(target, path) != 0) die(EXIT_SYSTEM, path, strerror(errno));
    } else if (header->kind == '1') {
        char target[PATH_BYTES_MAX], first[PATH_BYTES_MAX + sizeof HOME];
        link_target(target, state, header);
        if (!is_inside(target)) die(EXIT_REFUSED, "a file of the task is meant for elsewhere", target);
        snprintf(first, sizeof first, HOME "/%s", target);
        unlink(path);
        if (link(first, path) != 0) die(EXIT_SYSTEM, path, strerror(errno));
    } else if (header->kind == '0' || header->kind == 0) {
        unlink(path);
        state->file = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode | 0600);
        if (state->file < 0) die(EXIT_SYSTEM, path, strerror(errno));
        fchmod(state->file, mode | 0600);
        state->mtime = (time_t)number(header->mtime, sizeof header->mtime);
    }
    clear(&state->long_link);
}

static void end_member(struct unpacking *state) {
    struct timespec times[2] = {{.tv_nsec = UTIME_NOW}, {.tv_sec = state->mtime}};
    if (state->file >= 0) futimens(state->file, times); /* make and the like compare them */
    if (state->file >= 0 && close(state->file) != 0) die(EXIT_SYSTEM, "the task's files cannot be written", strerror(errno));
    if (state->kept && state->kept != &state->job) { /* a name ends with a NUL that was sent */
        while (state->kept->size && !state->kept->bytes[state->kept->size - 1]) state->kept->size--;
    }
    state->file = -1, state->kept = NULL;
}

int unpack(const char *bytes, size_t size, void *about) {
    struct unpacking *state = about;
    while (size && !state->ended) {
        size_t part;
        if (state->left) {
            part = size < state->left ? size : (size_t)state->left;
            if (state->kept) add(state->kept, bytes, part);
            else if (state->file >= 0 && write_all(state->file, bytes, part) != 0) die(EXIT_SYSTEM, "the task's files cannot be written", strerror(errno));
            state->left -= part;
        } else if (state->padding) {
            part = size < state->padding ? size : (size_t)state->padding;
            state->padding -= part;
        } else {
            part = 512 - state->filled < size ? 512 - state->filled : size;
            memcpy(state->block + state->filled, bytes, part);
            state->filled += part;
            if (state->filled == 512) {
                state->filled = 0;
                if (state->block[0]) begin_member(state, (const struct header *)(const void *)state->block);
                else state->ended = 1;
            }
        }
        if (!state->left && !state->filled && (state->file >= 0 || state->kept)) end_member(state);
        bytes += part, size -= part;
    }
    return 0;
}

static uint64_t padded(uint64_t size) { return (size + 511) / 512 * 512; }

uint64_t member_size(const char *path, uint64_t size) {
    size_t length = strlen(path);
    return (length > 100 ? 512 + padded(length + 1) : 0) + 512 + padded(size);
}

static int send_header(int socket, const char *name, char kind, unsigned mode, uint64_t size, long mtime) {
    struct header header;
    memset(&header, 0, sizeof header);
    memcpy(header.name, name, strnlen(name, sizeof header.name));
    set_number(header.mode, sizeof header.mode, mode);
    set_number(header.uid, sizeof header.uid, 0);
    set_number(header.gid, sizeof header.gid, 0);
    set_number(header.size, sizeof header.size, size);
    set_number(header.mtime, sizeof header.mtime, mtime < 0 ? 0 : (uint64_t)mtime);
    header.kind = kind;
    memcpy(header.magic, "ustar  ", 8);
    memset(header.sum, ' ', sizeof header.sum);
    unsigned sum = 0;
    for (size_t i = 0; i < sizeof header; i++) sum += ((unsigned char *)&header)[i];
    snprintf(header.sum, sizeof header.sum, "%06o", sum);
    return write_all(socket, &header, sizeof header);
}

static int send_zeros(int socket, uint64_t size) {
    static const char zeros[4096];
    while (size) {
        size_t part = size < sizeof zeros ? (size_t)size : sizeof zeros;
        if (write_all(socket, zeros, part) != 0) return -1;
        size -= part;
    }
    return 0;
}

int send_member(int socket, const char *path, const char *from, unsigned mode, uint64_t size, long mtime, const char *bytes) {
    size_t length = strlen(path);
    if (length > 100) {
        if (send_header(socket, "././@LongLink", 'L', 0644, length + 1, 0) != 0 || write_all(socket, path, length + 1) != 0) return -1;
        if (send_zeros(socket, padded(length + 1) - length - 1) != 0) return -1;
    }
    if (send_header(socket, path, '0', mode, size, mtime) != 0) return -1;
    uint64_t left = size;
    if (bytes) {
        if (write_all(socket, bytes, (size_t)size) != 0) return -1;
        left = 0;
    } else {
        char buffer[65536];
        int file = open(from, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        while (file >= 0 && left) {
            ssize_t got = read(file, buffer, left < sizeof buffer ? (size_t)left : sizeof buffer);
            if (got < 0 && errno == EINTR) continue;
            if (got <= 0) break;
            if (write_all(socket, buffer, (size_t)got) != 0) {
                close(file);
                return -1;
            }
            left -= (uint64_t)got;
        }
        if (file >= 0) close(file);
    }
    return send_zeros(socket, left + padded(size) - size);
}
