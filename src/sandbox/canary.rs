//! A first program in a new sandbox, which looks at what it may do: what the report says is tried, not believed.

use super::open::Sandbox;
use super::outcome::{Ending, Limits, Program, ProgramOutcome};
use super::settings::{Layer, Runner};
use crate::error::{Error, Result};
use std::time::Duration;

/// Works in its scratch directory, imports something that is not warm, then names each layer that it finds in force.
const CANARY: &str = r#"
import os, socket
path = os.path.join(os.getcwd(), "canary")
with open(path, "w") as file:
    file.write("tweet")
assert open(path).read() == "tweet"
os.remove(path)
import csv, wave
def refused(act, *arguments):
    try:
        act(*arguments)
    except PermissionError:
        return True
    except OSError:
        pass
    return False
if refused(os.listdir, "/") and refused(open, "/etc/passwd"):
    print("landlock")
if refused(socket.socket) and refused(os.fork):
    print("seccomp")
import resource
if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 and resource.getrlimit(resource.RLIMIT_AS)[1] > 0:
    print("rlimits")
if os.getuid() and os.geteuid() and not os.getgroups():
    print("uid-drop")
"#;

/// Lines of what a program said that go into an error.
const LINES: usize = 3;

/// Runs the canary.
///
/// # Errors
/// When it does not work here, or finds a required layer missing that nobody asked to leave out.
pub(super) fn check(sandbox: &Sandbox) -> Result<()> {
    let runner = sandbox.runner();
    let wall = Duration::from_secs(60);
    let limits = Limits { cpu: wall, wall, ..Limits::default() };
    let code = match runner {
        Runner::Own => CANARY,
        Runner::External(_) | Runner::Unsafe => "",
    };
    let outcome = sandbox.run(&Program { code: code.to_owned(), files: Vec::new() }, &limits);
    if outcome.ending != Ending::Exited(0) {
        let message = format!("a first program does not work in the sandbox: {}", story(&outcome));
        let hint = match runner {
            Runner::External(template) => {
                format!("is `{}` installed and running? else use another runner", template.program())
            }
            _ => "try another runner, another Python or another folder for temporary files (TMPDIR)".to_owned(),
        };
        return Err(Error::input(message).hint(hint));
    }
    if *runner == Runner::Own {
        let found: Vec<&str> = outcome.stdout.lines().collect();
        let names = [
            ("landlock", Layer::Landlock),
            ("seccomp", Layer::Seccomp),
            ("rlimits", Layer::Rlimits),
            ("uid-drop", Layer::UidDrop),
        ];
        let layers = &sandbox.report().layers;
        if let Some((name, _)) = names.iter().find(|(name, layer)| layers.contains(layer) && !found.contains(name)) {
            return Err(Error::input(format!("the sandbox's layer `{name}` is set up but does not hold here"))
                .hint("use an external runner (bwrap, runsc, docker)"));
        }
    }
    Ok(())
}

/// How a first program went wrong, and the last that it said.
fn story(outcome: &ProgramOutcome) -> String {
    let how = match &outcome.ending {
        Ending::SandboxFailed(reason) => return reason.clone(),
        Ending::Exited(code) => format!("exit code {code}"),
        Ending::Signalled(signal) => format!("ended by signal {signal}"),
        Ending::TimedOut => "it does not end".to_owned(),
        Ending::OutOfMemory => "out of memory".to_owned(),
        Ending::OutOfDisk => "out of disk".to_owned(),
    };
    let lines: Vec<&str> = outcome.stderr.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let last = lines.get(lines.len().saturating_sub(LINES)..).unwrap_or_default();
    if last.is_empty() { how } else { format!("{how}: {}", last.join("; ")) }
}
