//! Where a case is run: a copy of its folder in a scratch folder laid out like the shared one, with a cache and a hub of its own.

use serde_json::Value;
use std::fmt;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Seconds for one script, unless a case says otherwise.
const LONGEST: u32 = 120;

/// The folder of shared data, if there is one.
fn shared() -> Option<PathBuf> {
    let named = std::env::var_os("FAIRMARK_SHARED").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"));
    let cases = folder.join("cases").is_dir();
    if !cases {
        eprintln!("skipped: {} has no folder `cases`", folder.display());
    }
    cases.then(|| folder.canonicalize().expect("a folder"))
}

/// The folders of all cases.
pub fn names() -> Option<Vec<String>> {
    let entries = std::fs::read_dir(shared()?.join("cases")).expect("a folder");
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    Some(names.filter(|name| !name.starts_with('_') && !name.contains('.')).collect())
}

/// A case in its scratch folder.
pub struct Case {
    scratch: tempfile::TempDir,
    here: PathBuf,
}

impl Case {
    /// Copies the case. `None`, said on stderr, without the shared folder.
    pub fn open(name: &str) -> Option<Case> {
        let shared = shared()?;
        let source = shared.join("cases").join(name);
        if !source.is_dir() {
            eprintln!("skipped: {} is not there", source.display());
            return None;
        }
        let scratch = tempfile::tempdir().expect("a scratch folder");
        // Some programs of the cases run as other users.
        std::fs::set_permissions(scratch.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let cases = scratch.path().join("shared/cases");
        std::fs::create_dir_all(&cases).unwrap();
        for folder in ["models", "datasets", "tokenizers"] {
            std::os::unix::fs::symlink(shared.join(folder), scratch.path().join("shared").join(folder)).unwrap();
        }
        for folder in [source, shared.join("cases/_engine")] {
            let copied = Command::new("cp").arg("-r").arg(&folder).arg(&cases).status().expect("cp");
            assert!(copied.success(), "{}", folder.display());
        }
        let here = cases.join(name);
        Some(Case { scratch, here })
    }

    /// The case's folder.
    pub fn here(&self) -> &Path {
        &self.here
    }

    /// The scratch folder above it.
    pub fn scratch(&self) -> &Path {
        self.scratch.path()
    }

    /// Runs a script of bash in the case's folder; `$FAIRMARK` is the binary.
    pub fn sh(&self, script: &str) -> Seen {
        self.sh_within(LONGEST, script)
    }

    /// The same with a limit of its own, in seconds.
    pub fn sh_within(&self, seconds: u32, script: &str) -> Seen {
        let started = Instant::now();
        let mut command = Command::new("timeout");
        command.args(["-k", "5", &seconds.to_string(), "bash", "-c", script]).current_dir(&self.here);
        command.env("FAIRMARK", env!("CARGO_BIN_EXE_fairmark")).env("PYTHONDONTWRITEBYTECODE", "1");
        command.env("HF_HOME", self.scratch().join("home")).env("XDG_CACHE_HOME", self.scratch().join("cache"));
        for unwanted in ["HF_HUB_OFFLINE", "HF_TOKEN", "HF_ENDPOINT", "NO_COLOR", "CLICOLOR_FORCE", "FAIRMARK_API_KEY"]
        {
            command.env_remove(unwanted);
        }
        let output = command.stdin(Stdio::null()).output().expect("timeout and bash");
        Seen {
            script: script.to_string(),
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
            seconds: started.elapsed().as_secs_f64(),
        }
    }

    /// `fairmark` with arguments as the shell reads them.
    pub fn fairmark(&self, arguments: &str) -> Seen {
        self.sh(&format!("$FAIRMARK {arguments}"))
    }

    /// Makes the case's checkpoints in `made`.
    pub fn make(&self) {
        self.sh("python3 make.py made").exits(0);
    }

    /// The document's figures in the only samples file under a folder: the log-probability of each of its choices.
    pub fn logprobs(&self, out: &str, doc: usize) -> Vec<f64> {
        let number = |resp: &Value| resp[0][0].as_str().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
        self.sample(out, doc)["resps"].as_array().expect("answers").iter().map(number).collect()
    }

    /// The document's text in the only samples file under a folder.
    pub fn text(&self, out: &str, doc: usize) -> String {
        self.sample(out, doc)["resps"][0][0].as_str().expect("a text").to_string()
    }

    /// A line of the only samples file under a folder.
    fn sample(&self, out: &str, doc: usize) -> Value {
        let samples = self.sh(&format!("cat {out}/*/samples_*.jsonl")).exits(0).out.clone();
        let mut lines = samples.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
        lines.find(|line| line["doc_id"] == doc).expect("the document")
    }

    /// A Python that can import `module`: the one named by `FAIRMARK_CASES_PYTHON`, or the system's.
    pub fn python_with(&self, module: &str) -> Option<String> {
        let named = std::env::var("FAIRMARK_CASES_PYTHON").unwrap_or_else(|_| "python3".into());
        let found = Command::new(&named).args(["-c", &format!("import {module}")]).stderr(Stdio::null()).status();
        let usable = found.is_ok_and(|status| status.success());
        if !usable {
            eprintln!("skipped: {named} has no {module}; FAIRMARK_CASES_PYTHON names a Python that has");
        }
        usable.then_some(named)
    }

    /// Starts a server in Python; `PORT` in its arguments is a free port. It is up when this returns and ends with the value.
    pub fn server(&self, arguments: &str) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
        let arguments = arguments.replace("PORT", &port.to_string());
        let mut command = Command::new("python3");
        command.args(arguments.split(' ')).current_dir(&self.here).env("PYTHONDONTWRITEBYTECODE", "1");
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("python3");
        let server = Server { child, port };
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(started.elapsed() < Duration::from_secs(20), "the server does not come up");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// The engine cases' toy server in a mode, asked once.
    pub fn ask(&self, mode: &str, task: &str, model: &str, flags: &str) -> Seen {
        let server = self.server(&format!("../_engine/toy.py PORT {mode} 300"));
        let model = model.replace("PORT", &server.port.to_string());
        let settings = "--cache off --offline --bootstrap-iters 0";
        self.fairmark(&format!(
            "run --model '{model}' --tasks ../_engine/tasks/{task}.yaml --out out-{mode} {settings} {flags}"
        ))
    }
}

/// A server that is ended with the value.
pub struct Server {
    child: Child,
    pub port: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a script did.
pub struct Seen {
    script: String,
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
    pub seconds: f64,
}

impl Seen {
    /// The exit code is this one.
    #[track_caller]
    pub fn exits(&self, code: i32) -> &Seen {
        assert_eq!(self.code, Some(code), "{self}");
        self
    }

    /// The exit code is one of these.
    #[track_caller]
    pub fn exits_any(&self, codes: &[i32]) -> &Seen {
        assert!(self.code.is_some_and(|code| codes.contains(&code)), "one of {codes:?} was expected: {self}");
        self
    }

    /// stderr has this text, whatever the case of its letters.
    #[track_caller]
    pub fn says(&self, text: &str) -> &Seen {
        self.says_any(&[text])
    }

    /// stderr has one of these texts.
    #[track_caller]
    pub fn says_any(&self, texts: &[&str]) -> &Seen {
        let err = self.err.to_lowercase();
        assert!(texts.iter().any(|text| err.contains(&text.to_lowercase())), "stderr has none of {texts:?}: {self}");
        self
    }

    /// stderr has a line that begins with `note` or `warning` and has all these texts.
    #[track_caller]
    pub fn remarks(&self, texts: &[&str]) -> &Seen {
        let fits = |line: &str| texts.iter().all(|text| line.to_lowercase().contains(&text.to_lowercase()));
        let mut lines = self.err.lines().filter(|line| line.starts_with("note: ") || line.starts_with("warning: "));
        assert!(lines.any(fits), "no remark has {texts:?}: {self}");
        self
    }

    /// stdout has this text.
    #[track_caller]
    pub fn prints(&self, text: &str) -> &Seen {
        assert!(self.out.contains(text), "stdout lacks `{text}`: {self}");
        self
    }

    /// Whether the table has this figure, whatever its standard error.
    pub fn has_score(&self, figure: &str) -> bool {
        let mut words = self.out.split_whitespace().skip_while(|word| !["↑", "↓"].contains(word)).peekable();
        while words.next().is_some() {
            if words.peek().is_some_and(|word| word.trim_start_matches('*') == figure) {
                return true;
            }
            while words.peek().is_some_and(|word| !["↑", "↓"].contains(word)) {
                words.next();
            }
        }
        false
    }

    /// The table has this figure.
    #[track_caller]
    pub fn scores(&self, figure: &str) -> &Seen {
        assert!(self.has_score(figure), "the table has no {figure}: {self}");
        self
    }

    /// Neither stream has this text.
    #[track_caller]
    pub fn never_says(&self, text: &str) -> &Seen {
        assert!(!self.out.contains(text) && !self.err.contains(text), "`{}` is there: {self}", text.escape_debug());
        self
    }

    /// It took no longer than this.
    #[track_caller]
    pub fn within(&self, seconds: f64) -> &Seen {
        assert!(self.seconds <= seconds, "{:.1} s, not {seconds}: {self}", self.seconds);
        self
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cut = |text: &str| {
            text.chars()
                .take(3000)
                .flat_map(|c| if c == '\n' { vec![c] } else { c.escape_debug().collect() })
                .collect::<String>()
        };
        let Seen { script, code, out, err, seconds } = self;
        write!(
            f,
            "\n$ {script}\nexit {code:?} after {seconds:.1} s\n--- stdout\n{}\n--- stderr\n{}",
            cut(out),
            cut(err)
        )
    }
}

/// Whether two lists of figures are equal to within `off`.
pub fn near(found: &[f64], wanted: &[f64], off: f64) -> bool {
    found.len() == wanted.len() && found.iter().zip(wanted).all(|(a, b)| (a - b).abs() <= off)
}
