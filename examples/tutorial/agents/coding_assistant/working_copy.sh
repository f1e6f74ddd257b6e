# Makes the git working copy $2 of the source tree $1 if there is none, so that the tree itself stays as it is.
source=$1
target=$2
if [ -d "$target/.git" ]; then
    echo "the working copy $target is there already"
    exit 0
fi
rm -rf "$target.new"
mkdir -p "$target.new"
cp -R "$source/." "$target.new"
cd "$target.new"
git init --quiet
# Commits need a name; the working copy has its own, for any user.
git config user.name "Coding assistant"
git config user.email coding-assistant@localhost
git config commit.gpgsign false
git add --all
git commit --quiet --message "The source tree"
mv "$target.new" "$target"
echo "copied $source to $target"
