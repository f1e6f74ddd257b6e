# Makes the git working copy $2 of the source tree $1 if there is none.
source=$(cd "$1" && pwd -P)
target=$2
if [ -d "$target/.git" ]; then
    echo "the working copy $target is there already"
    exit 0
fi
rm -rf "$target.new"
mkdir -p "$target.new"
if [ "$(git -C "$source" rev-parse --show-toplevel 2>/dev/null)" = "$source" ] &&
    git clone --quiet "$source" "$target.new"; then
    echo "cloned $source"
else
    # An unpacked archive: its files become the first commit.
    tar -C "$source" --exclude=./target --exclude=./.git --exclude='*/runs' -cf - . | tar -C "$target.new" -xf -
    git -C "$target.new" init --quiet
    git -C "$target.new" add --all
    git -C "$target.new" -c user.name=autocoder -c user.email=autocoder@localhost commit --quiet --message "The source tree"
    echo "copied $source"
fi
mv "$target.new" "$target"
