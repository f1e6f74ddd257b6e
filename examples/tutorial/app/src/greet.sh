# Greets whoever is named, or the world.
set -eu
. "$(dirname "$0")/words.sh"

name=${1:-world}
hello "$name"
