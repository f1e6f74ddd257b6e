//! The page of the commands, against the command itself.

use crate::harness::workspace;

#[test]
fn the_page_of_the_commands_is_what_the_command_says_of_itself() {
    let file = "docs/reference/command-line.md";
    let page = std::fs::read_to_string(workspace().join(file)).unwrap();
    let described = dad_cli::reference();
    if page == described {
        return;
    }
    let lines = page.lines().zip(described.lines());
    let same = lines
        .take_while(|(written, described)| written == described)
        .count();
    let line = same + 1;
    let now = described.lines().nth(same).unwrap_or("(nothing)");
    panic!("{file}:{line}: the command says `{now}` now; `cargo xtask reference --update` writes the page");
}
