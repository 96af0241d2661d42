//! The `fairmark` binary: flags in, exit code out.

fn main() -> std::process::ExitCode {
    fairmark::cli::main()
}
