//! Prints the reference of the command line, for `cargo xtask reference`.
#![expect(clippy::print_stdout, reason = "the page is the output of this program")]

fn main() {
    print!("{}", dad_cli::reference());
}
