//! A first program in a new sandbox, which looks at what it may do: what the report says is tried, not believed.

use super::open::Sandbox;
use super::outcome::{Ending, Limits, Program};
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
        let said = outcome.stderr.lines().last().unwrap_or("it said nothing");
        let message = format!("a first program does not work in the sandbox ({:?}): {said}", outcome.ending);
        return Err(Error::input(message).hint("try another runner or another Python"));
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
