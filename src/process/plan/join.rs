//! The plan of a command that joins a sandbox which is there already: what makes a sandbox is left out, and everything that
//! restricts a payload is the same.
//!
//! Two ways inside. A command brings its leader along, or finds one that stands there already: that one has gone the first half of
//! the same way ([`Plan::stand_by`]) and given up every privilege, so that nothing is left to drop for the command.

use super::{Plan, before_root, enforcement, filter, restrict};
use crate::error::Error;
use crate::host::Host;
use crate::identity;
use crate::outcome::Enforcements;
use crate::spec::{Order, Protection, Userns};
use crate::step::{Capabilities, Step, Steps};
use crate::{limits, program};

impl Plan {
    /// Plans the command of `order` in a sandbox with namespaces of these `kinds`, of which `enforced` is known.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    pub fn join(order: &Order, host: &Host, kinds: &[i32], enforced: &Enforcements) -> Result<Plan, Error> {
        let mut steps = Steps::default();
        let range = order.spec.userns == Userns::Range;
        steps.init = inside(kinds);
        if range {
            identity::plan_root_of_range(&mut steps.init);
        }
        steps.init.push(Step::StartPayload { namespaces: 0 });
        steps.init.push(Step::ReportReady { namespaces: Vec::new() });
        identity::plan_drop_of_init(&order.spec, host, &mut steps.init);
        steps.init.extend([Step::BeUndumpable, Step::ReleasePayload]);
        command(order, host, &mut steps)?;
        Ok(Plan::inside(order, host, steps, enforced))
    }

    /// Plans the way of a leader that stands inside and waits for a command of this sandbox, which has one id.
    pub fn stand_by(order: &Order, host: &Host, kinds: &[i32], enforced: &Enforcements) -> Plan {
        let mut steps = Steps { init: inside(kinds), payload: Vec::new() };
        // What it does not have when it waits, no command can have from it.
        steps.init.push(Step::DropBounding { last: host.last_capability, keep: Capabilities::NONE });
        identity::plan_drop_of_init(&order.spec, host, &mut steps.init);
        steps.init.push(Step::BeUndumpable);
        Plan::inside(order, host, steps, enforced)
    }

    /// Plans the command of `order` for a leader that stands inside.
    ///
    /// # Errors
    ///
    /// As [`Plan::new`].
    pub fn lead(order: &Order, host: &Host, enforced: &Enforcements) -> Result<Plan, Error> {
        let mut steps = Steps::default();
        steps.init.push(Step::StartPayload { namespaces: 0 });
        steps.init.extend([Step::ReportReady { namespaces: Vec::new() }, Step::ReleasePayload]);
        command(order, host, &mut steps)?;
        // Dropped already, and to drop it again is a privilege.
        steps.payload.retain(|step| !matches!(step, Step::DropBounding { .. } | Step::BecomeUser { .. }));
        Ok(Plan::inside(order, host, steps, enforced))
    }

    fn inside(order: &Order, host: &Host, steps: Steps, enforced: &Enforcements) -> Plan {
        let mut known = enforced.clone();
        for (protection, own) in enforcement(order, host) {
            if matches!(protection, Protection::Timeout | Protection::Capabilities) || !known.contains_key(&protection)
            {
                known.insert(protection, own);
            }
        }
        if order.spec.timeout.is_none() {
            known.remove(&Protection::Timeout);
        }
        Plan {
            steps,
            namespaces: 0,
            cgroup: None,
            id_maps: None,
            image: super::image(host),
            stop_signal: None,
            enforcement: known,
        }
    }
}

/// The way to the inside, up to the leader.
fn inside(kinds: &[i32]) -> Vec<Step> {
    // Nobody inside may look at who comes, before there is anything to see (CVE-2016-9962).
    let mut steps = vec![Step::DieWithSupervisor, Step::BeExpendable, Step::BeUndumpable, Step::ForgetCommandLine];
    steps.push(Step::EnterCgroup);
    steps.extend([Step::JoinNamespaces { kinds: kinds.to_vec() }, Step::Lead]);
    steps
}

/// The command's own steps.
fn command(order: &Order, host: &Host, steps: &mut Steps) -> Result<(), Error> {
    let filter = filter(order)?;
    if order.spec.userns == Userns::Range {
        steps.payload.push(Step::JoinUsers);
        limits::plan_counted(order, host, &mut steps.payload);
    }
    before_root(order, host, &filter, steps);
    if !order.spec.tty {
        steps.payload.push(Step::StandardStreams);
    }
    identity::plan_drop(&order.spec, host, identity::kept(order, host), &mut steps.payload);
    if order.spec.tty {
        steps.payload.push(Step::NewTerminal);
    }
    restrict(order, host, filter, steps);
    steps.payload.push(Step::Execute(program::command(order, host)?));
    Ok(())
}
