//! Lends the bus to a core for the length of one run.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;

use crate::bus::Bus;

/// Where instruction meanings, which see the core by `&`, find the bus that [`crate::Core::run`] was given by `&mut`.
#[derive(Default)]
pub struct BusScope(Cell<Option<NonNull<dyn Bus>>>);

// SAFETY: the pointer is there only while `enter` borrows this value: when it moves to another thread, it is empty.
unsafe impl Send for BusScope {}

impl BusScope {
    /// Runs `f`, during which [`BusScope::with`] reaches `bus`.
    pub fn enter<R>(&self, bus: &mut dyn Bus, f: impl FnOnce() -> R) -> R {
        struct Leave<'a>(&'a BusScope);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.0.set(None);
            }
        }
        let pointer: NonNull<dyn Bus + '_> = NonNull::from(bus);
        // SAFETY: only the lifetime changes. The pointer is used by `with` only, and it is removed before this function
        // returns or unwinds, while `bus` is still borrowed.
        let pointer: NonNull<dyn Bus + 'static> = unsafe { std::mem::transmute(pointer) };
        self.0.set(Some(pointer));
        let _leave = Leave(self);
        f()
    }

    /// Calls `f` with the bus; `None` outside of [`BusScope::enter`], or inside of another `with`.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut dyn Bus) -> R) -> Option<R> {
        let mut pointer = self.0.take()?;
        // SAFETY: the pointer comes from the exclusive borrow that `enter` holds, and taking it out of the cell makes this
        // the only use of it.
        let result = f(unsafe { pointer.as_mut() });
        self.0.set(Some(pointer));
        Some(result)
    }
}
