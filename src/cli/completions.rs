//! `fairmark completions`: scripts that teach a shell fairmark's verbs, flags and values.

use crate::error::Result;
use clap::{Args, Command};
use clap_complete::Shell;
use std::process::ExitCode;

/// Flags of `fairmark completions`.
#[derive(Args)]
#[command(after_help = WHERE)]
pub struct CompletionsArgs {
    #[arg(value_enum, value_name = "SHELL")]
    shell: Shell,
}

const WHERE: &str = "\
Where the script goes:
  bash        fairmark completions bash > ~/.local/share/bash-completion/completions/fairmark
  zsh         fairmark completions zsh > DIR/_fairmark, with DIR a folder of $fpath
  fish        fairmark completions fish > ~/.config/fish/completions/fairmark.fish
  powershell  fairmark completions powershell >> $PROFILE
  elvish      fairmark completions elvish >> ~/.config/elvish/rc.elv";

/// Prints the script on stdout.
pub fn completions(args: &CompletionsArgs, mut command: Command) -> Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "fairmark", &mut script);
    super::print(&String::from_utf8_lossy(&script))?;
    Ok(ExitCode::SUCCESS)
}
