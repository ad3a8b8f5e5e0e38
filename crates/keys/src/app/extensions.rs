//! Values of other parts of the service, whose types the core does not know.

use std::{any::Any, rc::Rc};

/// Values by their types.
#[derive(Clone, Default)]
pub struct Extensions(Vec<Rc<dyn Any>>);

impl Extensions {
    /// Returns these values and another one.
    #[must_use]
    pub fn with<T: 'static>(mut self, value: Rc<T>) -> Self {
        self.0.push(value);
        self
    }

    /// Returns the value of a type, if there is one.
    pub fn get<T: 'static>(&self) -> Option<&T> {
        self.0.iter().find_map(|value| value.downcast_ref())
    }
}
