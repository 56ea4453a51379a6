# SPDX-License-Identifier: Apache-2.0
# Functions of csv.awk, lines.awk and array.awk. They work on bytes (LC_ALL=C).

# Whether a text is UTF-8.
function is_utf8(text) {
    if (text !~ /[\200-\377]/)
        return 1
    gsub(/[\302-\337][\200-\277]/, "", text)
    gsub(/\340[\240-\277][\200-\277]/, "", text)
    gsub(/\355[\200-\237][\200-\277]/, "", text)
    gsub(/[\341-\354\356\357][\200-\277][\200-\277]/, "", text)
    gsub(/\360[\220-\277][\200-\277][\200-\277]/, "", text)
    gsub(/[\361-\363][\200-\277][\200-\277][\200-\277]/, "", text)
    gsub(/\364[\200-\217][\200-\277][\200-\277]/, "", text)
    return text !~ /[\200-\377]/
}

# A text as a value of COPY's text format.
function copied(text) {
    if (text ~ /[\\\t\n\r]/) {
        gsub(/\\/, "&&", text)
        gsub(/\t/, "\\t", text)
        gsub(/\n/, "\\n", text)
        gsub(/\r/, "\\r", text)
    }
    return text
}

# Prints a row; `problem` is empty if there is none.
function put(line, object, problem) {
    if (problem == "" && !is_utf8(object))
        problem = "The text is not UTF-8."
    if (problem != "")
        printf "%d\t\\N\t%s\n", line, problem
    else
        printf "%d\t%s\t\\N\n", line, object
    count()
}

# Seconds since 1970.
function clock() {
    srand()
    return srand()
}

function start_clock() {
    started = shown = clock()
}

# Counts a row, and shows the progress every five seconds.
function count(    now) {
    if (++rows % 10000 == 0 && (now = clock()) >= shown + 5) {
        printf "  %s: %d rows read (%d/s)\n", name, rows, rows / (now - started) >"/dev/stderr"
        shown = now
    }
}
