//! The sandbox against programs that attack it, each with a control that shows the attack working without the sandbox.
#![cfg(target_os = "linux")]

mod sandbox_here;

#[path = "sandbox_attacks/stage.rs"]
mod stage;
#[path = "sandbox_attacks/table.rs"]
mod table;

use fairmark::sandbox::{Ending, Layer, Runner, Sandbox, Settings};
use serde_json::Value;
use stage::{Bystander, Stage, processes_named, victim};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use table::{ATTACKS, Attack, Control};

/// Tells a copy of this test that it is the half of another user, and with which Python and folder.
const HALF: &str = "FAIRMARK_TEST_PYTHON";
const HALF_BASE: &str = "FAIRMARK_TEST_BASE";

/// An unprivileged user that owns nothing here.
const OTHER_USER: u32 = 54_321;

fn open(runner: Runner, without: &[Layer], python: Option<&Path>, base: &Path) -> Sandbox {
    let settings = Settings {
        runner,
        without: without.to_vec(),
        interpreter: python.map(Path::to_path_buf),
        scratch: Some(base.to_path_buf()),
        workers: 2,
        ..Settings::default()
    };
    Sandbox::open(settings).unwrap()
}

/// Runs one attack; true when it came to something.
fn attack(sandbox: &Sandbox, stage: &Stage, row: &Attack, victim: &Value, control: bool) -> Result<bool, String> {
    let mut bystander = Bystander::new();
    let program = stage.program(row.group, row.name, &bystander, victim);
    let before = stage.look();
    let mut limits = if control { table::wide() } else { table::limits() };
    if table::WAITS.contains(&row.name) && !control {
        limits.wall = Duration::from_millis(500);
    }
    if table::LOOPS.contains(&row.name) && !control {
        limits.cpu = Duration::from_millis(300);
    }
    let outcome = sandbox.run(&program, &limits);
    if let Ending::SandboxFailed(reason) = &outcome.ending {
        return Err(format!("{}: the sandbox failed: {reason}", row.name));
    }
    let daemons = processes_named(&stage.daemon());
    for pid in &daemons {
        // SAFETY: a plain call, to a process that this test made.
        unsafe { libc::kill(*pid as i32, libc::SIGKILL) };
    }
    let said = outcome.stdout.contains("breach") || row.name == "endless_output" && outcome.stdout.len() > 64 << 10;
    let harm = !bystander.is_well() || stage.look() != before || !daemons.is_empty();
    if !control && !(row.ends)(&outcome) {
        return Err(format!("{}: ends in another way than it should: {outcome:?}", row.name));
    }
    if !control && (said || harm) {
        return Err(format!("{}: NOT CONTAINED (harm outside: {harm}): {outcome:?}", row.name));
    }
    if control && !said && !harm && row.control == Control::Sure {
        return Err(format!("{}: the control does not work: {outcome:?}", row.name));
    }
    Ok(said || harm)
}

/// Every attack unsandboxed, and in a sandbox with and without namespaces.
fn whole_table(python: Option<&Path>, base: &Path) {
    let stage = Stage::new(base);
    let plain = open(Runner::Unsafe, &[], python, base);
    let (other, told) = victim(&plain);
    let mut trouble = Vec::new();
    let mut controls = 0;
    for row in ATTACKS.iter().filter(|row| row.control != Control::None) {
        match attack(&plain, &stage, row, &told, true) {
            Ok(true) => controls += 1,
            Ok(false) => println!("no control here: {}", row.name),
            Err(e) => trouble.push(format!("control of {e}")),
        }
    }
    drop(other);
    println!("{controls} controls work");
    for without in [&[][..], &[Layer::Namespaces]] {
        let sandbox = open(Runner::Own, without, python, base);
        println!("{}", sandbox.report().summary());
        assert!(sandbox.report().contains());
        let (other, told) = victim(&sandbox);
        for row in ATTACKS {
            if let Err(e) = attack(&sandbox, &stage, row, &told, false) {
                trouble.push(format!("without {without:?}: {e}"));
            }
        }
        drop(other);
    }
    assert!(trouble.is_empty(), "{} of {}:\n{}", trouble.len(), ATTACKS.len(), trouble.join("\n"));
    assert!(controls >= 30, "only {controls} controls work");
}

fn is_root() -> bool {
    // SAFETY: a plain call.
    unsafe { libc::geteuid() == 0 }
}

#[test]
fn attacks_are_contained() {
    match (std::env::var_os(HALF), std::env::var_os(HALF_BASE)) {
        (Some(python), Some(base)) => whole_table(Some(Path::new(&python)), Path::new(&base)),
        _ => {
            sandbox_here::or_skip();
            whole_table(None, &std::env::temp_dir());
        }
    }
}

/// A Python that every user can start, if there is one.
fn common_python() -> Option<PathBuf> {
    ["/usr/bin/python3", "/usr/local/bin/python3", "/bin/python3"].map(PathBuf::from).into_iter().find(|p| p.exists())
}

#[test]
fn attacks_are_contained_for_an_unprivileged_user() {
    sandbox_here::or_skip();
    if !is_root() {
        sandbox_here::say(
            "attacks_are_contained_for_an_unprivileged_user: skipped: this is an unprivileged user already",
        );
        return;
    }
    let Some(python) = common_python() else {
        sandbox_here::say(
            "attacks_are_contained_for_an_unprivileged_user: skipped: no Python that another user could start",
        );
        return;
    };
    let base = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(base.path(), Some(OTHER_USER), Some(OTHER_USER)).unwrap();
    let copy = base.path().join("half");
    std::fs::copy(std::env::current_exe().unwrap(), &copy).unwrap();
    let mut half = Command::new(&copy);
    half.args(["attacks_are_contained", "--exact", "--nocapture"]).env(HALF, &python).env(HALF_BASE, base.path());
    half.env("TMPDIR", base.path()).current_dir(base.path()).uid(OTHER_USER).gid(OTHER_USER);
    let output = half.output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success() && said.contains("1 passed"), "the unprivileged half fails:\n{said}");
}
