/* Groups, their members and their owners, in an order that a seed decides, on a real server; then with a second thread that calls into the
 * same group and members at the same time: each call is served or refused, and nothing breaks.
 *
 *   group CONNINFO SEED MILLISECONDS
 */
#include <pgpoll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { CONNS = 20, GROUPS = 2 };

static const char *conninfo;
static Conn *conns[CONNS];
static ConnGroup *groups[GROUPS];
static unsigned long done, told, failed, refusals, moved, served[2];
static volatile int stop;

static unsigned pick(unsigned long long *state, unsigned below)
{
    *state = *state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (unsigned)(*state >> 33) % below;
}

static long long now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void check(int good, const char *what)
{
    if (!good) {
        fprintf(stderr, "wrong: %s\n", what);
        abort();
    }
}

/* Whether it was served; what was refused says why. */
static int was_served(int result)
{
    if (!result) {
        check(conn_error_kind(conn_error(NULL)) == CONN_ERROR_MISUSE, "a refusal says why");
        refusals++;
    }
    return result;
}

static unsigned long take(Conn *conn)
{
    unsigned long count = 0;
    ConnItem item;

    while (conn_get_result(conn, &item)) {
        count += item.kind == CONN_ITEM_DONE;
        conn_result_free(item.result);
        conn_error_free(item.error);
    }
    return count;
}

static const char *sql(unsigned which)
{
    static const char *all[] = { "select 1", "select 1 / 0", "select n from generate_series(1, 2000) n", "select pg_sleep(0.01)",
                                 "do $$ begin raise notice 'hm'; end $$", "select pg_sleep(600)" };

    return all[which];
}

static void use(unsigned long long *seed, int who)
{
    int i = (int)pick(seed, CONNS), g = (int)pick(seed, GROUPS);
    ConnReady ready;
    ConnGroupState state;

    switch (pick(seed, who ? 7 : 14)) {
    case 0:
        served[who] += conn_start_query(conns[i], sql(pick(seed, 6))) != 0;
        break;
    case 1:
        done += take(conns[i]);
        break;
    case 2:
        conn_abandon(conns[i], 0);
        break;
    case 3:
        was_served((conn_group_poll(groups[g]) & CONN_MISUSE) == 0);
        break;
    case 4:
        was_served((conn_group_wait(groups[g], 1 + (int)pick(seed, 3), (int)pick(seed, 3)) & CONN_MISUSE) == 0);
        break;
    case 5:
        if (conn_group_get_ready(groups[g], &ready)) {
            check(ready.data == &conns[(Conn **)ready.data - conns] && *(Conn **)ready.data == ready.conn, "the data is the member's");
            told++;
            if (!who)
                done += take(ready.conn);
        }
        while (conn_group_get_failed(groups[g], &ready))
            failed++;
        break;
    case 6:
        conn_group_deadline_ms(groups[g]);
        if (conn_group_state(groups[g], &state))
            check(state.members <= CONNS && state.running + state.waiting + state.over <= state.members, "members add up");
        break;
    /* What only one thread may do: pointers end here. */
    case 7:
    case 8:
        moved += (unsigned long)was_served(conn_group_add(groups[g], conns[i], &conns[i]));
        break;
    case 9:
        was_served(conn_group_remove(groups[g], conns[i]));
        break;
    case 10:
        if (pick(seed, 4) == 0) {
            conn_close(conns[i]);
            conns[i] = conn_open(conninfo);
        }
        break;
    case 11:
        if (pick(seed, 8) == 0)
            conn_reset(conns[i]);
        break;
    case 12:
        if (pick(seed, 20) == 0) {
            conn_group_close(groups[g]);
            groups[g] = conn_group_open();
        }
        break;
    default:
        conn_set_timeout_ms(conns[i], (long)pick(seed, 50));
        conn_poll(conns[i]);
    }
}

static void *other(void *argument)
{
    while (!stop)
        use(argument, 1);
    return NULL;
}

int main(int argc, char **argv)
{
    unsigned long long seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1, second = seed + 1;
    long long ms = argc > 3 ? strtoll(argv[3], NULL, 10) : 1000, end;
    unsigned long steps = 0;
    pthread_t thread;

    conninfo = argc > 1 ? argv[1] : "";
    for (int g = 0; g < GROUPS; g++)
        groups[g] = conn_group_open();
    for (int i = 0; i < CONNS; i++)
        conns[i] = conn_open(conninfo);
    printf("seed %llu\n", seed);
    /* So many milliseconds, or until everything has been seen, where the machine is slow. */
    for (end = now_ms() + ms / 2; now_ms() < end || ((moved == 0 || told == 0 || served[0] == 0) && steps < 100000); steps++)
        use(&seed, 0);
    for (int i = 0; i < CONNS; i++)
        conn_group_add(groups[i % GROUPS], conns[i], &conns[i]);
    pthread_create(&thread, NULL, other, &second);
    for (end = now_ms() + ms / 2; now_ms() < end;)
        use(&seed, 1);
    stop = 1;
    pthread_join(thread, NULL);

    /* After all of that every member is still of use, or over and says why. */
    for (int i = 0; i < CONNS; i++)
        conn_abandon(conns[i], 0);
    for (int g = 0; g < GROUPS; g++) {
        while (conn_group_pending(groups[g]) > 0) {
            ConnReady ready;

            check((conn_group_wait(groups[g], CONN_WAIT_ALL, 60000) & CONN_IDLE) != 0, "all of it ends");
            while (conn_group_get_ready(groups[g], &ready))
                take(ready.conn);
        }
    }
    for (int g = 0; g < GROUPS; g++)
        conn_group_close(groups[g]);
    for (int i = 0; i < CONNS; i++)
        conn_close(conns[i]);
    printf("started %lu and %lu, done %lu, told %lu, failed %lu, refused %lu, moved %lu\n", served[0], served[1], done, told, failed,
           refusals, moved);
    return moved == 0 || told == 0 || served[0] + served[1] == 0;
}
