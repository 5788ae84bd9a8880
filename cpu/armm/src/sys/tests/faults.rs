//! Synchronous exceptions, lockup, and returns that do not fit.

use super::*;

#[test]
fn each_fault_has_its_exception_and_status() {
    let valid = |bit, valid| bit | valid;
    for (why, number, status) in [
        (cause::UNDEFINED, USAGE_FAULT, cfsr::UNDEFINSTR),
        (cause::INVALID_STATE, USAGE_FAULT, cfsr::INVSTATE),
        (cause::NO_COPROCESSOR, USAGE_FAULT, cfsr::NOCP),
        (cause::UNALIGNED, USAGE_FAULT, cfsr::UNALIGNED),
        (cause::DIVIDE_BY_ZERO, USAGE_FAULT, cfsr::DIVBYZERO),
        (cause::DATA_ACCESS, MEM_MANAGE, valid(cfsr::DACCVIOL, cfsr::MMARVALID)),
        (cause::FETCH_ACCESS, MEM_MANAGE, cfsr::IACCVIOL),
        (cause::DATA_BUS, BUS_FAULT, valid(cfsr::PRECISERR, cfsr::BFARVALID)),
        (cause::FETCH_BUS, BUS_FAULT, cfsr::IBUSERR),
        (cause::SUPERVISOR_CALL, SV_CALL, 0),
    ] {
        // Enabled, disabled, and at its own priority.
        for (enabled, basepri, escalates) in [(true, 0, false), (false, 0, true), (true, 0x40, true)] {
            let state = core();
            if enabled {
                state.enable_faults();
            }
            state.sys.nvic.set_priority_register(number, 0x40);
            state.sys.basepri.set(basepri);
            state.fault(why, 0x1234);
            let escalates = escalates && (number != SV_CALL || basepri != 0);
            let expected = if escalates { (HARD_FAULT, hfsr::FORCED) } else { (number, 0) };
            assert_eq!((state.at().0, state.sys.get(Word::Hfsr)), expected, "{why} {enabled} {basepri}");
            assert_eq!(state.peek(0xe000_ed28), status, "{why}");
            assert_eq!(state.ram(state.sp() + 0x18), CODE);
            assert_eq!(
                state.peek(0xe000_ed34),
                if number == MEM_MANAGE && status & cfsr::DACCVIOL != 0 { 0x1234 } else { 0 }
            );
            assert_eq!(state.peek(0xe000_ed38), if status & cfsr::PRECISERR != 0 { 0x1234 } else { 0 });
            // Ones clear.
            state.poke(0xe000_ed28, status);
            state.poke(0xe000_ed2c, u32::MAX);
            assert_eq!((state.peek(0xe000_ed28), state.peek(0xe000_ed2c)), (0, 0));
        }
    }
}

#[test]
fn a_breakpoint_is_for_the_monitor_or_a_hardfault() {
    for (monitor, number, status) in [(bits::MON_EN, DEBUG_MONITOR, 0), (0, HARD_FAULT, hfsr::DEBUGEVT)] {
        let state = core();
        state.poke(0xe000_edfc, monitor);
        state.fault(cause::BREAKPOINT, 1);
        assert_eq!((state.at().0, state.sys.get(Word::Hfsr), state.peek(0xe000_ed30)), (number, status, 2));
    }
}

// B1.5.15.
#[test]
fn a_fault_that_nothing_can_take_locks_up() {
    for start in [HARD_FAULT, NMI] {
        let state = core();
        state.sys.nvic.pend(start);
        state.take_pending();
        assert_eq!(state.at().0, start);
        for why in [cause::UNDEFINED, cause::SUPERVISOR_CALL, cause::DATA_BUS] {
            state.fault(why, 0);
            assert_eq!((state.at(), state.exit.take()), ((start, 0xffff_fffe), Some(cpu_core::Exit::Lockup)));
        }
        state.sys.nvic.pend(NMI);
        assert_eq!(state.take_pending(), start == HARD_FAULT, "an NMI ends lockup in HardFault");
        if start == HARD_FAULT {
            assert_eq!(state.at(), (NMI, handler(NMI)));
            assert_eq!(state.ram(state.sp() + 0x18), 0xffff_fffe);
            assert!(!state.sys.lockup.get());
        }
    }
    let state = core();
    state.sys.faultmask.set(1);
    state.fault(cause::UNDEFINED, 0);
    assert!(state.sys.lockup.get());
}

#[test]
fn bus_faults_can_be_ignored_at_a_negative_priority() {
    let state = core();
    state.poke(0xe000_ed14, bits::BFHFNMIGN);
    assert!(state.load_as(0x3000_0000, Width::B4, true).is_err());
    state.sys.faultmask.set(1);
    assert_eq!(state.load_as(0x3000_0004, Width::B4, true).ok(), Some(0));
    assert!(state.store_as(0x3000_0008, Width::B4, 1, true).is_ok());
    assert_eq!(state.peek(0xe000_ed28), cfsr::PRECISERR | cfsr::BFARVALID);
    assert_eq!(state.peek(0xe000_ed38), 0x3000_0008);
}

// B1.5.8, the integrity checks.
#[test]
fn a_return_that_does_not_fit_is_an_invpc_fault() {
    let invalid =
        [0xffff_fff0u32, 0xffff_fff5, 0xffff_fff7, 0xffff_fffb, 0xffff_ffff, 0xfffe_fff9, 0xf000_0001];
    for value in invalid.into_iter().chain([0xffff_fff1]) {
        let state = core();
        state.enable_faults();
        state.interrupt(0, 0x40);
        state.take_pending();
        let sp = state.sp();
        state.exception_return(value);
        assert_eq!((state.at().0, state.sp(), state.lr()), (USAGE_FAULT, sp, value), "{value:#x}");
        assert_eq!(state.sys.get(Word::Cfsr), cfsr::INVPC, "{value:#x}");
        assert!(!state.sys.nvic.is_active(IRQ0));
    }
    // To Thread mode out of a nested exception.
    for (allowed, expected) in [(false, USAGE_FAULT), (true, 0)] {
        let state = core();
        state.enable_faults();
        state.poke(0xe000_ed14, allowed as u32 | bits::STKALIGN);
        state.interrupt(0, 0x40);
        state.take_pending();
        let frame = state.sp();
        state.interrupt(1, 0x20);
        state.take_pending();
        state.set_msp(frame);
        state.exception_return(0xffff_fff9);
        assert_eq!(state.at().0, expected);
        assert!(state.sys.nvic.is_active(IRQ0));
    }
    // The frame is of another mode than the value says.
    let state = core();
    state.enable_faults();
    state.interrupt(0, 0x40);
    state.take_pending();
    let sp = state.sp();
    state.memory.write(sp as u64 + 0x1c, &(1u32 << 24 | 20).to_le_bytes()).unwrap();
    state.exception_return(0xffff_fff9);
    assert_eq!((state.at().0, state.sp(), state.sys.get(Word::Cfsr)), (USAGE_FAULT, sp, cfsr::INVPC));
    // Out of an exception that is not active.
    let state = core();
    state.interrupt(0, 0x40);
    state.take_pending();
    state.sys.nvic.set_active(IRQ0, false);
    state.exception_return(0xffff_fff9);
    assert_eq!((state.at().0, state.sys.get(Word::Hfsr)), (HARD_FAULT, hfsr::FORCED));
}
