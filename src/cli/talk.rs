//! All that is said and printed: the only file that writes to stdout or stderr, and draws bars.
//!
//! Names, messages and documents come from task files, checkpoints, servers and data. What goes through here is harmless: it cannot
//! repaint the terminal, turn the direction of writing or make lines of its own.

use crate::error::{Error, Result};
use crate::remark::{Remark, Weight, gather};
use crate::visible;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::fmt::Display;
use std::io::{self, IsTerminal, Write};

/// Warnings of one kind that are said.
const MOST_WARNINGS: usize = 20;

/// Says one line on stderr.
pub fn say(text: impl Display) {
    let text = visible::message(&text.to_string());
    // Nobody listens to a closed stderr.
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// Says a note.
pub fn note(text: impl Display) {
    say(format_args!("note: {text}"));
}

/// Says a warning.
pub fn warning(text: impl Display) {
    say(format_args!("warning: {text}"));
}

/// Says warnings, of many the first ones and how many more there are.
pub fn warnings(all: &[String]) {
    all.iter().take(MOST_WARNINGS).for_each(warning);
    if all.len() > MOST_WARNINGS {
        warning(format_args!("and {} more of this kind", all.len() - MOST_WARNINGS));
    }
}

/// Says an error, with its hint in a second line. `of`: whose it is, where it does not end the command.
pub fn error(of: Option<&str>, error: &Error) {
    let of = of.map(|of| format!("{}: ", visible::message(of))).unwrap_or_default();
    // Its own display makes its parts harmless; line breaks are those between message and hint.
    let _ = writeln!(io::stderr().lock(), "error: {of}{}", visible::block(&error.to_string()));
}

/// Shows help, a version, or a complaint about arguments. `harmless`: the complaint about the same arguments without codes, if there is
/// one.
pub fn usage(harmless: &Option<clap::Error>, complaint: &clap::Error) {
    let _ = match harmless {
        Some(complaint) => complaint.print(),
        None => writeln!(io::stderr().lock(), "{}", visible::block(&complaint.to_string())),
    };
}

/// Says remarks, equal ones in one line.
pub fn remarks(remarks: &[Remark]) {
    for gathered in gather(remarks) {
        match gathered.weight {
            Weight::Note => note(gathered.line()),
            Weight::Warning => warning(gathered.line()),
        }
    }
}

/// Prints on stdout: text of several lines without any codes. A closed pipe (`| head`) ends the program quietly.
pub fn print(text: &str) -> Result<()> {
    write(&visible::block(text))
}

/// Prints what may have colours of our own.
pub fn print_styled(text: &str) -> Result<()> {
    write(&visible::styled(text))
}

/// Prints JSON; it stays the same JSON.
pub fn print_json(text: &str) -> Result<()> {
    write(&visible::json(text))
}

fn write(text: &str) -> Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() != io::ErrorKind::BrokenPipe => Err(Error::input("cannot write to stdout").cause(e)),
        _ => Ok(()),
    }
}

/// Whether bars can be seen.
pub fn has_bars() -> bool {
    io::stderr().is_terminal()
}

/// A bar on stderr.
pub struct Bar(ProgressBar);

impl Bar {
    /// None that can be seen.
    pub fn hidden() -> Bar {
        Bar(ProgressBar::hidden())
    }

    /// A bar up to `total` that is drawn `hertz` times a second; see [`Bar::template`].
    pub fn start(total: Option<u64>, hertz: u8, template: &str, prefix: &str) -> Bar {
        let bar = Bar(ProgressBar::with_draw_target(total, ProgressDrawTarget::stderr_with_hz(hertz)));
        bar.template(template);
        bar.0.set_prefix(visible::message(prefix));
        bar
    }

    /// What is drawn, in indicatif's words: `{prefix} {bar:24} {human_pos}/{human_len}`.
    pub fn template(&self, template: &str) {
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style.progress_chars("━╸ "));
        }
    }

    /// Sets what stands for `{msg}`.
    pub fn message(&self, text: &str) {
        self.0.set_message(visible::message(text));
    }

    pub fn length(&self, length: u64) {
        self.0.set_length(length);
    }

    pub fn position(&self, position: u64) {
        self.0.set_position(position);
    }

    /// Whether nobody can see it: there is none, or no terminal.
    pub fn is_hidden(&self) -> bool {
        self.0.is_hidden()
    }

    /// Forgets the rate so far.
    pub fn reset_eta(&self) {
        self.0.reset_eta();
    }

    /// Says a line above the bar.
    pub fn say(&self, text: impl Display) {
        self.0.suspend(|| say(text));
    }

    /// Takes the bar away.
    pub fn clear(&self) {
        self.0.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    /// What `clippy::print_stderr` does not see is looked for in the sources.
    #[test]
    fn nobody_else_writes_to_the_terminal() {
        let folder = std::path::Path::new("src");
        let mut pending = vec![folder.to_path_buf()];
        let mut wrong = Vec::new();
        while let Some(path) = pending.pop() {
            if path.is_dir() {
                pending.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let name = path.to_string_lossy();
            let tests = ["tests.rs", "testing.rs", "score/parity.rs"].iter().any(|end| name.ends_with(end));
            let spared = |word: &str| match word {
                "comfy_table" => name.ends_with("report/grid.rs"),
                // Asking whether it is a terminal, and how wide, is no writing.
                _ => name.ends_with("cli/talk.rs"),
            };
            for word in [
                "eprint!",
                "eprintln!",
                " println!",
                " print!",
                "io::stderr()",
                "stdout().lock",
                "indicatif",
                "comfy_table",
            ] {
                // What stands below `#[cfg(test)]` is not part of the program.
                let program = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
                let code = program.lines().filter(|line| !line.trim_start().starts_with("//"));
                if !tests && !spared(word) && code.into_iter().any(|line| line.contains(word)) {
                    wrong.push(format!("{name}: {word}"));
                }
            }
        }
        assert!(wrong.is_empty(), "text goes to the terminal past cli/talk.rs: {wrong:#?}");
    }
}
