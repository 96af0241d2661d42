//! Documents: which there are, their fenced blocks, the commands in them and what these are said to print.

use super::figures::is_same;
use fairmark::kernel::Isa;
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// All documents whose commands are run: paths from the root, sorted.
pub fn found() -> Vec<String> {
    let mut pages = vec!["README.md".to_owned(), "CONTRIBUTING.md".to_owned()];
    pages.extend(files_of(&root().join("docs")).into_iter().filter(|path| is_markdown(path)).map(|path| shown(&path)));
    for folder in ["datasets", "benches"] {
        readmes(&root().join(folder), &mut pages);
    }
    pages.sort();
    pages
}

fn readmes(folder: &Path, pages: &mut Vec<String>) {
    for path in files_of(folder) {
        if path.is_dir() {
            readmes(&path, pages);
        } else if path.ends_with("README.md") {
            pages.push(shown(&path));
        }
    }
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn is_markdown(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "md")
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap().display().to_string()
}

pub fn read(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|err| panic!("{page}: {err}"))
}

/// A fenced block.
pub struct Block {
    /// The line of its first fence, from 1.
    pub line: usize,
    pub language: String,
    pub text: String,
    /// The last line with text before it.
    pub before: String,
    /// A heading stands between it and the block before.
    pub follows_heading: bool,
}

/// Fenced blocks, and the page without them (line by line, so that numbers hold).
pub fn split(text: &str) -> (Vec<Block>, Vec<&str>) {
    let (mut blocks, mut prose): (Vec<Block>, Vec<&str>) = (Vec::new(), Vec::new());
    let (mut open, mut before, mut follows_heading) = (None::<Block>, "", false);
    for (index, line) in text.lines().enumerate() {
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(_), Some(_)) => {
                blocks.extend(open.take());
                (before, follows_heading) = ("", false);
            }
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, Some(language)) => {
                let (language, before) = (language.trim().to_owned(), before.to_owned());
                open = Some(Block { line: index + 1, language, text: String::new(), before, follows_heading });
            }
            (None, None) => {
                follows_heading |= line.starts_with('#');
                if !line.trim().is_empty() {
                    before = line;
                }
            }
        }
        prose.push(if open.is_some() || line.trim_start().starts_with("```") { "" } else { line });
    }
    assert!(open.is_none(), "a fence is not closed");
    (blocks, prose)
}

/// A command of a console block.
pub struct Command {
    /// Where it stands, from 1.
    pub line: usize,
    /// Without the prompt; lines that go on are joined.
    pub text: String,
    /// What stands below as its output.
    pub prints: Option<String>,
}

/// The commands of a page, in order.
///
/// A line that begins with `$ ` is a command; it goes on where it ends in a backslash, or where the next line is indented. The output of
/// a command stands in a block of its own, ```text, behind a console block that has this command only, with no heading between them.
pub fn commands(blocks: &[Block]) -> Vec<Command> {
    let mut all = Vec::new();
    for (index, block) in blocks.iter().enumerate().filter(|(_, block)| block.language == "console") {
        let mut own = commands_of(block);
        let output = blocks.get(index + 1).filter(|next| next.language == "text" && !next.follows_heading);
        if let ([only], Some(output)) = (own.as_mut_slice(), output) {
            only.prints = Some(output.text.clone());
        }
        all.extend(own);
    }
    all
}

fn commands_of(block: &Block) -> Vec<Command> {
    let mut own: Vec<Command> = Vec::new();
    for (index, line) in block.text.lines().enumerate() {
        let number = block.line + 1 + index;
        match (line.strip_prefix("$ "), own.last_mut()) {
            (Some(command), _) => own.push(Command { line: number, text: command.to_owned(), prints: None }),
            (None, Some(last)) if last.text.ends_with('\\') || line.starts_with(' ') => {
                last.text = last.text.trim_end_matches('\\').to_owned();
                last.text.push('\n');
                last.text.push_str(line);
            }
            _ => panic!(
                "line {number}: `{line}` is no command: commands begin with `$ `, output stands in a ```text block"
            ),
        }
    }
    assert!(!own.is_empty(), "line {}: a console block without a command", block.line);
    if let Some(command) = own.iter().find(|command| command.text.ends_with('\\')) {
        panic!("line {}: the command ends in a backslash", command.line);
    }
    own.into_iter().map(|command| Command { text: joined(&command.text), ..command }).collect()
}

/// A command over several lines that end in backslashes, in one line; those of a shell's loops stay.
fn joined(text: &str) -> String {
    if text.starts_with("for ") {
        text.to_owned()
    } else {
        text.split('\n').map(str::trim).collect::<Vec<_>>().join(" ")
    }
}

/// The files that a page tells its reader to write: a block behind a line with "into `PATH`:".
pub fn written_files(blocks: &[Block]) -> Vec<(String, &str)> {
    let path = |block: &Block| {
        let named = block.before.strip_suffix("`:")?.rsplit_once("into `")?.1;
        named.contains('.').then(|| named.to_owned())
    };
    blocks.iter().filter_map(|block| Some((path(block)?, block.text.as_str()))).collect()
}

/// Whether what was printed is what stands in the document; a line `...` stands for any lines.
pub fn is_printed(written: &str, printed: &str) -> bool {
    let lines = |text: &str| text.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>();
    let (written, printed) = (lines(written.trim_end()), lines(printed.trim_end()));
    fits(&written, &printed)
}

fn fits(written: &[String], printed: &[String]) -> bool {
    match written {
        [] => printed.is_empty(),
        [first, rest @ ..] if first == "..." => (0..=printed.len()).any(|skipped| fits(rest, &printed[skipped..])),
        [first, rest @ ..] => {
            printed.first().is_some_and(|line| is_same(first, line, Isa::best())) && fits(rest, &printed[1..])
        }
    }
}

#[test]
fn a_page_is_read_as_a_reader_would() {
    let page = "Into `my/file.txt` it goes, or into `my/other.txt`:\n\n```yaml\na: 1\n```\n\n```console\n$ one \\\n    --two\n```\n\nprints\n\n\
                ```text\nfirst\n...\nlast\n```\n\n```console\n$ three\n$ four\n```\n\n```text\nno output\n```\n\n```console\n$ five\n```\n\n\
                # Heading\n\n```text\nno output\n```\n";
    let (blocks, prose) = split(page);
    assert_eq!(written_files(&blocks), [("my/other.txt".to_owned(), "a: 1\n")]);
    assert_eq!((prose.len(), prose[3]), (page.lines().count(), ""), "without blocks, but line by line");
    let commands = commands(&blocks);
    let found: Vec<_> = commands.iter().map(|c| (c.line, c.text.as_str(), c.prints.as_deref())).collect();
    let printed = Some("first\n...\nlast\n");
    assert_eq!(found, [(8, "one --two", printed), (21, "three", None), (22, "four", None), (30, "five", None)]);
    let written = commands[0].prints.as_deref().unwrap();
    assert!(is_printed(written, "first\nx\ny\nlast\n") && is_printed(written, "first\nlast"));
    assert!(!is_printed(written, "first\nx\n") && !is_printed("a\nb\n", "a\nc\n") && !is_printed("a\n", "a\nb\n"));
}
