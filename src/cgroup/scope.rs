//! A scope of the user's systemd, asked for over D-Bus: the way to a delegated cgroup from a login session, whose own
//! cgroup belongs to root.
//!
//! The D-Bus client starts threads, and the process that clones must have none: the asking is done by this binary,
//! started a second time as [`Own::Scope`]. systemd then moves the supervisor into the new scope, marks it as delegated, and
//! removes it when its last process has ended. Where the supervisor is killed before it has been moved, nobody ever was
//! in the scope, and systemd would wait for its end for ever: so the helper stays until the supervisor ends it, and takes
//! the scope back where it ends first.
//!
//! Source: org.freedesktop.systemd1(5), `StartTransientUnit`.

use crate::error::describe_io;
use crate::host::cgroup;
use crate::own::Own;
use cgroups_rs::systemd::SystemdClient;
use cgroups_rs::systemd::props::PropertiesBuilder;
use std::io::Read as _;
use std::os::unix::process::parent_id;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

/// What the client takes for the system's bus; the user's bus speaks the same interface.
const BUS: &str = "DBUS_SYSTEM_BUS_ADDRESS";
/// How long systemd may take.
const PATIENCE: Duration = Duration::from_secs(5);
const NAP: Duration = Duration::from_micros(500);

/// Puts this process into a new scope.
///
/// # Errors
///
/// Why there is none, in words.
pub fn enter() -> Result<(), String> {
    let bus = cgroup::bus().ok_or("its bus is gone")?;
    let unit = unit(std::process::id());
    let mut helper = Own::Scope { pid: std::process::id() }
        .command()
        .env_clear()
        .env(BUS, format!("unix:path={}", bus.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| describe_io(&error))?;
    let moved = await_move(&mut helper, &unit);
    // It may have ended, and where the caller ignores SIGCHLD nobody is left to wait for.
    let _ = helper.kill();
    let _ = helper.wait();
    moved
}

fn await_move(helper: &mut Child, unit: &str) -> Result<(), String> {
    let end = Instant::now() + PATIENCE;
    while Instant::now() < end {
        if cgroup::own()?.file_name().is_some_and(|name| name == unit) {
            return Ok(());
        }
        if helper.try_wait().is_ok_and(|status| status.is_some_and(|status| !status.success())) {
            let mut said = String::new();
            if let Some(mut stderr) = helper.stderr.take() {
                stderr.read_to_string(&mut said).map_err(|error| describe_io(&error))?;
            }
            return Err(said.trim().to_owned());
        }
        std::thread::sleep(NAP);
    }
    Err(format!("no answer within {} seconds", PATIENCE.as_secs()))
}

fn unit(pid: u32) -> String {
    format!("belljar-{pid}.scope")
}

/// Asks systemd to put our parent, process `pid`, into a scope of its own. Does not return as long as that lives.
///
/// # Errors
///
/// What D-Bus or systemd said.
pub fn ask(pid: u32) -> Result<(), String> {
    let mut properties = PropertiesBuilder::default()
        .description("sandboxes of belljar".to_owned())
        .delegate(true)
        .pids(vec![pid])
        .build();
    // A scope whose process was gone before it began has failed, and such are kept unless they are not wanted.
    properties.push(("CollectMode", "inactive-or-failed".into()));
    let client = SystemdClient::new(&unit(pid), properties).map_err(|error| error.to_string())?;
    client.start().map_err(|error| error.to_string())?;
    while parent_id() == pid {
        std::thread::sleep(NAP);
    }
    client.stop().map_err(|error| error.to_string())
}
