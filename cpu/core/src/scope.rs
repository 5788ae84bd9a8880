//! Lends the bus to a core for the length of one run.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::ptr::NonNull;

use crate::bus::{Access, Bus, BusFault, Width};

/// Where instruction meanings, which see the core by `&`, find the bus that [`crate::Core::run`] was given by `&mut`.
#[derive(Default)]
pub struct BusScope {
    bus: Cell<Option<NonNull<dyn Bus>>>,
    /// What compiled code has done, for the interpreter to find when it runs the instruction again.
    ahead: Cell<Option<(u32, Done)>>,
}

/// What came of an access: the value, which a write has none of, and whether the bus wants [attention](Bus::attention).
pub type Done = (Result<u64, BusFault>, bool);

// SAFETY: the pointer is there only while `enter` borrows this value: when it moves to another thread, it is empty.
unsafe impl Send for BusScope {}

impl BusScope {
    /// Runs `f`, during which [`BusScope::with`] reaches `bus`.
    pub fn enter<R>(&self, bus: &mut dyn Bus, f: impl FnOnce() -> R) -> R {
        struct Leave<'a>(&'a BusScope);
        impl Drop for Leave<'_> {
            fn drop(&mut self) {
                self.0.bus.set(None);
            }
        }
        let pointer: NonNull<dyn Bus + '_> = NonNull::from(bus);
        // SAFETY: only the lifetime changes. The pointer is used by `with` only, and it is removed before this function
        // returns or unwinds, while `bus` is still borrowed.
        let pointer: NonNull<dyn Bus + 'static> = unsafe { std::mem::transmute(pointer) };
        self.bus.set(Some(pointer));
        self.ahead.set(None);
        let _leave = Leave(self);
        f()
    }

    /// Calls `f` with the bus; `None` outside of [`BusScope::enter`], or inside of another `with`.
    #[inline]
    pub fn with<R>(&self, f: impl FnOnce(&mut dyn Bus) -> R) -> Option<R> {
        let mut pointer = self.bus.take()?;
        // SAFETY: the pointer comes from the exclusive borrow that `enter` holds, and taking it out of the cell makes this
        // the only use of it.
        let result = f(unsafe { pointer.as_mut() });
        self.bus.set(Some(pointer));
        Some(result)
    }

    /// Reads. `None` as in [`BusScope::with`].
    pub fn read(&self, who: &Access, paddr: u64, width: Width) -> Option<Done> {
        self.with(|bus| (bus.read(who, paddr, width), bus.attention()))
    }

    /// Writes. `None` as in [`BusScope::with`].
    pub fn write(&self, who: &Access, paddr: u64, width: Width, value: u64) -> Option<Done> {
        self.with(|bus| (bus.write(who, paddr, width, value).map(|()| 0), bus.attention()))
    }

    /// What compiled code has done for the instruction that runs, if it was left there: to be asked for before everything else.
    pub fn take_ahead(&self) -> Option<Done> {
        self.ahead.take().map(|(_, done)| done)
    }

    /// The instruction that is to be run again where [`BusScope::take_ahead`] has something.
    #[inline]
    pub fn left_at(&self) -> Option<u32> {
        self.ahead.get().map(|(bits, _)| bits)
    }

    /// Reads in the middle of compiled code, which goes on with the value. `None` where it has to be left instead, as the access
    /// faulted, wants attention, or changed what `stamp` gives: then the interpreter has to run the same instruction next, whatever
    /// has become of memory ([`BusScope::left_at`] gives `bits`, which were read before), and finds the access done by
    /// [`BusScope::take_ahead`].
    pub fn read_ahead<S: PartialEq>(
        &self,
        (who, bits): (&Access, u32),
        paddr: u64,
        width: Width,
        stamp: impl Fn() -> S,
    ) -> Option<u64> {
        let before = stamp();
        let done = self.with(|bus| (bus.read(who, paddr, width), bus.attention()))?;
        self.keep(bits, done, before == stamp()).map(|value| value & width.mask())
    }

    /// As [`BusScope::read_ahead`], for a write.
    pub fn write_ahead<S: PartialEq>(
        &self,
        (who, bits): (&Access, u32),
        paddr: u64,
        (width, value): (Width, u64),
        stamp: impl Fn() -> S,
    ) -> Option<()> {
        let before = stamp();
        let done = self.with(|bus| (bus.write(who, paddr, width, value).map(|()| 0), bus.attention()))?;
        self.keep(bits, done, before == stamp()).map(|_| ())
    }

    fn keep(&self, bits: u32, done: Done, quiet: bool) -> Option<u64> {
        match done {
            (Ok(value), false) if quiet => Some(value),
            _ => {
                self.ahead.set(Some((bits, done)));
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Counter;
    use crate::time::Time;

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
    fn what_compiled_code_did_is_found_once() {
        let (scope, who) = (BusScope::default(), Access { core: 0, now: Time(0), pc: 0 });
        let mut bus = Count(0);
        let ahead = || scope.read_ahead((&who, 7), 8, Width::B4, || 0);
        let seen = scope
            .enter(&mut bus, || (ahead(), ahead(), scope.left_at(), scope.take_ahead(), scope.left_at()));
        assert_eq!(seen, (Some(1), None, Some(7), Some((Ok(2), true)), None));
        let write = || scope.write_ahead((&who, 7), 8, (Width::B4, 0), || 0);
        let seen = scope.enter(&mut bus, || (write(), scope.take_ahead(), scope.take_ahead()));
        assert_eq!(seen, (None, Some((Err(BusFault { paddr: 8 }), true)), None));
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
