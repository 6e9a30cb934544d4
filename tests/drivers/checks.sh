# For the checks that are shell scripts: sourced, not run. What fails ends the script and says why.

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# How long to wait for something that is going to happen, in tenths of a second.
patience=300

passed() { printf 'ok: %s\n' "$1"; }

# failed WHAT [FILE...]: shows the files too.
failed() {
    printf 'FAILED: %s\n' "$1" >&2
    shift
    [ $# -eq 0 ] || cat "$@" >&2
    exit 1
}

# same WHAT EXPECTED ACTUAL
same() {
    [ "$2" = "$3" ] || failed "$1: expected <$2>, got <$3>"
    passed "$1"
}

# contains WHAT FILE TEXT...
contains() {
    what=$1 file=$2
    shift 2
    for text in "$@"; do
        grep -qF -- "$text" "$file" || failed "$what: there is no <$text> in" "$file"
    done
    passed "$what"
}
