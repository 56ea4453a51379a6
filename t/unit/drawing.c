/* SPDX-License-Identifier: Apache-2.0 */
/* Drawings: labels and connections of Excalidraw scenes and of nodes and edges, words, and hostile input. */
#include "util/drawing.h"

#include "tap.h"

#include <apr_strings.h>
#include <apr_time.h>

#include "util/json_scan.h"
#include "util/text.h"
#include "util/words.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* A copy that ends where the text ends, so that the sanitizer finds every read beyond it. */
static const lh_drawing *read_bytes(apr_pool_t *p, const char *text, apr_size_t length)
{
    char *copy = malloc(length ? length : 1);
    const lh_drawing *drawing;

    memcpy(copy, text, length);
    drawing = lh_drawing_read(p, copy, length);
    free(copy);
    return drawing;
}

/* "scene shapes | label, label | from>to:label", with - for no label. */
static const char *summary(const char *text)
{
    const lh_drawing *drawing = read_bytes(tap_pool, text, strlen(text));
    char *out = apr_psprintf(tap_pool, "%d %d |", drawing->scene, drawing->shapes);
    int i;

    for (i = 0; i < drawing->label_count; i++) {
        out = apr_pstrcat(tap_pool, out, i ? ", " : " ", drawing->labels[i], NULL);
    }
    out = apr_pstrcat(tap_pool, out, " |", NULL);
    for (i = 0; i < drawing->connection_count; i++) {
        const lh_drawing_connection *c = &drawing->connections[i];
        out = apr_pstrcat(tap_pool, out, i ? ", " : " ", c->from ? c->from : "-", ">", c->to ? c->to : "-", ":",
                          c->label ? c->label : "-", NULL);
    }
    return out;
}

/* ---- what is read ---- */

#define ELEMENTS(...) "{\"type\":\"excalidraw\",\"elements\":[" __VA_ARGS__ "],\"appState\":{\"elements\":[{}]}}"
#define BOX(id, more) "{\"id\":\"" id "\",\"type\":\"rectangle\"" more "}"
#define TEXT(id, text, more) "{\"type\":\"text\",\"id\":\"" id "\",\"text\":\"" text "\"" more "}"
#define IN(id) ",\"containerId\":\"" id "\""
#define ARROW(id, from, to)                                                                                            \
    "{\"id\":\"" id "\",\"type\":\"arrow\",\"startBinding\":{\"focus\":0,\"elementId\":\"" from                        \
    "\"},\"endBinding\":{\"elementId\":\"" to "\"}}"

static const struct drawn {
    const char *text, *summary, *name;
} drawings[] = {
    {ELEMENTS(BOX("a", "") "," BOX("b", "") "," TEXT("t", "Web", IN("a")) "," TEXT("u", "Database", IN("b")) "," ARROW(
         "x", "a", "b") "," TEXT("v", "reads", IN("x"))),
     "1 6 | Web, Database, reads | Web>Database:reads", "Excalidraw: texts in containers name shapes and arrows"},
    {ELEMENTS(
         BOX("a", ",\"boundElements\":[{\"id\":\"x\",\"type\":\"arrow\"},{\"type\":\"text\",\"id\":\"t\"}]") "," TEXT(
             "t", "Web", "") "," ARROW("x", "a", "b")),
     "1 3 | Web | Web>-:-", "Excalidraw: boundElements name a shape"},
    {ELEMENTS(BOX("a", ",\"label\":{\"text\":\"Queue\"}") "," BOX(
         "b", ",\"label\":\"Worker\"") ","
                                       "{\"type\":\"arrow\",\"start\":{\"id\":\"a\"},\"end\":{\"id\":\"b\"}}"),
     "1 3 | Queue, Worker | Queue>Worker:-", "Excalidraw: labels of a skeleton"},
    {ELEMENTS(TEXT("t", "Gone", ",\"isDeleted\":true") "," TEXT("u", "Here", ",\"isDeleted\":false")), "1 1 | Here |",
     "deleted elements are ignored"},
    {ELEMENTS(BOX("a", ",\"isDeleted\":true")), "1 0 | |", "a scene of deleted elements is empty"},
    {ELEMENTS(BOX("a", ",\"isDeleted\":\"true\"")), "1 1 | |", "isDeleted counts if it is the boolean"},
    {ELEMENTS(ARROW("x", "a", "b")), "1 1 | |", "a connection without any label is omitted"},
    {ELEMENTS("{\"type\":\"frame\",\"name\":\"Region\"}"), "1 1 | Region |", "frames have names"},
    {"{\"nodes\":[{\"id\":\"1\",\"data\":{\"label\":\"API\"}},{\"id\":\"2\",\"label\":\"Cache\"},{\"id\":\"3\","
     "\"hidden\":true,\"label\":\"No\"}],\"edges\":[{\"id\":\"e\",\"source\":\"1\",\"target\":\"2\",\"label\":\"get\"},"
     "{\"source\":\"2\",\"target\":\"9\"}]}",
     "1 2 | API, Cache, get | API>Cache:get, Cache>-:-", "nodes and edges"},
    {"{\"edges\":[{\"source\":1,\"target\":2}],\"nodes\":[{\"id\":1,\"label\":\"A1\"},{\"id\":2,\"label\":\"B2\"}]}",
     "1 2 | A1, B2 | A1>B2:-", "ids may be numbers, and edges precede nodes"},
    {"{\"edges\":[{\"source\":\"1\",\"label\":\"x\"}]}", "0 0 | x | ->-:x", "edges alone are no scene"},
    {"{}", "0 0 | |", "an empty object"},
    {"", "0 0 | |", "an empty text"},
    {"[{\"elements\":[{}]}]", "0 0 | |", "an array is no drawing"},
    {"{\"elements\":[]}", "1 0 | |", "no elements"},
    {"{\"elements\":{\"a\":{}}}", "0 0 | |", "elements as an object"},
    {"{\"elements\":null,\"nodes\":\"[{}]\"}", "0 0 | |", "elements and nodes of other types"},
    {ELEMENTS("1,null,\"x\",[{}],true,{}"), "1 1 | |", "entries that are no objects are ignored"},
    {ELEMENTS(BOX("a", ",\"text\":5,\"label\":[\"x\"],\"boundElements\":{\"id\":1},\"startBinding\":\"a\"")), "1 1 | |",
     "members of other types are ignored"},
    {ELEMENTS(TEXT("a", "  two\\n\\tlines \\u0041\\u00e9\\ud83d\\ude00 ", "")),
     "1 1 | two lines A\xC3\xA9\xF0\x9F\x98\x80 |", "escapes are decoded, white space becomes single spaces"},
    {ELEMENTS(TEXT("a", "\\ud83d \\udc00x \\uZZZZ \\q \\u0000", "")),
     "1 1 | \xEF\xBF\xBD \xEF\xBF\xBDx \xEF\xBF\xBDZZZ \xEF\xBF\xBDq \xEF\xBF\xBD |", "invalid escapes are marked"},
    {ELEMENTS(TEXT("a", "a\xFF\xC3z", "")), "1 1 | a\xEF\xBF\xBD\xEF\xBF\xBDz |", "invalid UTF-8 is marked"},
    {ELEMENTS(TEXT("a", " \\n ", "")), "1 1 | |", "a label of white space is none"},
    {ELEMENTS(TEXT("a", "", ",\"label\":\"second\"")), "1 1 | second |", "an empty text does not hide the label"},
    {ELEMENTS(TEXT("a", "Cac\\nhe", ",\"originalText\":\"Cache\"")), "1 1 | Cache |",
     "the text that an editor has not wrapped takes precedence"},
    {ELEMENTS("{\"originalText\":\"Data base\",\"text\":\"Data\\nbase\"}"), "1 1 | Data base |", "in any order"},
};

static void test_drawings(void)
{
    apr_size_t i;

    for (i = 0; i < COUNT(drawings); i++) {
        is_str(summary(drawings[i].text), drawings[i].summary, drawings[i].name);
    }
}

/* ---- words ---- */

static const struct named {
    const char *label, *requirement;
    int named;
} names[] = {{"Load Balancer", "Use a load balancer.", 1},
             {"databases", "Store the links in a Database", 1},
             {"Redis cache", "caching of popular links", 1},
             {"Message queues", "A queue for mails", 1},
             {"queries", "Answer a query quickly", 1},
             {"cookies", "Set a cookie", 1},
             {"boxes", "Box", 1},
             {"shards", "sharded storage", 1},
             {"Planning", "plan", 1},
             {"rate-limiter", "RATE LIMITING", 1},
             {"S3", "Keep files in S3", 1},
             {"API\xE2\x86\x92"
              "DB",
              "a db", 1},
             {"\xC3\x9C"
              "bung",
              "die \xC3\xBC"
              "bung",
              1},
             {"\xD0\xA1\xD0\x95\xD0\xA0", "\xD1\x81\xD0\xB5\xD1\x80", 1},
             {"\xF0\x9F\x9A\x80"
              "Cache",
              "a cache", 1},
             {"Cache\xC2\xA0Store", "a cache", 1},
             {"Cache\xE3\x80\x82"
              "DB",
              "a cache", 1},
             {"Service", "server", 0},
             {"A", "A database of x", 0},
             {"x", "Plan x", 0},
             {"1000", "1000 requests", 0},
             {"the system", "The system should use a cache", 0},
             {"data", "database", 0},
             {"bus", "buses on a map", 1},
             {"class", "classes", 1},
             {"s", "user's", 0},
             {"", "anything", 0},
             {"anything", "", 0}};

static void test_words(void)
{
    lh_words *words;
    apr_size_t i;
    int many;

    for (i = 0; i < COUNT(names); i++) {
        words = lh_words_create(tap_pool);
        lh_words_add(words, names[i].label);
        ok(lh_words_share(words, names[i].requirement) == names[i].named, "\"%s\" %s \"%s\"", names[i].label,
           names[i].named ? "names" : "does not name", names[i].requirement);
    }
    words = lh_words_create(tap_pool);
    for (many = 0; many < 30000; many++) {
        lh_words_add(words, apr_psprintf(tap_pool, "word%dx", many));
    }
    ok(lh_words_share(words, "word19999x") && !lh_words_share(words, "word20001x"), "a set has at most 20,000 stems");
    words = lh_words_create(tap_pool);
    lh_words_add(words, apr_psprintf(tap_pool, "%0*d%s", 100000, 0, "tail"));
    ok(lh_words_share(words, apr_psprintf(tap_pool, "%0*d%s", 50000, 0, "x")), "a long word is cut");
}

static void test_names(void)
{
    const char *text = ELEMENTS(TEXT("a", "Load balancers", "") "," TEXT("b", "Queue", ",\"isDeleted\":true"));
    const lh_drawing *drawing = lh_drawing_read(tap_pool, text, strlen(text));

    ok(lh_drawing_names(drawing, "One load balancer"), "a label names a requirement");
    ok(!lh_drawing_names(drawing, "A queue"), "a deleted label does not");
}

/* ---- limits and hostile input ---- */

/* `part`, repeated, between `before` and `after`. */
static const lh_drawing *read_repeated(apr_pool_t *p, const char *before, const char *part, int times,
                                       const char *after)
{
    apr_size_t size = strlen(part), start = strlen(before), length = start + size * (apr_size_t)times + strlen(after);
    char *text = malloc(length + 1);
    const lh_drawing *drawing;
    int i;

    strcpy(text, before);
    for (i = 0; i < times; i++) {
        memcpy(text + start + size * (apr_size_t)i, part, size);
    }
    strcpy(text + length - strlen(after), after);
    drawing = lh_drawing_read(p, text, length);
    free(text);
    return drawing;
}

static void test_limits(void)
{
    const lh_drawing *drawing =
        read_repeated(tap_pool, "{\"elements\":[", TEXT("a", "word", "") "," ARROW("x", "a", "a") ",", 30000, "{}]}");

    is_int(drawing->shapes, 60001, "all shapes are counted");
    is_int(drawing->label_count, LH_DRAWING_LABELS, "the number of labels is limited");
    is_int(drawing->connection_count, LH_DRAWING_CONNECTIONS, "the number of connections is limited");
    drawing = read_repeated(tap_pool, "{\"nodes\":[{\"label\":\"", "\xE2\x82\xAC ", 5000, "\"}]}");
    is_int((int)lh_utf8_length(drawing->labels[0]), LH_DRAWING_CHARACTERS - 1,
           "the length of a label is limited; a space at its end is removed");
    drawing = read_repeated(tap_pool, "{\"nodes\":[{\"label\":\"", "\xF0\x9F\x98\x80", 5000, "\"}]}");
    is_int((int)strlen(drawing->labels[0]), 4 * LH_DRAWING_CHARACTERS, "a label is cut between characters");
}

/* Inputs of 2 MiB (in small: 256 KiB) that are slow for a reader that is not linear, or that recurses. */
static void test_large(void)
{
    static const struct large {
        const char *before, *part, *after, *name;
    } cases[] = {{"{\"elements\":", "[", "", "nested arrays"},
                 {"{\"elements\":[", "{\"label\":", "", "nested objects"},
                 {"{\"elements\":[{\"points\":[", "[1,2],", "0]}]}", "a freehand line"},
                 {"{\"elements\":[", "{},", "{}]}", "empty elements"},
                 {"{\"elements\":[{", "\"boundElements\":[{}],", "\"a\":1}]}", "repeated members"},
                 {"{\"elements\":[{\"text\":\"", "\\u0041", "\"}]}", "a long label"},
                 {"{\"elements\":[{\"text\":\"", " ", "\"}]}", "a label of spaces"},
                 {"", "{\"", "", "unclosed strings"},
                 {"{\"nodes\":[", "\"", "", "quotes"},
                 {"{\"nodes\":[", "]", "", "closing brackets"},
                 {"{", "\"nodes\":[{\"id\":1}],", "\"x\":1}", "repeated nodes"}};
    apr_size_t i;

    for (i = 0; i < COUNT(cases); i++) {
        apr_pool_t *pool;
        apr_time_t start = apr_time_now();
        int times = (int)((tap_quick() ? 262144 : 2097152) / strlen(cases[i].part));

        apr_pool_create(&pool, tap_pool);
        ok(read_repeated(pool, cases[i].before, cases[i].part, times, cases[i].after) != NULL &&
               apr_time_now() - start < apr_time_from_sec(10),
           "2 MiB of %s", cases[i].name);
        apr_pool_destroy(pool);
    }
}

/* Every prefix of a drawing, and a drawing with each byte replaced. */
static void test_broken(void)
{
    static const char bytes[] = "\"\\{}[],:u\x80\xFF\n0";
    const char *text = drawings[1].text;
    apr_size_t length = strlen(text), at, i, read = 0;
    char *broken = apr_pstrdup(tap_pool, text);
    apr_pool_t *pool;

    for (at = 0; at <= length; at++) {
        apr_pool_create(&pool, tap_pool);
        read += read_bytes(pool, text, at) != NULL;
        for (i = 0; at < length && i < sizeof(bytes); i++) {
            broken[at] = bytes[i];
            read += read_bytes(pool, broken, length) != NULL;
        }
        broken[at] = text[at];
        apr_pool_destroy(pool);
    }
    is_int((long long)read, (long long)(length + 1 + length * sizeof(bytes)), "truncated and broken drawings are read");
}

/* ---- raw JSON ---- */

static void test_scan(void)
{
    lh_slice text = {"{\"a\" : 1 , \"b\":[\"x,]\" , {}]}", 29};
    lh_scan scan = lh_scan_open(text);
    lh_scan_item item;

    ok(lh_scan_next(&scan, &item) && lh_slice_is(item.key, "a") && lh_slice_is(item.value, "1"), "a first member");
    ok(lh_scan_next(&scan, &item) && lh_slice_is(item.key, "b"), "a second member");
    ok(!lh_scan_next(&scan, &item), "the end of an object");
    scan = lh_scan_open(item.value);
    ok(lh_scan_next(&scan, &item) && lh_slice_is(item.value, "\"x,]\"") && !item.key.data, "a first entry");
    ok(lh_scan_next(&scan, &item) && lh_slice_is(item.value, "{}"), "a second entry");
    ok(!lh_scan_next(&scan, &item), "the end of an array");
}

int main(void)
{
    tap_begin();
    test_drawings();
    test_words();
    test_names();
    test_limits();
    test_large();
    test_broken();
    test_scan();
    return tap_end();
}
