/* Lists what stands below a folder, links not followed: `<kind> <octal mode> <size> <path>NUL<link target>NUL` for each. */
#include "transfer.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define LISTING_BYTES_MAX (64u * 1024 * 1024)
#define DEPTH_MAX 200

static void list_folder(struct text *listing, const char *path, int depth) {
    char full[PATH_BYTES_MAX + sizeof HOME];
    snprintf(full, sizeof full, HOME "/%s", path);
    DIR *folder = opendir(full);
    if (!folder) return;
    struct dirent *entry;
    while ((entry = readdir(folder)) && listing->size <= LISTING_BYTES_MAX) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        char below[PATH_BYTES_MAX];
        if (snprintf(below, sizeof below, "%s/%s", path, entry->d_name) >= (int)sizeof below) continue;
        snprintf(full, sizeof full, HOME "/%s", below);
        struct stat found;
        if (lstat(full, &found) != 0) continue;
        char target[PATH_BYTES_MAX] = "";
        char kind = S_ISREG(found.st_mode) ? 'F' : S_ISDIR(found.st_mode) ? 'D' : S_ISLNK(found.st_mode) ? 'L' : 'X';
        if (kind == 'L') {
            ssize_t size = readlink(full, target, sizeof target - 1);
            target[size > 0 ? size : 0] = 0;
        }
        add_format(listing, "%c %o %llu %s", kind, (unsigned)found.st_mode & 0777, (unsigned long long)found.st_size, below);
        add(listing, "", 1);
        add(listing, target, strlen(target) + 1);
        if (kind == 'D' && depth < DEPTH_MAX) list_folder(listing, below, depth + 1);
    }
    closedir(folder);
}

/* below: relative to HOME. A listing that grows beyond its limit is cut off there: the daemon sees its size and says so. */
void list_tree(struct text *listing, const char *below) { list_folder(listing, below, 0); }
