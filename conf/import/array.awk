# SPDX-License-Identifier: Apache-2.0
# Reads a JSON array of objects, as dumpdata and mongoexport --jsonArray write it, with any white space. Records are
# separated by quotes: they are inside and outside of strings in turns. Parts of an object are printed as they come, so
# that its size does not matter.

BEGIN {
    RS = "\""
    start_clock()
    line = 1
}

{
    if (inside)
        put_string($0)
    else
        put_structure($0)
}

END {
    if (depth > 1)
        end_object("The file ends within this object.")
    else if (depth || !complete) {
        printf "learnhub: %s: the array is not closed.\n", name >"/dev/stderr"
        exit 1
    }
}

# Part of a string, up to a quote. After an odd number of backslashes, the quote belongs to the string.
function put_string(text,    tail) {
    tail = match(text, /\\+$/) ? RLENGTH : 0
    put_part(text "\"")
    inside = tail % 2
    line += gsub(/\n/, "", text)
}

# What stands between two strings; the quote that begins the next string follows.
function put_structure(text,    c) {
    while (match(text, /[][{}\n]/)) {
        c = substr(text, RSTART, 1)
        if (depth > 1)
            put_part(substr(text, 1, RSTART - 1))
        text = substr(text, RSTART + 1)
        if (c == "\n") {
            line++
            if (depth > 1)
                put_part(" ")
        }
        else if (c == "{" || c == "[")
            open_bracket(c)
        else
            close_bracket(c)
    }
    if (depth > 1)
        put_part(text "\"")
    inside = 1
}

function open_bracket(c) {
    if (++depth == 2) {
        objects = line == last_line ? objects + 1 : 1
        last_line = line
        printf "%d%s\t", line, (objects > 1 ? ":" objects : "")
        bad = 0
    }
    if (depth > 1)
        put_part(c)
}

function close_bracket(c) {
    if (depth > 1)
        put_part(c)
    if (--depth == 1)
        end_object(bad ? "The text is not UTF-8." : "")
    if (depth == 0)
        complete = 1
}

function end_object(problem) {
    printf "\t%s\n", problem == "" ? "\\N" : problem
    count()
}

function put_part(text) {
    if (depth < 2)
        return
    if (!bad && !is_utf8(text))
        bad = 1
    if (bad)
        gsub(/[\200-\377]/, "?", text)
    printf "%s", copied(text)
}
