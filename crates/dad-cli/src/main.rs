//! The `dhenara` command.

fn main() -> std::process::ExitCode {
    dad_cli::main()
}
