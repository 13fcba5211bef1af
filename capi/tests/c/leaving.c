/* A helper thread resolves a name while the program unloads the library, ends, or forks: nothing crashes, nothing waits.
 *
 *   leaving LIBRARY unload|exit|fork
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pgpoll.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void *function(void *library, const char *name)
{
    void *found = dlsym(library, name);

    if (!found)
        _exit(3);
    return found;
}

int main(int argc, char **argv)
{
    void *library = argc > 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    struct Conn *(*open)(const char *);
    uint32_t (*poll)(Conn *);
    void (*close)(Conn *);
    Conn *conns[8];
    unsigned i;

    if (!library)
        return 2;
    *(void **)&open = function(library, "conn_open");
    *(void **)&poll = function(library, "conn_poll");
    *(void **)&close = function(library, "conn_close");
    for (i = 0; i < 8; i++) {
        conns[i] = open("host=no-such-host.invalid");
        if (poll(conns[i]) & (CONN_IDLE | CONN_MISUSE))
            return 4;
    }
    if (strcmp(argv[2], "unload") == 0) {
        struct timespec pause = { 0, 300000000 };

        for (i = 0; i < 8; i += 2)
            close(conns[i]);
        if (dlclose(library) != 0)
            return 5;
        /* The threads end in the meantime, in what was unloaded if it was. */
        nanosleep(&pause, NULL);
    } else if (strcmp(argv[2], "fork") == 0) {
        int status;
        pid_t child = fork();

        if (child == 0) {
            for (i = 0; i < 8; i++)
                close(conns[i]);
            return 0; /* with all that runs at an exit */
        }
        if (waitpid(child, &status, 0) != child || status != 0)
            return 6;
        for (i = 0; i < 8; i++)
            close(conns[i]);
    }
    printf("left\n");
    return 0;
}
