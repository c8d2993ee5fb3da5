//! The plan of a command that joins a sandbox which is there already: what makes a sandbox is left out, and everything that
//! restricts a payload is the same.

use super::{Plan, before_root, enforcement, filter, restrict};
use crate::error::Error;
use crate::host::Host;
use crate::identity;
use crate::outcome::Enforcements;
use crate::spec::{Order, Protection, Userns};
use crate::step::{Step, Steps};
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
        // Nobody inside may look at who comes, before there is anything to see (CVE-2016-9962).
        steps.init.extend([Step::DieWithSupervisor, Step::BeExpendable, Step::BeUndumpable, Step::ForgetCommandLine]);
        steps.init.push(Step::EnterCgroup);
        steps.init.extend([Step::JoinNamespaces { kinds: kinds.to_vec() }, Step::Lead]);
        if range {
            identity::plan_root_of_range(&mut steps.init);
        }
        steps.init.push(Step::StartPayload { namespaces: 0 });
        steps.init.push(Step::ReportReady { namespaces: Vec::new() });
        identity::plan_drop_of_init(&order.spec, host, &mut steps.init);
        steps.init.extend([Step::BeUndumpable, Step::ReleasePayload]);
        let filter = filter(order)?;
        if range {
            steps.payload.push(Step::JoinUsers);
            limits::plan_counted(order, host, &mut steps.payload);
        }
        before_root(order, host, &filter, &mut steps);
        if !order.spec.tty {
            steps.payload.push(Step::StandardStreams);
        }
        identity::plan_drop(&order.spec, host, identity::kept(order, host), &mut steps.payload);
        if order.spec.tty {
            steps.payload.push(Step::NewTerminal);
        }
        restrict(order, host, filter, &mut steps);
        steps.payload.push(Step::Execute(program::command(order, host)?));
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
        Ok(Plan {
            steps,
            namespaces: 0,
            cgroup: None,
            id_maps: None,
            image: super::image(host),
            stop_signal: None,
            enforcement: known,
        })
    }
}
