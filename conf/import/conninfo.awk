# SPDX-License-Identifier: Apache-2.0
# Prints the connection string in the environment variable DATABASE without its password, or with want=password only
# the password. It is a URI or a list of KEY=VALUE, in which a value may stand in single quotes.

BEGIN {
    text = ENVIRON["DATABASE"]
    if (text ~ /^postgres(ql)?:\/\//)
        read_uri()
    else
        read_list()
    printf "%s", want == "password" ? password : rest
}

function read_uri(    start, user) {
    start = index(text, "://") + 3
    rest = substr(text, 1, start - 1)
    text = substr(text, start)
    if (match(text, /^[^\/@]*@/)) {
        user = substr(text, 1, RLENGTH - 1)
        text = substr(text, RLENGTH + 1)
        if (start = index(user, ":")) {
            password = decoded(substr(user, start + 1))
            user = substr(user, 1, start - 1)
        }
        rest = rest user "@"
    }
    if (match(text, /[?&]password=[^&]*/)) {
        user = substr(text, RSTART + 10, RLENGTH - 10)
        text = substr(text, 1, RSTART) substr(text, RSTART + RLENGTH + 1)
        sub(/[?&]$/, "", text)
        password = decoded(user)
    }
    rest = rest text
}

function read_list(    key, value) {
    while (match(text, /^[ \t\n]*[^ \t\n=]+[ \t\n]*=[ \t\n]*('([^'\\]|\\.)*'|([^ \t\n\\]|\\.)*)/)) {
        value = substr(text, RSTART, RLENGTH)
        text = substr(text, RSTART + RLENGTH)
        key = value
        sub(/[ \t\n]*=.*/, "", key)
        sub(/^[ \t\n]*/, "", key)
        if (key != "password") {
            rest = rest value
            continue
        }
        sub(/^[^=]*=[ \t\n]*/, "", value)
        if (value ~ /^'/)
            value = substr(value, 2, length(value) - 2)
        password = ""
        while (match(value, /\\./)) {
            password = password substr(value, 1, RSTART - 1) substr(value, RSTART + 1, 1)
            value = substr(value, RSTART + 2)
        }
        password = password value
    }
    rest = rest text
}

# Decodes %XX.
function decoded(text,    out, digits, byte) {
    digits = "123456789abcdef"
    while (match(text, /%[0-9A-Fa-f][0-9A-Fa-f]/)) {
        byte = index(digits, tolower(substr(text, RSTART + 1, 1))) * 16
        byte += index(digits, tolower(substr(text, RSTART + 2, 1)))
        out = out substr(text, 1, RSTART - 1) sprintf("%c", byte)
        text = substr(text, RSTART + 3)
    }
    return out text
}
