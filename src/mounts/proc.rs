//! `/proc`: fresh, of the new pid namespace; what tells of the host is masked, `/proc/sys` read-only.

use crate::host::{EntryKind, Host};
use crate::step::{Step, c_string};

/// Steps of pid 1, after the root is there.
pub fn plan(host: &Host, init: &mut Vec<Step>) {
    init.push(Step::Proc);
    // Nested user namespaces are impossible twice over: by the filter, and by this count, which belongs to the
    // new user namespace. With a range of ids one more is made, the payload's.
    let count = if host.ranges.is_some() { c"1" } else { c"0" };
    init.push(Step::Setting { name: c"sys/user/max_user_namespaces".to_owned(), value: count.to_owned() });
    init.push(Step::SealSettings);
    for entry in &host.masks {
        init.push(Step::Mask { name: c_string(entry.name.clone()), directory: entry.kind == EntryKind::Directory });
    }
}
