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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Access, BusFault, Counter, Width};

    struct Count(u64);

    impl Bus for Count {
        fn read(&mut self, _: &Access, _: u64, _: Width) -> Result<u64, BusFault> {
            self.0 += 1;
            Ok(self.0)
        }
        fn write(&mut self, _: &Access, paddr: u64, _: Width, _: u64) -> Result<(), BusFault> {
            Err(BusFault { paddr })
        }
        fn attention(&self) -> bool {
            self.0 > 1
        }
        fn counter(&self) -> Counter {
            Counter { hz: 1, offset: self.0 }
        }
    }

    #[test]
    fn the_bus_is_there_for_the_scope_only_and_for_one_at_a_time() {
        let scope = BusScope::default();
        let mut bus = Count(7);
        assert_eq!(scope.with(|bus| bus.counter().offset), None);
        let seen = scope.enter(&mut bus, || {
            let nested = scope.with(|_| scope.with(|_| ()).is_none());
            (scope.with(|bus| bus.counter().offset), nested)
        });
        assert_eq!(seen, (Some(7), Some(true)));
        assert!(scope.with(|_| ()).is_none());
    }

    #[test]
    fn a_panic_takes_the_bus_away() {
        let scope = BusScope::default();
        let mut bus = Count(0);
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            scope.enter(&mut bus, || panic!("inside"));
        }));
        assert!(result.is_err());
        assert!(scope.with(|_| ()).is_none());
    }
}
