//! `/proc`: fresh, of the new pid namespace; what tells of the host is masked, `/proc/sys` read-only.

use crate::host::{EntryKind, Host};
use crate::step::{Step, c_string};

/// Steps of pid 1, after the root is there.
pub fn plan(host: &Host, init: &mut Vec<Step>) {
    init.push(Step::Proc);
    // Nested user namespaces are impossible twice over: by the filter, and by this count, which belongs to the
    // new user namespace.
    init.push(Step::Setting { name: c"sys/user/max_user_namespaces".to_owned(), value: c"0".to_owned() });
    init.push(Step::SealSettings);
    for entry in &host.masks {
        init.push(Step::Mask { name: c_string(entry.name.clone()), directory: entry.kind == EntryKind::Directory });
    }
}
