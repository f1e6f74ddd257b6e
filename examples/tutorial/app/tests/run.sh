# Compares what the program says with what it should say.
set -eu
cd "$(dirname "$0")/.."

says() {
    wanted=$1
    shift
    said=$(sh src/greet.sh "$@")
    if [ "$said" != "$wanted" ]; then
        echo "expected '$wanted', got '$said'"
        exit 1
    fi
    echo "ok: $said"
}

says 'Hello, world!'
says 'Hello, Ada!' Ada
