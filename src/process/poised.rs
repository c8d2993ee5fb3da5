//! A sandbox that is made before anybody has a command for it, and is otherwise that of one command: pid 1 and the payload's process stand before
//! their last step, with everything done that restricts the command, and wait for what is to be executed.
//!
//! Nothing of it is weaker, or other, than in a sandbox that is made when the command is there: whoever has a command makes its plan as ever, and
//! takes what waits only where that was made by the same steps. It is used once. It ends with its supervisor, and nobody else knows of it.

use super::given::Place;
use super::launch::launch_ahead;
use super::plan::Plan;
use super::role::Delivery;
use super::watch::{Beginning, Running};
use crate::error::Error;
use crate::host::{Host, is_shown};
use crate::images::store::HOST;
use crate::images::{self, Lease, Store};
use crate::spec::{Code, Order, Privileges, Program, Runs, Source, Spec, Userns, check_order};
use crate::{cgroup, program};
use serde::{Deserialize, Serialize};
use std::cell::RefCell;
use std::os::fd::BorrowedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Instant;

/// What such a sandbox is made for: an order without what a command brings with it, which are its words, its variables and its deadline.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Shape {
    order: Order,
    /// Whether output goes into the outcome.
    capture: bool,
}

impl Shape {
    /// That of an order. `None`: its sandbox has what is there for this command only, or what may have changed by then.
    fn of(order: &Order, delivery: Delivery) -> Option<Shape> {
        let spec = &order.spec;
        let program = match order.runs() {
            Runs::Command(_) => Program::Command(vec!["true".into()]),
            // Code that comes as a file lies in the sandbox.
            Runs::Code(code) if program::code_file(order, str::to_owned).is_none() => {
                Program::Code(Code { language: code.language, source: Source::Text("".into()), args: Vec::new() })
            }
            Runs::Code(_) | Runs::Own(_) | Runs::Nothing => return None,
        };
        let is_plain = order.bundle.is_none()
            && order.lasting.is_none()
            && order.warm.is_none()
            && order.privileges == Privileges::default()
            && delivery.fail_step.is_none()
            && spec.mounts.is_empty()
            && spec.publish.is_empty()
            && spec.stdin.is_none()
            && spec.policy().is_none()
            && spec.userns != Userns::Range
            && !spec.tty
            && !begins_in_the_hosts_files(order);
        is_plain.then(|| Shape {
            order: Order { spec: Spec { program, env: Vec::new(), timeout: None, ..spec.clone() }, ..order.clone() },
            capture: delivery.capture,
        })
    }
}

/// Whether its command begins in a directory of the machine's own files, or where those are shown, which others may have changed by then.
fn begins_in_the_hosts_files(order: &Order) -> bool {
    let own = matches!(order.spec.image.as_deref(), None | Some(HOST));
    let changes = |path: &Path| path == Path::new("/") || is_shown(path);
    own && order.spec.workdir.as_deref().is_some_and(changes)
}

/// One that waits. It holds no image: whoever removes that need not know of it, and whoever comes with a command finds it changed.
pub struct Poised {
    shape: Shape,
    host: Host,
    layers: Layers,
    running: Running,
    place: Place,
}

impl Poised {
    /// Makes one.
    ///
    /// # Errors
    ///
    /// As of a sandbox of that shape with a command.
    pub fn make(shape: Shape, store: Option<&Store>) -> Result<Poised, Error> {
        let order = &shape.order;
        check_order(order)?;
        let lease = images::lease(order, store)?;
        let image = super::root(order, lease.as_ref());
        let host = cgroup::settle(&order.spec, Host::probe(&order.spec, image)?)?;
        let plan = Plan::new(order, &host)?;
        let delivery = Delivery { capture: shape.capture, fail_step: None };
        let layers = layers(&host);
        let (running, place) = launch_ahead(order, host.clone(), plan, delivery)?;
        // What it sends must not lie unread: descriptors on their way count against all of the user's processes.
        let running = running.until_it_stands()?;
        Ok(Poised { shape, host, layers, running, place })
    }

    /// Has the command of `order` begun in it. `None`: it is made for another, or has ended, and nothing was begun; it is gone then.
    fn begin(self, order: &Order, shape: &Shape, store: Option<&Store>) -> Option<Running> {
        let begun = Beginning { at: Instant::now(), place: self.place };
        let Poised { host, mut running, .. } = self;
        let same = |lease: &Option<Lease>| {
            // A name may mean another image by now, and the same one may have been away.
            super::root(order, lease.as_ref()) == host.image && layers(&host) == self.layers
        };
        let is_meant = self.shape == *shape && check_order(order).is_ok();
        let lease = is_meant.then(|| images::lease(order, store).ok().filter(same)).flatten();
        let planned = lease.and_then(|lease| Some((lease, Plan::new(order, &host).ok()?)));
        match planned.map(|(lease, plan)| running.begin(order, plan, lease, begun)) {
            Some(Ok(())) => Some(running),
            Some(Err(_)) | None => {
                running.end_unused();
                None
            }
        }
    }

    /// Waits until `line` has something; `false`, where there is nothing to wait with any more.
    pub fn waits_for(&self, line: BorrowedFd<'_>) -> bool {
        self.running.waits_for(line)
    }

    /// Ends it unused.
    pub fn end(self) {
        self.running.end_unused();
    }
}

/// Which directories the layers of an image are, and since when: device, inode, seconds, nanoseconds.
type Layers = Vec<Option<(u64, u64, i64, i64)>>;

fn layers(host: &Host) -> Layers {
    let trees = host.image.iter().flat_map(|image| &image.layers);
    trees
        .map(|tree| {
            let found = tree.metadata().ok()?;
            Some((found.dev(), found.ino(), found.ctime(), found.ctime_nsec()))
        })
        .collect()
}

/// What whoever runs one command finds ready, and leaves word of for the next.
#[derive(Default)]
pub struct Ready {
    poised: RefCell<Option<Poised>>,
    wanted: RefCell<Option<Shape>>,
}

impl Ready {
    /// With this one, if any.
    pub fn new(poised: Option<Poised>) -> Ready {
        Ready { poised: poised.into(), wanted: RefCell::default() }
    }

    /// What there was none of and somebody wanted. One that nobody has taken ends.
    pub fn wanted(self) -> Option<Shape> {
        if let Some(poised) = self.poised.into_inner() {
            poised.end();
        }
        self.wanted.into_inner()
    }

    /// Begins the command of `order` in what is ready, where that is as the order wants it.
    pub(super) fn begin(&self, order: &Order, store: Option<&Store>, delivery: Delivery) -> Option<Running> {
        let poised = self.poised.take();
        let Some(shape) = Shape::of(order, delivery) else {
            poised.into_iter().for_each(Poised::end);
            return None;
        };
        let begun = poised.and_then(|poised| poised.begin(order, &shape, store));
        if begun.is_none() {
            self.wanted.replace(Some(shape));
        }
        begun
    }
}
