//! What the attacks go against: services, files and processes that are set up for them and belong to nobody else.

use fairmark::sandbox::{Cell, Driver, Limits, Program, Sandbox};
use serde_json::{Value, json};
use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const PRELUDE: &str = include_str!("prelude.py");
const GROUPS: [(&str, &str); 7] = [
    ("network", include_str!("network.py")),
    ("files", include_str!("files.py")),
    ("processes", include_str!("processes.py")),
    ("kernel", include_str!("kernel.py")),
    ("library", include_str!("library.py")),
    ("calls", include_str!("calls.py")),
    ("limits", include_str!("limits.py")),
];

/// Another sandboxed program, which holds something of its own in memory and on disk.
const VICTIM: Driver = Driver {
    name: "victim",
    source: r#"
import ctypes, json, os
kept = ctypes.create_string_buffer(b"tests of another")
with open("mine.txt", "w") as file:
    file.write("tests of another")
said = json.dumps([os.getpid(), ctypes.addressof(kept), os.path.abspath("mine.txt")]).encode()
os.write(4, len(said).to_bytes(4, "little") + said)
os.read(3, 1)
"#,
};

/// Files, services and processes outside the sandbox.
pub struct Stage {
    pub home: tempfile::TempDir,
    services: Services,
    _secret: std::fs::File,
    inherited: i32,
    tag: String,
}

struct Services {
    tcp: TcpListener,
    udp: UdpSocket,
    _abstract: UnixListener,
    _path: UnixListener,
    _datagram: UnixDatagram,
}

static SERIAL: AtomicU32 = AtomicU32::new(0);

impl Stage {
    /// `base`: a folder that every user may enter.
    pub fn new(base: &Path) -> Stage {
        let home = tempfile::Builder::new().prefix("fairmark-stage-").tempdir_in(base).unwrap();
        // Readable by everybody, so that only the sandbox stands in the way.
        std::fs::set_permissions(home.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let secret = home.path().join("secret.txt");
        std::fs::write(&secret, "secret of home").unwrap();
        let file = std::fs::File::open(&secret).unwrap();
        // SAFETY: plain calls; the copy is inheritable on purpose, as a careless harness would leave it.
        let inherited = unsafe { libc::fcntl(file.as_raw_fd(), libc::F_DUPFD, 200) };
        let tag = format!("{}-{}", std::process::id(), SERIAL.fetch_add(1, Ordering::Relaxed));
        let services = Services::new(home.path(), &tag);
        Stage { home, services, _secret: file, inherited, tag }
    }

    /// Fresh files for one attack: everybody may change what lies there.
    fn outside(&self) -> PathBuf {
        let folder = self.home.path().join("outside");
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir(&folder).unwrap();
        std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o777)).unwrap();
        for name in ["there", "removable", "movable"] {
            std::fs::write(folder.join(name), "x").unwrap();
            std::fs::set_permissions(folder.join(name), std::fs::Permissions::from_mode(0o666)).unwrap();
        }
        folder
    }

    /// Names of the files outside, with their content, mode and time of change.
    pub fn look(&self) -> Vec<(String, String, u32, std::time::SystemTime)> {
        let mut seen: Vec<_> = std::fs::read_dir(self.home.path().join("outside"))
            .unwrap()
            .map(|entry| {
                let entry = entry.unwrap();
                let about = entry.metadata().unwrap();
                let content = std::fs::read_to_string(entry.path()).unwrap_or_default();
                let name = entry.file_name().into_string().unwrap();
                (name, content, about.permissions().mode(), about.modified().unwrap())
            })
            .collect();
        seen.sort();
        seen
    }

    /// The name that an attack's daemon gives itself.
    pub fn daemon(&self) -> String {
        format!("fmd{}", self.tag)
    }

    /// The attack as a program, with the targets it is told of.
    pub fn program(&self, group: &str, name: &str, process: &Bystander, victim: &Value) -> Program {
        let outside = self.outside();
        let target = json!({
            "tcp": self.services.tcp.local_addr().unwrap().port(),
            "udp": self.services.udp.local_addr().unwrap().port(),
            "abstract": format!("fairmark-{}", self.tag),
            "path_socket": self.home.path().join("socket"),
            "datagram_socket": self.home.path().join("datagrams"),
            "secret": self.home.path().join("secret.txt"),
            "outside": outside,
            "descriptor": self.inherited,
            "harness": std::process::id(),
            "process": process.0.id(),
            "daemon": self.daemon(),
            "victim": victim[0],
            "victim_address": victim[1],
            "victim_file": victim[2],
        });
        let source = GROUPS.iter().find(|(known, _)| *known == group).unwrap().1;
        Program {
            code: format!("{PRELUDE}\n{source}\nattempt({name})\n"),
            files: vec![("target.json".to_owned(), target.to_string().into_bytes())],
        }
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // SAFETY: closes the copy that `new` made.
        unsafe { libc::close(self.inherited) };
    }
}

impl Services {
    fn new(home: &Path, tag: &str) -> Services {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let answering = tcp.try_clone().unwrap();
        std::thread::spawn(move || {
            for stream in answering.incoming() {
                let _ = stream.and_then(|mut s| s.write_all(b"hello"));
            }
        });
        let address = SocketAddr::from_abstract_name(format!("fairmark-{tag}")).unwrap();
        let services = Services {
            tcp,
            udp: UdpSocket::bind("127.0.0.1:0").unwrap(),
            _abstract: UnixListener::bind_addr(&address).unwrap(),
            _path: UnixListener::bind(home.join("socket")).unwrap(),
            _datagram: UnixDatagram::bind(home.join("datagrams")).unwrap(),
        };
        for name in ["socket", "datagrams"] {
            std::fs::set_permissions(home.join(name), std::fs::Permissions::from_mode(0o777)).unwrap();
        }
        services
    }
}

/// A process of the harness's user that minds its own business.
pub struct Bystander(pub Child);

impl Bystander {
    pub fn new() -> Bystander {
        Bystander(Command::new("sleep").arg("600").stdout(Stdio::null()).spawn().unwrap())
    }

    /// Whether it goes on as if nothing had happened.
    pub fn is_well(&mut self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0.id())).unwrap_or_default();
        let state = stat.rsplit(')').next().unwrap_or("").trim_start().chars().next();
        self.0.try_wait().unwrap().is_none() && matches!(state, Some('S' | 'R' | 'D'))
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts the other program; what it says of itself: number, address, file.
pub fn victim(sandbox: &Sandbox) -> (Cell, Value) {
    let wall = Duration::from_secs(600);
    let mut cell = sandbox.start(&VICTIM, &Limits { wall, ..Limits::default() }).unwrap();
    let said = cell.recv().unwrap();
    (cell, serde_json::from_slice(&said).unwrap())
}

/// Numbers of the processes that live and call themselves `name`.
pub fn processes_named(name: &str) -> Vec<u32> {
    let name = format!("({})", &name[..name.len().min(15)]);
    std::fs::read_dir("/proc")
        .unwrap()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &u32| {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.split_once(' ').is_some_and(|(_, rest)| {
                // Who is dead but not waited for (state Z) does nothing any more.
                rest.strip_prefix(&name).is_some_and(|state| !state.starts_with(" Z"))
            })
        })
        .collect()
}
