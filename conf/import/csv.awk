# SPDX-License-Identifier: Apache-2.0
# Reads CSV (RFC 4180) with a line of column names, and prints each row as an object of strings. As in COPY, an empty
# value without quotes is null.

BEGIN {
    start_clock()
    max_lines = 10000 # of one row
}

NR == 1 {
    sub(/^\357\273\277/, "")
    if (!parse(without_cr($0)) || $0 !~ /[^ \t\r]/)
        fail("its first line is no list of column names")
    for (i = 1; i <= fields; i++) {
        title = tolower(value[i])
        gsub(/^[ \t]+|[ \t]+$/, "", title)
        if (title !~ /^[a-z0-9_.]+$/)
            fail("column " i " has no name of letters, digits, dots and underscores: is the first line missing?")
        if (title in seen)
            fail("two columns have the name " title)
        seen[title] = 1
        key[i] = "\"" title "\":"
    }
    columns = fields
    next
}

{
    quotes = index($0, "\"") ? gsub(/"/, "\"") : 0
    if (!open) {
        if ($0 !~ /[^\r]/)
            next
        row = $0
        first = NR
    }
    else
        row = row "\n" $0
    if (quotes % 2)
        open = !open
    if (open && NR - first + 1 < max_lines)
        next
    write_row(open ? "A quote is not closed; the row was read up to line " NR "." : "")
    open = 0
}

END {
    if (open)
        write_row("A quote is not closed; the row was read up to the end of the file.")
    if (failed)
        exit 1
    if (!NR)
        fail("it is empty: not even column names")
}

function fail(why) {
    printf "learnhub: %s: %s.\n", name, why >"/dev/stderr"
    failed = 1
    exit 1
}

function without_cr(text) {
    sub(/\r$/, "", text)
    return text
}

# Sets fields, value[] and quoted[]. Returns 0 if the quotes are wrong.
function parse(text,    parts, part, i, pieces, piece, n) {
    if (!index(text, "\"")) {
        fields = split(text, value, ",")
        if (text == "") {
            fields = 1
            value[1] = ""
        }
        plain = 1
        return 1
    }
    plain = 0
    n = split(text, part, "\"")
    fields = 1
    value[1] = ""
    quoted[1] = 0
    for (i = 1; i <= n; i++) {
        if (i % 2 == 0) { # inside quotes
            value[fields] = value[fields] part[i]
            continue
        }
        if (part[i] == "") {
            if (i > 1 && i < n) {
                if (quoted[fields] == 2)
                    value[fields] = value[fields] "\""
                else
                    quoted[fields] = 2
            }
            else if (i == 1)
                quoted[1] = 2
            continue
        }
        pieces = split(part[i], piece, ",")
        if ((i > 1 && piece[1] != "") || (i < n && piece[pieces] != ""))
            return 0
        if (i == 1)
            value[1] = piece[1]
        for (parts = 2; parts <= pieces; parts++) {
            value[++fields] = piece[parts]
            quoted[fields] = 0
        }
        if (i < n)
            quoted[fields] = 2
    }
    return 1
}

function write_row(problem,    i, object, text, comma) {
    row = without_cr(row)
    if (problem == "" && !parse(row))
        problem = "A quote stands in the middle of a value."
    if (problem == "" && fields != columns)
        problem = "The row has " fields " values, the first line " columns " names."
    if (problem == "") {
        object = "{"
        for (i = 1; i <= fields; i++) {
            text = value[i]
            if (text == "" && (plain || !quoted[i]))
                continue
            object = object comma key[i] "\"" (text ~ /[\\"\001-\037]/ ? escaped(text) : text) "\""
            comma = ","
        }
        object = object "}"
    }
    put(first, copied(object), problem)
}

# A string of JSON. Control characters without a short escape become \u0001.
function escaped(text) {
    gsub(/\\/, "&&", text)
    gsub(/"/, "\\\\&", text)
    gsub(/\t/, "\\t", text)
    gsub(/\n/, "\\n", text)
    gsub(/\r/, "\\r", text)
    gsub(/[\001-\037]/, "\\u0001", text)
    return text
}
