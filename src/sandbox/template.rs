//! Command templates of external runners.

use crate::error::{Error, Result, nearest};

/// The command line of an external runner, with places to fill in.
///
/// An argument may hold `{python}`, `{bootstrap}` (the source that `python3 -c` gets), `{scratch}` (the program's own
/// directory on this machine), `{memory}`, `{threads}`, `{file_size}`, `{open_files}`, `{scratch_size}` (numbers, bytes
/// where sizes) and `{cpu}` (whole seconds). An argument `{readonly:FLAG}` becomes `FLAG DIR DIR` for each folder of the
/// interpreter. The runner hands standard input, output and error through to the interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Template {
    name: String,
    words: Vec<String>,
}

/// Flags of the interpreter: nothing from the user's site, no `.pyc` files, no environment needed, UTF-8 everywhere.
#[cfg(unix)]
pub(super) const PYTHON_FLAGS: [&str; 5] = ["-s", "-S", "-B", "-X", "utf8"];

const BWRAP: &str = "bwrap --unshare-all --die-with-parent --new-session --clearenv --setenv PYTHONHASHSEED 0 \
    --cap-drop ALL --ro-bind /usr /usr --ro-bind-try /lib /lib --ro-bind-try /lib64 /lib64 \
    --ro-bind-try /etc/ld.so.cache /etc/ld.so.cache {readonly:--ro-bind} --dev /dev --bind {scratch} {scratch} --chdir {scratch} -- \
    {python} -s -S -B -X utf8 -c {bootstrap}";
const RUNSC: &str = "runsc --network=none --ignore-cgroups do --quiet --cwd {scratch} -- \
    {python} -s -S -B -X utf8 -c {bootstrap}";
const DOCKER: &str = "docker run --rm -i --network none --read-only --cap-drop ALL --security-opt no-new-privileges \
    --user 65534:65534 --memory {memory} --memory-swap {memory} --pids-limit {threads} \
    --tmpfs /scratch:rw,size={scratch_size},mode=1777 --workdir /scratch --env PYTHONHASHSEED=0 python:3-slim \
    python3 -s -S -B -X utf8 -c {bootstrap}";
const NAMES: [(&str, &str); 3] = [("bwrap", BWRAP), ("runsc", RUNSC), ("docker", DOCKER)];

impl Template {
    /// A template that comes with fairmark: `bwrap`, `runsc` or `docker` (image `python:3-slim`, which must be there).
    pub fn named(name: &str) -> Result<Template> {
        match NAMES.iter().find(|(known, _)| *known == name) {
            Some((_, command)) => Template::custom(name, command.split_whitespace().map(str::to_owned).collect()),
            None => {
                let known = NAMES.map(|(n, _)| n);
                let guess = nearest(name, known).map(|n| format!("did you mean `{n}`? ")).unwrap_or_default();
                Err(Error::input(format!("unknown sandbox runner `{name}`"))
                    .hint(format!("{guess}known are {}", known.join(", "))))
            }
        }
    }

    /// A template of the user's own.
    pub fn custom(name: &str, words: Vec<String>) -> Result<Template> {
        if words.is_empty() || !words.iter().any(|w| w.contains("{bootstrap}")) {
            return Err(Error::input(format!("the command of sandbox runner `{name}` has no `{{bootstrap}}`"))
                .hint("end it with `{python} -s -S -B -X utf8 -c {bootstrap}`"));
        }
        Ok(Template { name: name.to_owned(), words })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The program that the template starts.
    pub fn program(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The words with every place filled in.
    #[cfg(unix)]
    pub(super) fn fill(&self, values: &[(&str, String)], readonly: &[String]) -> Vec<String> {
        let mut filled = Vec::new();
        for word in &self.words {
            if let Some(flag) = word.strip_prefix("{readonly:").and_then(|w| w.strip_suffix('}')) {
                for dir in readonly {
                    filled.extend([flag.to_owned(), dir.clone(), dir.clone()]);
                }
                continue;
            }
            filled.push(fill_word(word, values));
        }
        filled
    }
}

/// One pass from left to right, so that a value which looks like a place stays as it is.
#[cfg(unix)]
fn fill_word(word: &str, values: &[(&str, String)]) -> String {
    let mut out = String::new();
    let mut rest = word;
    while let Some(start) = rest.find('{') {
        out.push_str(&rest[..start]);
        let tail = &rest[start..];
        let hit =
            tail.find('}').and_then(|end| values.iter().find(|(k, _)| *k == &tail[1..end]).map(|(_, v)| (end, v)));
        match hit {
            Some((end, value)) => {
                out.push_str(value);
                rest = &tail[end + 1..];
            }
            None => {
                out.push('{');
                rest = &tail[1..];
            }
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn fills_places_once() {
        let words = ["run", "{readonly:--ro}", "-m={memory}", "{python}", "{bootstrap}", "{other}"];
        let template = Template::custom("x", words.map(str::to_owned).to_vec()).unwrap();
        let values =
            [("memory", "5".to_owned()), ("python", "/p".to_owned()), ("bootstrap", "d = {memory}".to_owned())];
        let filled = template.fill(&values, &["/usr".to_owned(), "/lib".to_owned()]);
        let expected = ["run", "--ro", "/usr", "/usr", "--ro", "/lib", "/lib", "-m=5", "/p", "d = {memory}", "{other}"];
        assert_eq!(filled, expected);
    }

    #[test]
    fn names_and_needs() {
        assert_eq!(Template::named("bwrap").unwrap().program(), "bwrap");
        assert!(Template::named("bwarp").unwrap_err().to_string().contains("did you mean `bwrap`"));
        assert!(Template::custom("mine", vec!["docker".to_owned()]).is_err());
    }
}
