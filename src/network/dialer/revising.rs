//! A new policy, for what is open too.

use super::Dialer;
use super::flows::{Live, State};
use super::opening::about;
use crate::network::policy::{Verdict, passes};
use crate::network::wire::{Check, Flow, Naming, Refusal, ToPacket};
use crate::spec::network::Policy;

impl Dialer {
    /// From now on `policy` holds: how many flows it does not allow any more. What names led where stays known.
    pub(super) fn revise(&mut self, policy: Policy) -> u64 {
        self.policy = policy;
        self.send_limits();
        let mut flows: Vec<Flow> = self.flows.keys().copied().collect();
        flows.sort_unstable();
        let mut cut = 0;
        for flow in flows {
            cut += u64::from(self.cut_if_denied(flow));
        }
        cut
    }

    fn cut_if_denied(&mut self, flow: Flow) -> bool {
        let Some(live) = self.flows.get(&flow) else { return false };
        if matches!(live.state, State::Names(_)) {
            return false;
        }
        // Where it cannot be found out now whose address it is, what was found out when it was opened still holds.
        let Ok(verdict) = self.judge(live.protocol, live.target) else { return false };
        let Some(live) = self.flows.get_mut(&flow) else { return false };
        if stays(live, &verdict) {
            (live.rule, live.reason) = (verdict.rule, verdict.reason);
            // One that is not connected yet is told what holds now.
            if matches!(live.state, State::Connecting(_)) {
                live.check = verdict.check;
            }
            return false;
        }
        let connecting = matches!(live.state, State::Connecting(_));
        if verdict.allowed {
            let reason = "the policy has changed, and the connection has not said a name that it allows".to_owned();
            self.journal.refused(about(flow, live), &Verdict { allowed: false, reason, ..verdict });
        } else {
            self.journal.refused(about(flow, live), &verdict);
        }
        if connecting {
            self.forget(flow);
            self.refuse(flow, Refusal::Prohibited);
        } else {
            self.tell_packet(&ToPacket::Cut { flow }, None);
        }
        true
    }
}

/// Whether a flow may go on. A name that must be compared is compared with what it said; what was under way with other names to compare
/// begins anew.
fn stays(live: &Live, verdict: &Verdict) -> bool {
    if !verdict.allowed || verdict.dial != live.dial {
        return false;
    }
    match (&verdict.check, &live.check, live.state) {
        (None, ..) | (.., State::Connecting(_)) => true,
        (Some(now), Some(then), _) if is_within(then, now) => true,
        // One name a connection: what it said is what counts. HTTP names one with each request, by the old check.
        (Some(now), ..) if now.names == Naming::Tls => {
            live.named && live.name.as_deref().is_some_and(|name| passes(now, name))
        }
        (Some(_), ..) => false,
    }
}

/// Whether whatever passes `then` passes `now`.
fn is_within(then: &Check, now: &Check) -> bool {
    let denied = now.denied.iter().all(|name| then.denied.contains(name));
    let allowed = match (&then.allowed, &now.allowed) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(then), Some(now)) => then.iter().all(|name| now.contains(name)),
    };
    denied && allowed && then.names == now.names
}
