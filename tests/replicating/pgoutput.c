/* Feeds messages of pgoutput to c_examples/pgoutput.h: whole, cut off at every byte, and with every byte changed. Each lies in
 * memory of its own size, so that a checker sees a step beyond its end. On the screen: what the whole ones say. */
#include "../../c_examples/pgoutput.h"

#define MESSAGE(name, bytes) static const char name[] = bytes

MESSAGE(relation, "R\0\0\0\7public\0t\0d\0\2\1id\0\0\0\0\27\377\377\377\377\0name\0\0\0\0\31\377\377\377\377");
MESSAGE(begin, "B12345678" "12345678" "1234");
MESSAGE(insert, "I\0\0\0\7N\0\2t\0\0\0\1" "1t\0\0\0\3Ada");
MESSAGE(update, "U\0\0\0\7K\0\2t\0\0\0\1" "1nN\0\2t\0\0\0\1" "2u");
MESSAGE(erase, "D\0\0\0\7O\0\2t\0\0\0\1" "2n");
MESSAGE(empty, "T\0\0\0\1\0\0\0\0\7");
MESSAGE(commit, "C\0" "12345678" "12345678" "12345678");

static const struct { const char *bytes; size_t length; } all[] = {
    {begin, sizeof begin - 1}, {relation, sizeof relation - 1}, {insert, sizeof insert - 1},
    {update, sizeof update - 1}, {erase, sizeof erase - 1}, {empty, sizeof empty - 1}, {commit, sizeof commit - 1}};

/* A copy with not a byte behind it. */
static int print(Relations *relations, const char *bytes, size_t length, size_t changed, int to)
{
    unsigned char *copy = malloc(length ? length : 1);
    int good;

    memcpy(copy, bytes, length);
    if (changed < length)
        copy[changed] = (unsigned char)to;
    good = pgoutput_print(relations, copy, length);
    free(copy);
    return good;
}

/* What is around them: a keepalive, and XLogData with a commit; whole and cut off. */
static int messages_of_the_stream(void)
{
    static const char keepalive[] = "k\0\0\0\0\0\0\0\11" "12345678\1";
    static const char data[] = "w\0\0\0\0\0\0\0\12" "12345678" "12345678" "C\0" "12345678" "12345678" "12345678";
    unsigned char update[STATUS_UPDATE];
    Stream stream = {{0, NULL}, 0, 0, 0};
    size_t at;

    for (at = 0; at < sizeof data - 1; at++) {
        unsigned char *copy = malloc(at + 1);
        int good;

        memcpy(copy, at < sizeof keepalive - 1 ? keepalive : data, at);
        good = at < sizeof keepalive - 1 && stream_take(&stream, copy, at);
        memcpy(copy, data, at);
        good |= stream_take(&stream, copy, at);
        free(copy);
        if (good || stream.position != 0 || stream.asked)
            return 3;
    }
    if (!stream_take(&stream, keepalive, sizeof keepalive - 1) || stream.position != 9 || !stream.asked)
        return 4;
    if (!stream_take(&stream, data, sizeof data - 1) || stream.position != 10 || stream.commits != 1)
        return 5;
    stream_status(&stream, update);
    stream_free(&stream);
    return update[0] == 'r' && update[8] == 10 && update[16] == 10 && update[24] == 10 ? 0 : 6;
}

int main(void)
{
    static const int values[] = {0, 1, 127, 128, 255, 'N', 't', 'n', 'R', 'T'};
    Relations relations = {0, NULL}, damaged = {0, NULL};
    size_t which, at, value;

    for (which = 0; which < sizeof all / sizeof *all; which++)
        if (!print(&relations, all[which].bytes, all[which].length, (size_t)-1, 0))
            return 1;
    puts("--");
    for (which = 0; which < sizeof all / sizeof *all; which++)
        for (at = 0; at < all[which].length; at++) {
            if (print(&relations, all[which].bytes, at, (size_t)-1, 0) && all[which].bytes == insert)
                return 2; /* Cut off, and not noticed. */
            print(&relations, relation, sizeof relation - 1, (size_t)-1, 0);
            for (value = 0; value < sizeof values / sizeof *values; value++) {
                print(&damaged, relation, sizeof relation - 1, at, values[value]);
                print(&damaged, all[which].bytes, all[which].length, at, values[value]);
                print(&relations, all[which].bytes, all[which].length, at, values[value]);
                print(&relations, relation, sizeof relation - 1, (size_t)-1, 0);
            }
        }
    forget_relations(&relations);
    forget_relations(&damaged);
    return messages_of_the_stream();
}
