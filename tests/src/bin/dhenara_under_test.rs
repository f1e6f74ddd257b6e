//! The `dhenara` command, where the tests of this package find it.

fn main() -> std::process::ExitCode {
    dad_cli::main()
}
