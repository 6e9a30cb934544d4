//! One stack for all tests of a program.

use crate::stack::Stack;
use std::ops::Deref;
use std::sync::mpsc;
use std::thread;
use tokio::runtime::Runtime;

/// A stack that outlives the test that starts it.
///
/// Each test function has a runtime of its own, which ends with it and would take the stack along. So
/// the stack runs on one that lives as long as the program, and its servers stop with the program.
pub struct SharedStack(Stack);

impl SharedStack {
    /// Starts one. For a `static LazyLock`; what tests change on it is theirs alone.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start<F>(make: impl FnOnce() -> F + Send + 'static) -> Self
    where
        F: Future<Output = Stack>,
    {
        let (started, stack) = mpsc::channel();
        thread::spawn(move || {
            let runtime = Runtime::new().expect("threads can be started");
            runtime.block_on(async {
                // Nobody waits for it any more when the program is ending.
                let _ = started.send(make().await);
                std::future::pending::<()>().await;
            });
        });
        Self(stack.recv().expect("the stack comes up"))
    }
}

impl Deref for SharedStack {
    type Target = Stack;
    fn deref(&self) -> &Stack {
        &self.0
    }
}
