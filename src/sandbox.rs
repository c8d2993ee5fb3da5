//! Persistent sandboxes: made once, entered many times, without a daemon.
//!
//! State is a directory for each, below `$BELLJAR_HOME/sandboxes`:
//!
//! ```text
//! ID/spec.json     the wish
//! ID/record.json   name, labels, how long it may live                       written under `turn`
//! ID/run.json      what its supervisor says: ready, and how it ended        written by the supervisor
//! ID/turn          flock(2): one call at a time changes the sandbox
//! ID/alive         flock(2): held by the supervisor; the sandbox runs exactly as long as it is
//! ID/call          a socket of the supervisor
//! ID/log           what the sandbox's own command wrote
//! ID/network.log   what it reached and was refused, written by its dialer
//! ID/upper, work   its files, where they are kept
//! ID/image         the record of its image, which is kept as long as this link is there
//! names/NAME       a link to ID
//! ready.ID         one that nobody has asked for yet
//! ended/AT-ID      how one that was not kept has ended, for an hour
//! ```
//!
//! Promises: what is told comes from the locks and files at that moment, and never from a process id; of two calls that race
//! one comes first; a sandbox whose supervisor is killed is known as such by the next call, and if nobody wanted it kept, the
//! next call that lists or creates removes it. Nothing here follows a path that a sandbox controls.

mod ahead;
mod archive;
mod call;
mod capture;
mod diff;
mod ended;
mod entry;
mod errors;
mod exec;
mod fill;
mod life;
mod names;
mod network;
mod orphans;
mod place;
mod ports;
mod preview;
mod program;
mod quota;
mod ready;
mod record;
mod silence;
mod start;
mod supervise;
mod volumes;
mod warm;

pub use ahead::stand_by;
pub use archive::{Brought, Export, export, import, read};
pub use call::Stats;
pub use capture::{fork, snapshot};
pub use diff::diff;
pub use entry::Entry;
pub use exec::{Exec, exec};
pub use fill::{Filling, fill};
pub use life::{Lasting, follow_log, is_log_full, label, last, remove, rename, resize, stats, stop, wait, warm_stats};
pub use network::{follow_network, set_policy};
pub use place::{Sandboxes, is_name};
pub use ports::{Port, Ports, ports};
pub use preview::{Preview, preview};
pub use ready::{Facts, Ready, Template, end_nameless, prepare};
pub use record::{End, Reason, Record, Run, State};
pub use start::{Report, Wish, create, create_or_take, start};
pub use supervise::supervise;
pub use volumes::{Volume, Volumes};
pub use warm::{Piece, WarmStats, make_spares, run as run_warm, template};
