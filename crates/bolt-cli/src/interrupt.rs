//! Ctrl-C while a query runs: RESET first, then the door.
//!
//! The first signal cancels the query on the server, and the command ends by itself when the server has answered; a server that does
//! not answer within [`PATIENCE`] is not waited for, and a second signal ends the command at once. Before there is a connection, or
//! during the password prompt, the first one does. What must be put right before the process ends is kept in [`Interrupts::on_exit`].

use std::process;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use bolt_client::CancelHandle;

use crate::exit::INTERRUPTED;

/// How long a cancelled query may take to end.
const PATIENCE: Duration = Duration::from_secs(3);

#[derive(Default)]
struct State {
    signals: u32,
    cancel: Option<CancelHandle>,
    on_exit: Option<Box<dyn FnOnce() + Send>>,
}

/// What the signal handler and the command share.
#[derive(Clone, Default)]
pub(crate) struct Interrupts(Arc<Mutex<State>>);

impl Interrupts {
    /// Installs the handler of SIGINT, SIGTERM and SIGHUP.
    ///
    /// # Errors
    /// The operating system refuses a handler.
    pub(crate) fn install() -> Result<Self, String> {
        let interrupts = Self::default();
        let shared = interrupts.clone();
        ctrlc::set_handler(move || shared.signal())
            .map_err(|e| format!("no signal handler can be installed: {e}"))?;
        Ok(interrupts)
    }

    /// From now on the first signal cancels this connection's query.
    pub(crate) fn cancel_with(&self, handle: CancelHandle) {
        self.lock().cancel = Some(handle);
    }

    /// What to do if a signal ends the process before [`clear_on_exit`](Self::clear_on_exit).
    #[cfg(unix)]
    pub(crate) fn on_exit(&self, restore: impl FnOnce() + Send + 'static) {
        self.lock().on_exit = Some(Box::new(restore));
    }

    /// Takes the action back, and does it.
    pub(crate) fn clear_on_exit(&self) {
        let action = self.lock().on_exit.take();
        if let Some(action) = action {
            action();
        }
    }

    /// Whether a signal has come.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.lock().signals > 0
    }

    fn signal(&self) {
        let (first, cancel) = {
            let mut state = self.lock();
            state.signals += 1;
            (state.signals == 1, state.cancel.clone())
        };
        match cancel {
            Some(handle) if first && handle.cancel().is_ok() => {
                let shared = self.clone();
                thread::spawn(move || {
                    thread::sleep(PATIENCE);
                    shared.leave();
                });
            }
            _ => self.leave(),
        }
    }

    fn leave(&self) {
        self.clear_on_exit();
        process::exit(i32::from(INTERRUPTED));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change is one store; a panic elsewhere leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
