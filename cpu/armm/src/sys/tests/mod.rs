//! Exceptions step by step, on a core without instructions: each test calls what the interpreter calls.
//!
//! Memory is code at 0 and RAM at 0x20000000. Vector `n` of the table at 0 leads to `handler(n)`.

mod faults;
mod programs;

use cpu_core::{GuestMemory, MemoryKind, RegionSpec, Width};

use super::fault::{cfsr, hfsr};
use super::float::fpccr;
use super::nvic::exception::*;
use super::table::Word;
use super::{bits, control};
use crate::config::ArmConfig;
use crate::state::State;
use crate::{cause, slot};

const STACK: u32 = 0x2000_1000;
const PROCESS_STACK: u32 = 0x2000_2000;
const CODE: u32 = 0x800;

fn handler(number: u16) -> u64 {
    0x400 + 8 * number as u64
}

fn memory() -> GuestMemory {
    let region =
        |name: &str, base| RegionSpec { name: name.into(), base, size: 0x4000, kind: MemoryKind::Ram };
    let memory = GuestMemory::new(vec![region("code", 0), region("ram", 0x2000_0000)]).unwrap();
    memory.write(0, &STACK.to_le_bytes()).unwrap();
    memory.write(4, &(CODE | 1).to_le_bytes()).unwrap();
    for number in 2..64 {
        memory.write(4 * number as u64, &(handler(number) as u32 | 1).to_le_bytes()).unwrap();
    }
    memory
}

fn core_of(config: ArmConfig) -> State {
    let state = State::new(config, memory());
    state.load_reset_vectors();
    state.update_contexts();
    state
}

fn core() -> State {
    let config = ArmConfig { priority_bits: 8, ..ArmConfig::cortex_m4f() };
    let state = core_of(config);
    state.enable_float();
    state
}

impl State {
    fn sp(&self) -> u32 {
        self.cell(slot::SP).get() as u32
    }

    fn lr(&self) -> u32 {
        self.cell(slot::LR).get() as u32
    }

    fn at(&self) -> (u16, u64) {
        (self.sys.exception.get(), self.frame.pc.get())
    }

    fn ram(&self, addr: u32) -> u32 {
        self.memory.read_le(addr as u64, 4).unwrap() as u32
    }

    /// An external interrupt that is enabled, has this priority and pends.
    fn interrupt(&self, irq: u16, priority: u8) -> u16 {
        let number = IRQ0 + irq;
        self.sys.nvic.set_priority_register(number, priority);
        self.sys.nvic.set_enabled(number, true);
        self.sys.nvic.pend(number);
        number
    }

    fn poke(&self, addr: u32, value: u32) {
        self.scs_write(addr, Width::B4, value, true).unwrap();
    }

    fn peek(&self, addr: u32) -> u32 {
        self.scs_read(addr, Width::B4, true).unwrap()
    }

    /// Thread mode on the process stack, unprivileged.
    fn to_user(&self) {
        self.set_psp(PROCESS_STACK);
        self.sys.control.set(control::NPRIV | control::SPSEL);
        self.select_stack();
        self.update_contexts();
    }

    fn enable_faults(&self) {
        self.poke(0xe000_ed24, 7 << 16);
    }

    /// Denies stores to the page of the main stack, by an MPU region over everything.
    fn deny_stacks(&self) {
        self.poke(0xe000_ed9c, 0x10);
        self.poke(0xe000_eda0, 3 << 24 | 31 << 1 | 1);
        self.poke(0xe000_ed9c, 0x2000_0000 | 0x11);
        self.poke(0xe000_eda0, 6 << 24 | 13 << 1 | 1);
        self.poke(0xe000_ed94, 1);
    }
}

#[test]
fn an_entry_stores_the_frame_and_a_return_restores_it() {
    let state = core();
    for r in 0..15u16 {
        if r != 13 {
            state.cell(r).set(0x100 + r as u64);
        }
    }
    state.set_apsr(0xf80f_0000);
    state.itstate.set(0xaa);
    let number = state.interrupt(3, 0x40);
    assert!(state.take_pending());
    assert_eq!(state.at(), (number, handler(number)));
    assert_eq!((state.sp(), state.lr(), state.itstate.get()), (STACK - 0x20, 0xffff_fff9, 0));
    let frame: Vec<u32> = (0..8).map(|i| state.ram(state.sp() + 4 * i)).collect();
    assert_eq!(frame[..6], [0x100, 0x101, 0x102, 0x103, 0x10c, 0x10e]);
    assert_eq!(frame[6..], [CODE, 0xf80f_0000 | 1 << 24 | 2 << 25 | 0x2a << 10]);
    for r in [0, 1, 2, 3, 12] {
        state.cell(r).set(0);
    }
    state.set_apsr(0);
    state.sys.faultmask.set(1);
    state.exception_return(state.lr());
    assert_eq!(state.at(), (0, CODE as u64));
    assert_eq!((state.sp(), state.lr(), state.itstate.get()), (STACK, 0x10e, 0xaa));
    assert_eq!((state.xpsr() & 0xf80f_0000, state.cell(12).get()), (0xf80f_0000, 0x10c));
    assert_eq!(state.sys.faultmask.get(), 0);
    assert!(!state.take_pending());
}

#[test]
fn the_frame_is_aligned_where_ccr_asks_for_it() {
    for (stkalign, sp, frame) in
        [(true, STACK - 4, STACK - 0x28), (true, STACK, STACK - 0x20), (false, STACK - 4, STACK - 0x24)]
    {
        let state = core();
        state.poke(0xe000_ed14, if stkalign { bits::STKALIGN } else { 0 });
        state.set_msp(sp);
        state.interrupt(0, 0);
        state.take_pending();
        assert_eq!(state.sp(), frame);
        assert_eq!(state.ram(frame + 0x1c) >> 9 & 1 != 0, stkalign && sp & 4 != 0);
        state.exception_return(state.lr());
        assert_eq!(state.sp(), sp);
    }
}

// Table B1-8.
#[test]
fn exc_return_tells_mode_stack_and_frame() {
    for (fpca, expected) in [(0, [0xffff_fffdu32, 0xffff_fff1]), (control::FPCA, [0xffff_ffed, 0xffff_fff1])]
    {
        let state = core();
        state.to_user();
        state.sys.control.set(state.sys.control.get() | fpca);
        let first = state.interrupt(0, 0x80);
        state.take_pending();
        assert_eq!(state.lr(), expected[0]);
        assert_eq!(state.psp(), PROCESS_STACK - if fpca != 0 { 0x68 } else { 0x20 });
        assert_eq!((state.sp(), state.sys.control.get()), (STACK, control::NPRIV));
        assert!(state.privileged());
        let second = state.interrupt(1, 0x40);
        state.take_pending();
        assert_eq!((state.lr(), state.at().0), (expected[1], second));
        state.exception_return(state.lr());
        assert_eq!((state.at().0, state.sp()), (first, STACK));
        state.exception_return(expected[0]);
        assert_eq!(state.sys.control.get(), control::NPRIV | control::SPSEL | fpca);
        assert_eq!((state.sp(), state.privileged()), (PROCESS_STACK, false));
    }
}

#[test]
fn what_pends_at_a_return_is_tail_chained() {
    let state = core();
    let first = state.interrupt(0, 0x40);
    state.take_pending();
    let second = state.interrupt(1, 0x40);
    assert!(!state.take_pending());
    let sp = state.sp();
    state.memory.write(sp as u64, &[0x55; 4]).unwrap();
    state.exception_return(0xffff_fff9);
    assert_eq!((state.at().0, state.sp(), state.lr()), (second, sp, 0xffff_fff9));
    assert!(!state.sys.nvic.is_active(first) && state.sys.nvic.is_active(second));
    // The frame was not loaded and stored again.
    assert_eq!((state.ram(sp), state.cell(0).get()), (0x5555_5555, 0));
    state.exception_return(0xffff_fff9);
    assert_eq!((state.at().0, state.sp()), (0, STACK));
    assert_eq!(state.cell(0).get(), 0x5555_5555);
}

#[test]
fn a_level_is_taken_again_and_masks_hold_it_back() {
    let state = core();
    let number = state.interrupt(5, 0x40);
    state.sys.nvic.unpend(number);
    state.set_irq(5, true);
    state.take_pending();
    state.exception_return(state.lr());
    assert_eq!(state.at().0, number);
    state.set_irq(5, false);
    state.exception_return(state.lr());
    assert_eq!(state.at().0, 0);
    state.set_irq(5, true);
    state.sys.basepri.set(0x40);
    assert!(!state.take_pending());
    state.sys.basepri.set(0x42);
    assert!(state.take_pending());
}

// B1.5.13: a fault of stacking overtakes the exception where its priority is higher, else it waits.
#[test]
fn a_fault_of_stacking_is_ordered_with_what_was_to_be_taken() {
    for (mem_manage, expected) in [(0x20, [MEM_MANAGE, IRQ0]), (0x80, [IRQ0, MEM_MANAGE])] {
        let state = core();
        state.enable_faults();
        state.sys.nvic.set_priority_register(MEM_MANAGE, mem_manage);
        state.deny_stacks();
        state.set_msp(0x2000_0100);
        state.interrupt(0, 0x40);
        state.take_pending();
        assert_eq!(state.sys.get(Word::Cfsr), cfsr::MSTKERR);
        assert_eq!((state.at().0, state.sp()), (expected[0], 0x2000_00e0));
        state.exception_return(state.lr());
        assert_eq!((state.at().0, state.lr()), (expected[1], 0xffff_fff9));
        state.exception_return(state.lr());
        // The frame is not denied to loads.
        assert_eq!((state.at(), state.sp()), ((0, 0), 0x2000_0100));
    }
}

#[test]
fn a_fault_of_unstacking_is_taken_over_the_frame() {
    let state = core();
    state.enable_faults();
    state.interrupt(0, 0x40);
    state.take_pending();
    state.set_msp(0x3000_0000);
    state.exception_return(0xffff_fff9);
    assert_eq!((state.at().0, state.lr(), state.sp()), (BUS_FAULT, 0xffff_fff9, 0x3000_0000));
    assert_eq!(state.sys.get(Word::Cfsr), cfsr::UNSTKERR);
    assert!(!state.sys.nvic.is_active(IRQ0));
}

#[test]
fn a_vector_that_can_not_be_read_is_a_hardfault() {
    let state = core();
    state.poke(0xe000_ed08, 0x3000_0000);
    state.interrupt(0, 0x40);
    state.take_pending();
    // HardFault has no vector there either.
    assert!(state.sys.lockup.get());
    assert_eq!((state.at(), state.sys.get(Word::Hfsr)), ((HARD_FAULT, 0xffff_fffe), hfsr::VECTTBL));

    // A table whose end is not there: HardFault's vector is.
    let state = core();
    state.poke(0xe000_ed08, 0x2000_3f80);
    state.memory.write(0x2000_3f80 + 12, &0x501u32.to_le_bytes()).unwrap();
    let number = state.interrupt(20, 0x40);
    state.take_pending();
    assert_eq!((state.at(), state.sys.get(Word::Hfsr)), ((HARD_FAULT, 0x500), hfsr::VECTTBL));
    assert!(state.sys.nvic.is_pending(number) && !state.sys.lockup.get());
}

// B1.5.7.
#[test]
fn floating_point_registers_are_stored_when_they_are_needed() {
    let state = core();
    state.sys.set(Word::Fpdscr, 1 << 25);
    let set = |state: &State, value: u32| (0..32).for_each(|i| state.cell(slot::FLOAT + i).set(value as u64));
    state.prepare_float().unwrap();
    assert!(state.float_ready());
    set(&state, 0x1111);
    state.write_fpscr(0x8000_0003);
    let frame = STACK - 0x68;
    let number = state.interrupt(0, 0x40);
    state.take_pending();
    assert_eq!((state.sp(), state.lr()), (frame, 0xffff_ffe9));
    assert_eq!((state.sys.get(Word::Fpcar), state.ram(frame + 0x20)), (frame + 0x20, 0));
    let expected = fpccr::ASPEN | fpccr::LSPEN | fpccr::LSPACT | fpccr::THREAD | fpccr::HFRDY;
    assert_eq!(state.sys.get(Word::Fpccr), expected);
    assert!(!state.float_ready());

    // Not needed: nothing is stored or loaded.
    state.exception_return(state.lr());
    assert_eq!((state.sp(), state.ram(frame + 0x20), state.sys.get(Word::Fpccr) & 1), (STACK, 0, 0));
    assert_eq!((state.cell(slot::FLOAT).get(), state.read_fpscr()), (0x1111, 0x8000_0003));
    assert!(state.float_ready());

    // Needed.
    state.sys.nvic.pend(number);
    state.take_pending();
    state.prepare_float().unwrap();
    assert_eq!((state.ram(frame + 0x20), state.ram(frame + 0x5c)), (0x1111, 0x1111));
    assert_eq!(state.ram(frame + 0x60), 0x8000_0003);
    assert_eq!((state.read_fpscr() & 0x07c0_0000, state.float_ready()), (1 << 25, true));
    set(&state, 0x2222);
    // Nested, with a context of its own.
    state.interrupt(1, 0x20);
    state.take_pending();
    assert_eq!(state.lr(), 0xffff_ffe1);
    state.prepare_float().unwrap();
    set(&state, 0x3333);
    state.exception_return(state.lr());
    assert_eq!((state.cell(slot::FLOAT + 15).get(), state.at().0), (0x2222, number));
    state.exception_return(0xffff_ffe9);
    assert_eq!((state.cell(slot::FLOAT + 15).get(), state.read_fpscr()), (0x1111, 0x8000_0003));
    assert_eq!(state.cell(slot::FLOAT + 16).get(), 0x3333, "not saved by hardware");
    assert_eq!(state.sys.control.get(), control::FPCA);
}

#[test]
fn without_lazy_stacking_the_registers_are_stored_at_once() {
    let state = core();
    state.poke(0xe000_ef34, fpccr::ASPEN);
    state.prepare_float().unwrap();
    state.cell(slot::FLOAT + 15).set(7);
    state.interrupt(0, 0x40);
    state.take_pending();
    assert_eq!((state.ram(STACK - 0x68 + 0x5c), state.sys.get(Word::Fpccr)), (7, fpccr::ASPEN));
    state.cell(slot::FLOAT + 15).set(8);
    state.exception_return(state.lr());
    assert_eq!(state.cell(slot::FLOAT + 15).get(), 7);
    // Without ASPEN nothing marks a context.
    let state = core();
    state.poke(0xe000_ef34, 0);
    assert!(state.float_ready());
    state.interrupt(0, 0x40);
    state.take_pending();
    assert_eq!(state.sp(), STACK - 0x20);
}

#[test]
fn a_lazy_store_that_fails_is_a_fault_of_its_own() {
    let prepare = |priority, enable: bool| {
        let state = core();
        if enable {
            state.enable_faults();
        }
        state.sys.nvic.set_priority_register(MEM_MANAGE, 0x40);
        state.prepare_float().unwrap();
        state.interrupt(0, priority);
        state.take_pending();
        state.deny_stacks();
        state.set_msp(0x2000_3000);
        state.sys.set(Word::Fpcar, 0x2000_0100);
        state.prepare_float().unwrap();
        assert_eq!(state.sys.get(Word::Cfsr), cfsr::MLSPERR);
        state
    };
    // It preempts: the instruction will start again.
    let state = prepare(0x80, true);
    assert!(!state.float_ready() && state.sys.has(Word::Fpccr, fpccr::LSPACT));
    assert!(state.take_pending());
    assert_eq!(state.at().0, MEM_MANAGE);
    // It waits: the instruction goes on.
    let state = prepare(0x20, true);
    assert!(state.float_ready() && !state.take_pending());
    assert!(state.sys.nvic.is_pending(MEM_MANAGE));
    // It was not enabled when the frame was made.
    let state = prepare(0x20, false);
    assert!(state.take_pending());
    assert_eq!((state.at().0, state.sys.get(Word::Hfsr)), (HARD_FAULT, hfsr::FORCED));
}

#[test]
fn a_disabled_fpu_is_a_missing_coprocessor() {
    let state = core();
    assert!(state.prepare_float().is_ok());
    for (cpacr, user, privileged) in [(0, false, false), (5 << 20, false, true), (15 << 20, true, true)] {
        let state = core();
        state.poke(0xe000_ed88, cpacr);
        assert_eq!(state.prepare_float().is_ok(), privileged);
        state.to_user();
        assert_eq!(state.prepare_float().is_ok(), user);
    }
    let state = core_of(ArmConfig::cortex_m3());
    state.enable_float();
    assert_eq!(state.prepare_float(), Err((cause::NO_COPROCESSOR, 0)));
}

// Tables B3-16 to B3-18.
#[test]
fn an_nmi_leaves_faultmask_and_others_clear_it() {
    for (number, left) in [(NMI, 1), (HARD_FAULT, 0)] {
        let state = core();
        state.sys.nvic.pend(number);
        state.take_pending();
        state.sys.faultmask.set(1);
        state.exception_return(state.lr());
        assert_eq!(state.sys.faultmask.get(), left);
    }
}

// B1.5.18 and B1.5.19.
#[test]
fn what_ends_a_sleep() {
    let woken = |for_event: bool, act: &dyn Fn(&State)| {
        let state = core();
        state.sys.event.set(false);
        state.sleep(for_event);
        assert!(!state.wakes());
        act(&state);
        state.wakes()
    };
    for (wfe, by_wfi, act) in [
        (true, true, (|s| _ = s.interrupt(0, 0x40)) as fn(&State)),
        (false, true, |s| {
            s.sys.primask.set(1);
            s.interrupt(0, 0x40);
        }),
        (true, true, |s| {
            s.poke(0xe000_ed10, bits::SEVONPEND);
            s.sys.primask.set(1);
            s.sys.nvic.set_enabled(IRQ0, true);
            s.set_irq(0, true);
        }),
        // Not enabled: pending alone is an event with SEVONPEND, and nothing for WFI.
        (true, false, |s| {
            s.poke(0xe000_ed10, bits::SEVONPEND);
            s.set_irq(0, true);
        }),
        (false, false, |s| s.set_irq(0, true)),
        (false, false, |s| {
            s.sys.basepri.set(0x40);
            s.interrupt(0, 0x40);
        }),
        (false, false, |s| {
            s.sys.faultmask.set(1);
            s.interrupt(0, 0x40);
        }),
        (true, true, |s| {
            s.sys.faultmask.set(1);
            s.set_irq(super::NMI_LINE, true);
        }),
        (true, false, |s| s.sys.event.set(true)),
    ] {
        assert_eq!((woken(true, &act), woken(false, &act)), (wfe, by_wfi));
    }
}

#[test]
fn sleep_on_exit_is_for_returns_to_thread_mode() {
    let state = core();
    state.poke(0xe000_ed10, bits::SLEEPONEXIT);
    state.interrupt(0, 0x80);
    state.take_pending();
    state.interrupt(1, 0x40);
    state.take_pending();
    state.exception_return(state.lr());
    assert!(!state.sys.asleep.get());
    state.exception_return(0xffff_fff9);
    assert!(state.sys.asleep.get());
    assert!(!state.wakes(), "the event of the return is nothing to WFI");
}

#[test]
fn registers_have_rights_sizes_and_keys() {
    let state = core();
    let (byte, half, word) = (Width::B1, Width::B2, Width::B4);
    // Priorities by bytes, unimplemented ones not at all.
    state.scs_write(0xe000_e405, byte, 0xab, true).unwrap();
    assert_eq!(state.peek(0xe000_e404), 0xab00);
    state.scs_write(0xe000_ed22, half, 0xfe, true).unwrap();
    assert_eq!(state.peek(0xe000_ed20), 0x00fe_0000);
    state.poke(0xe000_ed18, u32::MAX);
    assert_eq!(state.peek(0xe000_ed18), 0x00ff_ffff);
    // CFSR by its parts: the others keep their ones.
    state.sys.set(Word::Cfsr, cfsr::UNDEFINSTR | cfsr::PRECISERR | cfsr::BFARVALID | cfsr::DACCVIOL);
    assert_eq!(state.scs_read(0xe000_ed29, byte, true), Ok(0x82));
    state.scs_write(0xe000_ed29, byte, 0x82, true).unwrap();
    assert_eq!(state.peek(0xe000_ed28), cfsr::UNDEFINSTR | cfsr::DACCVIOL);
    // Words only.
    state.scs_write(0xe000_ed08, half, 0x400, true).unwrap();
    assert_eq!(state.peek(0xe000_ed08), 0);
    // AIRCR's key.
    state.poke(0xe000_ed0c, 0x0504 << 16 | 7 << 8 | 4);
    assert_eq!((state.peek(0xe000_ed0c), state.sys.reset_request.get()), (0xfa05_0000, false));
    state.poke(0xe000_ed0c, 0x05fa << 16 | 7 << 8);
    assert_eq!(state.peek(0xe000_ed0c), 0xfa05_0700);
    state.poke(0xe000_ed0c, 0x05fa << 16 | 4);
    assert_eq!((state.exit.take(), state.sys.reset_request.get()), (Some(cpu_core::Exit::Attention), true));
    // Unprivileged code: nothing but STIR where CCR allows it, and the ITM.
    for addr in [0xe000_ed00, 0xe000_ef00, 0xe000_1000, 0xe004_0000, 0xe00f_f000] {
        assert!(state.scs_read(addr, word, false).is_err(), "{addr:#x}");
        assert!(state.scs_write(addr, word, 3, false).is_err(), "{addr:#x}");
    }
    state.poke(0xe000_ed14, bits::USERSETMPEND);
    assert!(state.scs_write(0xe000_ef00, word, 3, false).is_ok());
    assert_eq!(state.peek(0xe000_e200), 8);
    assert_eq!(state.scs_read(0xe000_0000, word, false), Ok(1));
    // What is not there reads as zero.
    assert_eq!((state.peek(0xe000_ed44), state.peek(0xe000_5000)), (0x200, 0));
}

#[test]
fn icsr_and_shcsr_show_what_runs_and_pends() {
    let state = core();
    state.interrupt(0, 0x40);
    state.take_pending();
    state.sys.nvic.pend(USAGE_FAULT);
    state.poke(0xe000_ed04, 1 << 28 | 1 << 26);
    let irq = state.interrupt(2, 0x80);
    // RETTOBASE, PENDSV and SysTick at priority 0 before the interrupt.
    assert_eq!(state.peek(0xe000_ed04), 16 | 1 << 11 | (PEND_SV as u32) << 12 | 1 << 22 | 1 << 28 | 1 << 26);
    state.poke(0xe000_ed04, 1 << 27 | 1 << 25);
    assert_eq!(state.peek(0xe000_ed04), 16 | 1 << 11 | (irq as u32) << 12 | 1 << 22);
    state.sys.basepri.set(0x80);
    assert_eq!(state.peek(0xe000_ed04) >> 12 & 0x1ff, 0);
    state.sys.basepri.set(0);
    state.enable_faults();
    assert_eq!(state.peek(0xe000_ed24), 7 << 16);
    state.sys.nvic.pend(USAGE_FAULT);
    assert_eq!(state.peek(0xe000_ed24), 7 << 16 | 1 << 12);
    state.take_pending();
    assert_eq!(state.peek(0xe000_ed24), 7 << 16 | 1 << 3);
    assert_eq!(state.peek(0xe000_ed04) & 0xfff, 6);
}

#[test]
fn armv6m_has_one_fault_and_two_priority_bits() {
    let state = core_of(ArmConfig::cortex_m0());
    state.poke(0xe000_e400, 0xffff_ffff);
    assert_eq!(state.peek(0xe000_e400), 0xc0c0_c0c0);
    state.poke(0xe000_ed1c, u32::MAX);
    state.poke(0xe000_ed18, u32::MAX);
    state.poke(0xe000_ed20, u32::MAX);
    state.poke(0xe000_ed24, u32::MAX);
    state.poke(0xe000_ed08, 0x1000);
    state.poke(0xe000_ed14, 0);
    let read = [0xed18, 0xed1c, 0xed20, 0xed24, 0xed08, 0xed28].map(|low| state.peek(0xe000_0000 | low));
    assert_eq!((read, state.peek(0xe000_ed14)), ([0, 0xc000_0000, 0xc0c0_0000, 0, 0, 0], 0x208));
    state.fault(cause::UNDEFINED, 0);
    assert_eq!((state.at().0, state.lr()), (HARD_FAULT, 0xffff_fff9));
    state.fault(cause::UNDEFINED, 0);
    assert!(state.sys.lockup.get());
    for privileged in [true, false] {
        assert_eq!(state.scs_read(0xe000_0000, Width::B4, privileged).is_ok(), privileged);
    }
}

#[test]
fn the_mpu_guards_stacks_by_the_rights_of_whose_they_are() {
    let state = core();
    state.enable_faults();
    // Unprivileged code may not store to its stack.
    state.poke(0xe000_ed9c, 0x2000_0000 | 0x10);
    state.poke(0xe000_eda0, 2 << 24 | 13 << 1 | 1);
    state.poke(0xe000_ed94, 5);
    state.to_user();
    assert_eq!(state.protection_key(), 2);
    state.fault(cause::SUPERVISOR_CALL, 0);
    assert_eq!((state.at().0, state.sys.get(Word::Cfsr)), (MEM_MANAGE, cfsr::MSTKERR));
    assert_eq!(state.protection_key(), 3);
    assert_eq!(state.check_access(PROCESS_STACK - 4, 4, cpu_core::AccessKind::Write, false), None);
    // In HardFault it does not apply.
    state.sys.nvic.pend(HARD_FAULT);
    state.take_pending();
    assert_eq!(state.protection_key(), 1);
    assert_eq!(state.check_access(PROCESS_STACK - 4, 4, cpu_core::AccessKind::Write, false), Some(true));
}
