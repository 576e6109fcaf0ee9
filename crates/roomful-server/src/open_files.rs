//! How many files, and so connections, the operating system lets this process have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Raises the limit as far as it may be raised without asking anyone.
///
/// Systems start programs with 1,024 because of `select`, which nothing here uses, and a chat server reaches that in no time.
pub(crate) fn raise() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if limit.current != limit.maximum && setrlimit(Resource::Nofile, raised).is_err() {
        tracing::warn!(
            limit = limit.current,
            "cannot raise the limit of open files"
        );
    }
}

/// How far it can be raised; `None` where there is no end.
pub(crate) fn most() -> Option<u64> {
    getrlimit(Resource::Nofile).maximum
}
