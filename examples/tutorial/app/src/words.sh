# What can be said, and to whom.

hello() {
    printf 'Hello, %s!\n' "$1"
}
