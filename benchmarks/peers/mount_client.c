/* File system operations in one directory.   mount_client DIRECTORY */
#include "batch.h"
#include <dirent.h>
#include <sys/stat.h>

static char const *name_of(long number) {
    static char name[32];
    snprintf(name, sizeof name, "e%ld", number);
    return name;
}

static double stat_names(struct batch const *b) {
    struct stat facts;
    double start = now();
    for (long i = 0; i < b->count; i++)
        if (stat(name_of(picked(b, i)), &facts)) die("stat");
    return now() - start;
}

static double read_byte(struct batch const *b) {
    char byte;
    double start = now();
    for (long i = 0; i < b->count; i++) {
        int fd = open(name_of(picked(b, i)), O_RDONLY | O_CLOEXEC);
        if (fd < 0) die("open");
        if (read(fd, &byte, 1) != 1) die("read");
        close(fd);
    }
    return now() - start;
}

static void write_number(char const *name, int number) {
    char text[16];
    int length = snprintf(text, sizeof text, "%d\n", number);
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0) die("create");
    if (write(fd, text, (size_t)length) != length) die("write");
    if (close(fd)) die("close");
}

static double create(struct batch const *b) {
    open_all(b);
    double start = now();
    for (long i = 0; i < b->count; i++) write_number(name_of(b->first + i), opened[i]);
    double taken = now() - start;
    close_all(b);
    return taken;
}

static double remove_names(struct batch const *b) {
    double start = now();
    for (long i = 0; i < b->count; i++)
        if (unlink(name_of(b->first + i))) die("unlink");
    return now() - start;
}

static long names_here(void) {
    long n = 0;
    DIR *here = opendir(".");
    if (!here) die("opendir");
    for (struct dirent *entry; (entry = readdir(here));) n += entry->d_name[0] == 'e';
    closedir(here);
    return n;
}

static double list(struct batch const *b) {
    double start = now();
    for (long i = 0; i < b->count; i++)
        if (names_here() != b->span) fail("entries are missing", "readdir");
    return now() - start;
}

int main(int argc, char **argv) {
    static struct verb const verbs[] = {{"stat", stat_names},     {"read", read_byte}, {"create", create},
                                        {"unlink", remove_names}, {"readdir", list},   {NULL, NULL}};
    if (argc != 2) fail("usage", "mount_client DIRECTORY");
    if (chdir(argv[1])) die(argv[1]);
    return serve_batches(verbs);
}
