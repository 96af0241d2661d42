//! `fairmark man`: manual pages in roff, made from the flags and from what [`guide`] says.

use super::guide;
use crate::error::{Error, Result};
use crate::file;
use clap::{Args, Command};
use clap_mangen::Man;
use clap_mangen::roff::{Inline, Roff, bold, roman};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Flags of `fairmark man`.
#[derive(Args)]
pub struct ManArgs {
    /// Write a page for each verb (`fairmark.1`, `fairmark-run.1`, ...) into this folder instead of printing the main one.
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
}

/// Prints the main page or writes all of them.
pub fn man(args: &ManArgs, command: Command) -> Result<ExitCode> {
    // `fairmark help run` is `fairmark run --help`: no page.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    match &args.dir {
        None => super::print(&page(&command, None)?.1)?,
        Some(dir) => {
            let mut pages = Vec::new();
            collect(&command, None, &mut pages)?;
            std::fs::create_dir_all(dir).map_err(|err| Error::io("cannot create the folder", dir, err))?;
            for (name, text) in pages {
                write(&dir.join(name), &text)?;
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The pages of a command and of all below it.
fn collect(command: &Command, parent: Option<&str>, pages: &mut Vec<(String, String)>) -> Result<()> {
    pages.push(page(command, parent)?);
    let name = full_name(command);
    command.get_subcommands().filter(|verb| !verb.is_hide_set()).try_for_each(|verb| collect(verb, Some(name), pages))
}

/// `fairmark-cache-prune`
fn full_name(command: &Command) -> &str {
    command.get_display_name().unwrap_or_else(|| command.get_name())
}

/// The file name of a command's page, and the page.
fn page(command: &Command, parent: Option<&str>) -> Result<(String, String)> {
    let man = Man::new(command.clone()).source(concat!("fairmark ", env!("CARGO_PKG_VERSION"))).manual("fairmark");
    let is_main = parent.is_none();
    let mut out = Vec::new();
    let rendered = (|| {
        man.render_title(&mut out)?;
        man.render_name_section(&mut out)?;
        man.render_synopsis_section(&mut out)?;
        if is_main {
            description().to_writer(&mut out)?;
        } else {
            man.render_description_section(&mut out)?;
        }
        if command.has_subcommands() {
            man.render_subcommands_section(&mut out)?;
        }
        man.render_options_section(&mut out)?;
        if is_main {
            examples().to_writer(&mut out)?;
        } else if let Some(text) = command.get_after_help() {
            verbatim("NOTES", &text.to_string()).to_writer(&mut out)?;
        }
        closing(command, parent).to_writer(&mut out)
    })();
    rendered.map_err(|err| Error::input("cannot make a manual page").key(full_name(command)).cause(err))?;
    Ok((man.get_filename(), code_in_bold(&String::from_utf8_lossy(&out))))
}

fn description() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    for (i, paragraph) in guide::DESCRIPTION.iter().enumerate() {
        if i > 0 {
            roff.control("PP", []);
        }
        roff.text([roman(*paragraph)]);
    }
    roff
}

fn examples() -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXAMPLES"]);
    for (command, about) in guide::EXAMPLES {
        term(&mut roff, command, about);
    }
    roff
}

/// Lines as they are.
fn verbatim(heading: &str, text: &str) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", [heading]);
    roff.control("nf", []);
    for line in text.lines() {
        roff.text([roman(line)]);
    }
    roff.control("fi", []);
    roff
}

/// Exit codes; on the main page variables and files; other pages.
fn closing(command: &Command, parent: Option<&str>) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["EXIT STATUS"]);
    for (code, meaning) in guide::EXIT_CODES {
        term(&mut roff, &code.to_string(), meaning);
    }
    if parent.is_none() {
        roff.control("SH", ["ENVIRONMENT"]);
        for (names, about) in guide::variables() {
            term(&mut roff, &names, &about);
        }
        roff.control("SH", ["FILES"]);
        for (name, about) in guide::FILES {
            term(&mut roff, name, about);
        }
    }
    let below = command.get_subcommands().filter(|verb| !verb.is_hide_set()).map(full_name);
    let pages: Vec<&str> = parent.into_iter().chain(below).collect();
    roff.control("SH", ["SEE ALSO"]);
    let mut line: Vec<Inline> = Vec::new();
    for (i, name) in pages.iter().enumerate() {
        line.extend([roman(if i > 0 { ", " } else { "" }), bold(*name), roman("(1)")]);
    }
    roff.text(line);
    roff
}

fn term(roff: &mut Roff, name: &str, about: &str) {
    roff.control("TP", []);
    roff.text([bold(name)]);
    roff.text([roman(about)]);
}

/// Sets what stands between backticks in bold; a page has no other sign for code.
fn code_in_bold(page: &str) -> String {
    let line = |line: &str| {
        let parts: Vec<&str> = line.split('`').collect();
        // Control lines, and lines with a lone backtick, are left alone.
        if line.starts_with(['.', '\'']) || parts.len().is_multiple_of(2) {
            return format!("{line}\n");
        }
        let mut text = String::new();
        for (i, part) in parts.iter().enumerate() {
            text.push_str(if i == 0 {
                ""
            } else if i % 2 == 1 {
                "\\fB"
            } else {
                "\\fR"
            });
            text.push_str(part);
        }
        text + "\n"
    };
    page.lines().map(line).collect()
}

/// Writes a page so that a reader finds all of it or none.
fn write(path: &Path, text: &str) -> Result<()> {
    let fail = |err| Error::io("cannot write", path, err);
    file::write_whole(path, text.as_bytes()).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backticks_become_bold_in_text_alone() {
        let page = ".SH \"A `B`\"\nsee `a \\-\\-b` and `c`.\nit`s\n";
        assert_eq!(code_in_bold(page), ".SH \"A `B`\"\nsee \\fBa \\-\\-b\\fR and \\fBc\\fR.\nit`s\n");
    }
}
