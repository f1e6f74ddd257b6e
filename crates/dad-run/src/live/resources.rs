//! Clients and pools that an application gives to nodes.

use std::any::{Any, TypeId};
use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

/// Clients and pools that an application gives its runs, by type. Dropped with the run, never written.
#[derive(Clone, Default)]
pub struct Resources {
    by_type: HashMap<TypeId, Arc<dyn Any + Send + Sync>>,
}

impl Resources {
    /// Adds a resource; one of the same type is replaced.
    pub fn insert<T: Send + Sync + 'static>(&mut self, resource: Arc<T>) {
        self.by_type.insert(TypeId::of::<T>(), resource);
    }

    /// The resource of a type.
    #[must_use]
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let resource = Arc::clone(self.by_type.get(&TypeId::of::<T>())?);
        resource.downcast().ok()
    }
}

impl fmt::Debug for Resources {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Resources")
            .field("types", &self.by_type.len())
            .finish()
    }
}
