//! Ctrl-C, and the system's own way to say the same (SIGTERM): a command ends early, says so, and leaves nothing half done.

use std::future;
use std::panic;
use std::task::{Context, Poll};
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

use crate::error::Failure;
use crate::output::{self, Spinner};

/// What a large document may need of stack, as much as a program's first thread has.
const STACK_BYTES: usize = 8 << 20;

/// Somebody's wish that the program ends, listened for from the moment this is made.
pub(crate) struct Interruption(Vec<Signal>);

impl Interruption {
    /// Listens for a person's wish and for the system's; where it cannot be listened for, a signal ends the program at once.
    pub(crate) fn listen() -> Self {
        Self::to(&[SignalKind::interrupt(), SignalKind::terminate()])
    }

    /// Listens also for the terminal going away: for what must be tidied up even then.
    pub(crate) fn listen_closely() -> Self {
        Self::to(&[SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()])
    }

    fn to(kinds: &[SignalKind]) -> Self {
        Self(kinds.iter().filter_map(|kind| signal(*kind).ok()).collect())
    }

    /// Returns when the wish is uttered.
    pub(crate) async fn uttered(&mut self) {
        let mut any = |context: &mut Context<'_>| self.0.iter_mut().any(|signal| signal.poll_recv(context).is_ready());
        future::poll_fn(|context| if any(context) { Poll::Ready(()) } else { Poll::Pending }).await;
    }
}

/// Does what changes nothing outside before its very end, where it writes its answer; an interruption ends the wait for it.
pub(crate) fn or_interrupted<T, W>(work: W) -> Result<T, Failure>
where
    T: Send + 'static,
    W: FnOnce() -> Result<T, Failure> + Send + 'static,
{
    let failed = |error| Failure::environment("start a thread", error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(failed)?;
    let (tell, done) = oneshot::channel();
    let working = move || {
        // Nobody listens any more where it was interrupted.
        let _ = tell.send(work());
    };
    let mut interruption = runtime.block_on(async { Interruption::listen() });
    let worker = thread::Builder::new().stack_size(STACK_BYTES).spawn(working).map_err(failed)?;
    runtime.block_on(async {
        tokio::select! {
            done = done => done.unwrap_or_else(|_| match worker.join() {
                Ok(()) => Err(Failure::bug()),
                Err(panic) => panic::resume_unwind(panic),
            }),
            () = interruption.uttered() => {
                Spinner::clear();
                output::write_no_more();
                Err(interrupted("finish", "run the same command again; nothing is half written"))
            }
        }
    })
}

/// A command that was interrupted, and what that leaves.
pub(crate) fn interrupted(doing: &str, advice: &str) -> Failure {
    Failure::environment(doing, "it was interrupted").with_hint(advice)
}
