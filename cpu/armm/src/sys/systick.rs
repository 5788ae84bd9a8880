//! SysTick, as a function of virtual time.
//!
//! Follows the ARMv7-M Architecture Reference Manual (DDI 0403E), B3.3. Nothing ticks: the counter is a value at a tick of its
//! clock, and what lies between that tick and now is computed.

use cpu_core::Time;
use serde::{Deserialize, Serialize};

const ENABLE: u32 = 1;
const TICKINT: u32 = 1 << 1;
const CLKSOURCE: u32 = 1 << 2;
const COUNTFLAG: u32 = 1 << 16;
const COUNTER_MASK: u32 = 0xff_ffff;

/// The clocks that SysTick can count.
#[derive(Copy, Clone, PartialEq, Eq, Serialize, Deserialize, Debug)]
pub struct Clocks {
    /// Period of the processor's clock.
    pub processor: Time,
    /// Frequency of the reference clock; `None` if there is none, and the processor's is always used.
    pub reference_hz: Option<u64>,
    /// SYST_CALIB: TENMS, and SKEW in bit 30. NOREF follows from `reference_hz`.
    pub calibration: u32,
}

/// The timer.
#[derive(Copy, Clone, Serialize, Deserialize, Debug)]
pub struct SysTick {
    clocks: Clocks,
    /// ENABLE, TICKINT and CLKSOURCE.
    control: u32,
    reload: u32,
    /// The counter's value at tick `since` of its clock.
    value: u32,
    since: u64,
    count_flag: bool,
}

impl SysTick {
    /// Disabled, with a reload value of zero (architecturally it is unknown).
    pub fn new(clocks: Clocks) -> SysTick {
        let control = if clocks.reference_hz.is_none() { CLKSOURCE } else { 0 };
        SysTick { clocks, control, reload: 0, value: 0, since: 0, count_flag: false }
    }

    /// Whether both count the same clocks.
    pub fn same_shape(&self, other: &SysTick) -> bool {
        self.clocks == other.clocks
    }

    fn runs(&self) -> bool {
        self.control & ENABLE != 0
    }

    /// Ticks of the chosen clock since reset.
    fn ticks(&self, now: Time) -> u64 {
        match self.clocks.reference_hz {
            Some(hz) if self.control & CLKSOURCE == 0 => now.ticks(hz),
            _ => now.0 / self.clocks.processor.0.max(1),
        }
    }

    /// The time of a tick of the chosen clock.
    fn time(&self, tick: u64) -> Time {
        match self.clocks.reference_hz {
            Some(hz) if self.control & CLKSOURCE == 0 => Time::of_tick(tick, hz),
            _ => Time(tick.saturating_mul(self.clocks.processor.0.max(1))),
        }
    }

    /// Ticks from `since` until the counter first reaches zero by counting; `None` if it never does.
    fn first_zero(&self) -> Option<u64> {
        match (self.value, self.reload) {
            (0, 0) => None,
            (0, reload) => Some(reload as u64 + 1),
            (value, _) => Some(value as u64),
        }
    }

    /// The counter after `elapsed` ticks, and how often it has counted to zero.
    fn after(&self, elapsed: u64) -> (u32, u64) {
        let cycle = self.reload as u64 + 1;
        match self.first_zero() {
            None => (0, 0),
            Some(first) if elapsed < first && self.value != 0 => ((first - elapsed) as u32, 0),
            Some(first) => {
                // Ticks since it was zero, which it was at the start if its value was.
                let zero_at = if self.value == 0 { 0 } else { first };
                let beyond = elapsed - zero_at;
                let phase = beyond % cycle;
                let value = if phase == 0 { 0 } else { (cycle - phase) as u32 };
                let zeros = if self.reload == 0 { 0 } else { beyond / cycle };
                (value, zeros + (self.value != 0) as u64)
            }
        }
    }

    /// Brings the counter to `now`. Returns whether the exception became pending since the last call.
    #[must_use]
    pub fn poll(&mut self, now: Time) -> bool {
        let tick = self.ticks(now);
        let elapsed = tick.saturating_sub(self.since);
        self.since = tick;
        if !self.runs() || elapsed == 0 {
            return false;
        }
        let (value, zeros) = self.after(elapsed);
        self.value = value;
        self.count_flag |= zeros != 0;
        zeros != 0 && self.control & TICKINT != 0
    }

    /// As [`SysTick::poll`], but where nothing became pending nothing changes: when it is called can not be seen in the state.
    #[must_use]
    pub fn advance(&mut self, now: Time) -> bool {
        let elapsed = self.ticks(now).saturating_sub(self.since);
        let Some(first) = self.first_zero().filter(|first| *first <= elapsed) else { return false };
        if !self.runs() || self.control & TICKINT == 0 {
            return false;
        }
        // It is at the last zero; with nothing to reload, that is the first one.
        let cycle = self.reload as u64 + 1;
        self.since += if self.reload == 0 { first } else { elapsed - (elapsed - first) % cycle };
        self.value = 0;
        self.count_flag = true;
        true
    }

    /// The first time, not before `now`, at which [`SysTick::poll`] may return true.
    pub fn deadline(&self, now: Time) -> Time {
        if !self.runs() || self.control & TICKINT == 0 {
            return Time::NEVER;
        }
        self.first_zero().map_or(Time::NEVER, |first| self.time(self.since.saturating_add(first)).max(now))
    }

    /// SYST_CSR; COUNTFLAG is cleared by the read.
    pub fn read_control(&mut self) -> u32 {
        let flag = if std::mem::take(&mut self.count_flag) { COUNTFLAG } else { 0 };
        self.control | flag
    }

    /// SYST_CSR without the effect of reading it.
    pub fn peek_control(&self) -> u32 {
        self.control | if self.count_flag { COUNTFLAG } else { 0 }
    }

    /// Writes SYST_CSR at `now`, up to which [`SysTick::poll`] has been called.
    pub fn write_control(&mut self, value: u32, now: Time) {
        self.control = value & (ENABLE | TICKINT | CLKSOURCE);
        if self.clocks.reference_hz.is_none() {
            self.control |= CLKSOURCE;
        }
        self.since = self.ticks(now);
    }

    /// SYST_RVR.
    pub fn reload(&self) -> u32 {
        self.reload
    }

    /// Writes SYST_RVR: it takes effect at the next reload.
    pub fn write_reload(&mut self, value: u32) {
        self.reload = value & COUNTER_MASK;
    }

    /// SYST_CVR as of the last [`SysTick::poll`].
    pub fn current(&self) -> u32 {
        self.value
    }

    /// Writes SYST_CVR: any value clears it and COUNTFLAG, and makes no exception pending.
    pub fn clear_current(&mut self) {
        self.value = 0;
        self.count_flag = false;
    }

    /// SYST_CALIB.
    pub fn calibration(&self) -> u32 {
        const NOREF: u32 = 1 << 31;
        const SKEW: u32 = 1 << 30;
        let noref = if self.clocks.reference_hz.is_none() { NOREF } else { 0 };
        self.clocks.calibration & (COUNTER_MASK | SKEW) | noref
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Time = Time(15_625);

    fn at(tick: u64) -> Time {
        Time(tick * PERIOD.0)
    }

    fn timer(reference_hz: Option<u64>) -> SysTick {
        SysTick::new(Clocks { processor: PERIOD, reference_hz, calibration: 0x4000_0271 })
    }

    /// The manual's counter, ticked one by one.
    fn ticked(value: u32, reload: u32, ticks: u64) -> (u32, u64) {
        let (mut value, mut zeros) = (value, 0);
        for _ in 0..ticks {
            if value == 0 {
                value = reload;
            } else {
                value -= 1;
                zeros += (value == 0) as u64;
            }
        }
        (value, zeros)
    }

    #[test]
    fn computing_equals_ticking() {
        for reload in 0..6 {
            for value in 0..6 {
                for elapsed in 0..30 {
                    let timer = SysTick { reload, value, ..timer(None) };
                    let found = timer.after(elapsed);
                    assert_eq!(found, ticked(value, reload, elapsed), "{value} of {reload} after {elapsed}");
                    let first = (1..30).find(|&ticks| ticked(value, reload, ticks).1 == 1);
                    assert_eq!(timer.first_zero(), first, "{value} of {reload}");
                }
            }
        }
    }

    #[test]
    fn it_pends_exactly_at_its_deadline() {
        let mut timer = timer(None);
        timer.write_reload(99);
        timer.clear_current();
        timer.write_control(ENABLE | TICKINT | CLKSOURCE, at(1000));
        assert_eq!(timer.deadline(at(1000)), at(1100));
        assert!(!timer.poll(at(1001)));
        assert_eq!(timer.current(), 99);
        assert_eq!(timer.deadline(at(1001)), at(1100));
        assert!(!timer.poll(at(1099)));
        assert_eq!(timer.read_control(), ENABLE | TICKINT | CLKSOURCE);
        assert!(timer.poll(at(1100)));
        assert_eq!(timer.current(), 0);
        assert_eq!(timer.read_control() & COUNTFLAG, COUNTFLAG);
        assert_eq!(timer.read_control() & COUNTFLAG, 0);
        assert_eq!(timer.deadline(at(1100)), at(1200));
        assert!(timer.poll(at(1450)));
        assert_eq!(timer.current(), 50);
    }

    #[test]
    fn advancing_changes_the_state_at_zeros_only() {
        for reload in 0..5 {
            for value in 0..5 {
                let start = SysTick { reload, value, control: ENABLE | TICKINT | CLKSOURCE, ..timer(None) };
                for elapsed in 0..20 {
                    let (mut polled, mut advanced) = (start, start);
                    let zeros = start.after(elapsed).1 != 0;
                    assert_eq!(advanced.advance(at(elapsed)), zeros, "{value} of {reload} after {elapsed}");
                    assert_eq!(polled.poll(at(elapsed)), zeros);
                    assert!(zeros || (advanced.value, advanced.since) == (start.value, start.since));
                    assert!(!advanced.advance(at(elapsed)));
                    assert_eq!(polled.deadline(at(elapsed)), advanced.deadline(at(elapsed)));
                    assert!(!advanced.poll(at(elapsed)));
                    assert_eq!((polled.value, polled.count_flag), (advanced.value, advanced.count_flag));
                }
            }
        }
    }

    #[test]
    fn a_new_reload_value_waits_for_the_next_reload() {
        let mut timer = timer(None);
        timer.write_reload(9);
        timer.write_control(ENABLE | CLKSOURCE, at(0));
        assert!(!timer.poll(at(5)));
        timer.write_reload(99);
        assert!(!timer.poll(at(10)));
        assert_eq!((timer.current(), timer.peek_control() & COUNTFLAG), (0, COUNTFLAG));
        assert!(!timer.poll(at(11)));
        assert_eq!(timer.current(), 99);
        timer.write_reload(0);
        assert!(!timer.poll(at(500)));
        assert_eq!(timer.current(), 0, "a reload value of zero stops it");
        timer.clear_current();
        assert_eq!(timer.read_control() & COUNTFLAG, 0);
        assert_eq!(timer.deadline(at(500)), Time::NEVER);
    }

    #[test]
    fn the_reference_clock_is_counted_where_there_is_one() {
        let mut timer = timer(Some(1_000_000));
        assert_eq!(timer.calibration(), 0x4000_0271);
        timer.write_reload(10);
        timer.write_control(ENABLE | TICKINT, Time::from_us(7));
        assert_eq!(timer.deadline(Time::from_us(7)), Time::from_us(18));
        assert!(!timer.poll(Time(Time::from_us(18).0 - 1)));
        assert!(timer.poll(Time::from_us(18)));
        let mut without = super::tests::timer(None);
        assert_eq!(without.calibration(), 0xc000_0271);
        without.write_control(ENABLE, at(0));
        assert_eq!(without.read_control(), ENABLE | CLKSOURCE);
    }
}
