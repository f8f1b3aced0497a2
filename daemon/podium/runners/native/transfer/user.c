/* Becomes the user that the task is to run as. What always holds: no group of root's is kept. */
#include "transfer.h"

#include <ctype.h>
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int is_number(const char *text) {
    if (!*text) return 0;
    for (; *text; text++)
        if (!isdigit((unsigned char)*text)) return 0;
    return 1;
}

/* user: `-` for whoever this is, else a name or number, perhaps with `:group`. */
void become(const char *user) {
    char name[256] = "";
    if (strcmp(user, "-") == 0) return;
    if (strlen(user) >= sizeof name) die(EXIT_REFUSED, "no such user in the image", user);
    strcpy(name, user);
    char *group = strchr(name, ':');
    if (group) *group++ = 0;
    const struct passwd *entry = is_number(name) ? getpwuid((uid_t)strtoul(name, NULL, 10)) : getpwnam(name);
    if (!entry && !is_number(name)) die(EXIT_REFUSED, "no such user in the image", name);
    uid_t uid = entry ? entry->pw_uid : (uid_t)strtoul(name, NULL, 10);
    gid_t gid = entry ? entry->pw_gid : 0;
    setenv("HOME", entry && *entry->pw_dir ? entry->pw_dir : "/", 1);
    if (group && *group) {
        const struct group *found = is_number(group) ? NULL : getgrnam(group);
        if (!found && !is_number(group)) die(EXIT_REFUSED, "no such group in the image", group);
        gid = found ? found->gr_gid : (gid_t)strtoul(group, NULL, 10);
    }
    if (uid == getuid() && gid == getgid()) return;
    if (setgroups(1, &gid) != 0 || setgid(gid) != 0 || setuid(uid) != 0) die(EXIT_REFUSED, "this user may not be had", strerror(errno));
}
