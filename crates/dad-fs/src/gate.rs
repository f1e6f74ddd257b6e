use std::fmt;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// One change of the file system that is about to be made.
#[derive(Debug)]
pub struct Operation<'a> {
    /// Its number, from 0, among all operations that passed the gate.
    pub number: u64,
    /// What is about to be done.
    pub name: &'static str,
    /// The file or directory it concerns.
    pub path: &'a Path,
}

/// Decides, in tests, whether an operation may happen.
pub trait FaultInjector: Send + Sync {
    /// Called before each operation; an error is reported as if the operating system had given it.
    ///
    /// # Errors
    /// Whatever the test wants the operation to fail with.
    fn before(&self, operation: &Operation<'_>) -> io::Result<()>;
}

/// Counts the operations of every directory opened through it.
#[derive(Clone, Default)]
pub struct Gate {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    passed: AtomicU64,
    injector: Option<Box<dyn FaultInjector>>,
}

impl Gate {
    /// A gate that asks `injector` before each operation.
    pub fn with_faults(injector: impl FaultInjector + 'static) -> Self {
        Self {
            inner: Arc::new(Inner {
                passed: AtomicU64::new(0),
                injector: Some(Box::new(injector)),
            }),
        }
    }

    /// How many operations have passed.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.inner.passed.load(Ordering::Relaxed)
    }

    pub(crate) fn pass(&self, name: &'static str, path: &Path) -> io::Result<()> {
        let number = self.inner.passed.fetch_add(1, Ordering::Relaxed);
        match &self.inner.injector {
            None => Ok(()),
            Some(injector) => injector.before(&Operation { number, name, path }),
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate")
            .field("operations", &self.operations())
            .finish_non_exhaustive()
    }
}
