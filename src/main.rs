//! The `hook-keys` command.

fn main() -> std::process::ExitCode {
    hook_keys::cli::run()
}
