//! What the binary says of itself: its commands, from the main one down, as `--help` lists them.

use std::collections::BTreeSet;
use std::process::Command;

/// A command and what its `--help` lists.
#[derive(Debug)]
pub struct Help {
    /// Its verbs, none for the main command.
    pub path: Vec<String>,
    /// Verbs below it.
    pub verbs: Vec<String>,
    /// Its long flags.
    pub flags: BTreeSet<String>,
    /// Its short flags, and other names of flags.
    pub other_names: BTreeSet<String>,
}

/// All commands.
pub fn commands() -> Vec<Help> {
    let mut all = vec![Help::of(Vec::new())];
    let mut next = 0;
    while let Some(Help { path, verbs, .. }) = all.get(next) {
        let below: Vec<Help> = verbs.iter().map(|verb| Help::of([path.clone(), vec![verb.clone()]].concat())).collect();
        all.extend(below);
        next += 1;
    }
    all
}

impl Help {
    fn of(path: Vec<String>) -> Help {
        let output = Command::new(env!("CARGO_BIN_EXE_fairmark")).args(&path).arg("--help").output().unwrap();
        assert!(output.status.success(), "{path:?}: {}", String::from_utf8_lossy(&output.stderr));
        let mut help = Help { path, verbs: Vec::new(), flags: BTreeSet::new(), other_names: BTreeSet::new() };
        let mut in_commands = false;
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            if !line.starts_with(' ') && !line.is_empty() {
                in_commands = line == "Commands:";
            }
            // Further lines of a description are indented more.
            let indent = line.len() - line.trim_start().len();
            let word = line.split_whitespace().next().unwrap_or_default();
            if in_commands && indent == 2 && word != "help" {
                help.verbs.push(word.to_owned());
            }
            if indent > 0 && (word.starts_with('-') || word.starts_with("[alias")) {
                help.read_names(line);
            }
        }
        help
    }

    /// `-m, --model <MODEL>`, or `[aliases: --repeats]`.
    fn read_names(&mut self, line: &str) {
        let is_alias = line.trim_start().starts_with('[');
        let names = line.split([' ', ',']).map(|word| word.trim_end_matches([']', '.']));
        for name in names.filter(|name| name.starts_with('-') && name.len() > 1) {
            if name.starts_with("--") && !is_alias {
                self.flags.insert(name.to_owned());
            } else {
                self.other_names.insert(name.to_owned());
            }
        }
    }
}
