//! The back end by itself, with a guest that answers as the tests want.

use std::cell::Cell;

use cpu_core::{
    Binary, FloatFormat, FloatOp, GuestMemory, MemoryKind, RegionSpec, Rmw, Rounding, Unary, Width,
};
use cpu_fp::Round;
use cpu_jit::helpers::Helpers;
use cpu_jit::ir::{Node, Ref};
use cpu_jit::{Quick, Slot};

use super::*;

/// Slots 1 and 2 are in registers, 3 is not; so it is with 32 and 33.
const LINK: Slot = Slot(127);

fn layout() -> Layout {
    Layout {
        pins: &[Slot(1), Slot(2)],
        float_pins: &[Slot(FLOAT)],
        float_flags: Slot(65),
        bits: &[Slot(5)],
        link: LINK,
        address_bits: 64,
        words: 0,
        float_rules: cpu_jit::FloatRules::RiscV,
    }
}

const FLOAT: u16 = 32;
const PLAIN: u16 = 33;

struct Guest {
    frame: cpu_core::FrameBox,
    /// What a load gives.
    loaded: Cell<Option<u64>>,
    raised: Cell<u8>,
}

impl Quick for Guest {
    fn frame(&self) -> &Frame {
        &self.frame
    }
    fn quick_load(&self, addr: u64, _: Width) -> Option<u64> {
        // As any function may.
        #[allow(unsafe_code)]
        // SAFETY: only what it says is changed.
        unsafe {
            std::arch::asm!(
                "pcmpeqd xmm0, xmm0", "pcmpeqd xmm1, xmm1", "pcmpeqd xmm2, xmm2", "pcmpeqd xmm3, xmm3",
                out("xmm0") _, out("xmm1") _, out("xmm2") _, out("xmm3") _,
            );
        }
        self.loaded.get().map(|value| value.wrapping_add(addr))
    }
    fn quick_store(&self, _: u64, _: Width, _: u64) -> bool {
        false
    }
    fn device_load(&self, _: u64, _: Width, _: u64) -> Option<u64> {
        None
    }

    fn device_store(&self, _: u64, _: Width, _: u64, _: u64) -> bool {
        false
    }

    fn quick_rmw(&self, _: Rmw, _: u64, _: Width, _: u64) -> Option<u64> {
        None
    }
    fn quick_compare_exchange(&self, _: u64, _: Width, _: u64, _: u64) -> Option<u64> {
        None
    }
    fn quick_call(&self, _: u64, _: [u64; 2]) -> Option<u64> {
        None
    }
    fn quick_float(&self, _: FloatOp, _: FloatFormat, _: Rounding, _: [u64; 3]) -> u64 {
        // The helper's own arithmetic raises nothing in the guest.
        std::hint::black_box(1.0f64 / std::hint::black_box(3.0)).to_bits()
    }
    fn raise_float_flags(&self, flags: u8) {
        self.raised.set(self.raised.get() | flags);
    }
}

struct Rig {
    x64: X64,
    guest: Guest,
}

impl Rig {
    fn new() -> Rig {
        let ram = RegionSpec { name: "ram".into(), base: 0, size: 0x1000, kind: MemoryKind::Ram };
        let frame = cpu_core::FrameBox::new(GuestMemory::new(vec![ram]).unwrap(), cpu_core::Behind::Nothing);
        // Numbers of contexts are never 0, which is that of no entry.
        frame.data_context.set(8);
        frame.fetch_context.set(8);
        let mut x64 = X64::new(0).unwrap();
        x64.install(layout(), Helpers::of::<Guest>());
        Rig { x64, guest: Guest { frame, loaded: Cell::new(None), raised: Cell::new(0) } }
    }

    fn try_compile(&mut self, offset: u32, instructions: u32, nodes: &[Node]) -> Result<Compiled, Refused> {
        self.x64.compile(&Unit {
            nodes,
            calls: &[],
            instructions,
            offset,
            behind: (offset + 4 * instructions) as i64,
            flat: false,
            mirror: false,
        })
    }

    fn compile(&mut self, offset: u32, instructions: u32, nodes: &[Node]) -> Compiled {
        self.try_compile(offset, instructions, nodes).unwrap()
    }

    /// Runs at most `remaining` instructions in the page at 0x7000. Gives why it left, the flags, where, and what remained.
    fn enter(&self, code: Code, remaining: i64) -> (Exit, u8, u64, i64) {
        let frame = &self.guest.frame;
        frame.page.set(0x7000);
        frame.remaining.set(remaining);
        // SAFETY: the code is of this back end, and not cleared; the helpers are those of `Guest`.
        #[allow(unsafe_code)]
        let (exit, flags) = unsafe { self.x64.enter(frame, (&raw const self.guest).cast(), code) };
        (exit, flags, frame.pc.get(), frame.remaining.get())
    }

    fn slot(&self, slot: u16) -> &Cell<u64> {
        &self.guest.frame.slots[slot as usize]
    }
}

fn start(index: u32) -> Node {
    Node::Start { index, offset: 4 * index as i32 }
}

fn float(op: FloatOp, format: FloatFormat, a: u32, b: u32) -> Node {
    Node::Float(op, format, Rounding::Static(Round::NearestEven), [Ref(a), Ref(b), Ref(b)])
}

/// Adds 1 to slot 1 and jumps by `by`.
fn count(by: i64) -> [Node; 6] {
    let add = Node::Binary(cpu_core::Binary::Add, Ref(1), Ref(2));
    [start(0), Node::Get(Slot(1)), Node::Const(1), add, Node::Set(Slot(1), Ref(3)), Node::JumpBy(by)]
}

#[test]
fn a_loop_stops_on_its_budget_and_a_jump_follows_its_link() {
    let mut rig = Rig::new();
    let itself = rig.compile(0x40, 1, &count(0)).code;
    assert_eq!(rig.enter(itself, 5), (Exit::Budget, 0, 0x7040, 0));
    assert_eq!(rig.slot(1).get(), 5);
    let first = rig.compile(0x80, 1, &count(0x80));
    assert_eq!(rig.enter(first.code, 5), (Exit::Follow, 0, 0x7100, 4));
    let [(0x100, site)] = first.links[..] else { panic!("one jump to 0x100: {:?}", first.links) };
    rig.x64.link(site, itself);
    assert_eq!(rig.enter(first.code, 5), (Exit::Budget, 0, 0x7040, 0));
    assert_eq!(rig.slot(1).get(), 11);
    // Retired, it is left by the way that makes the jump cache be filled anew.
    rig.guest.frame.pc.set(0x9040);
    rig.x64.retire(itself);
    assert_eq!(rig.enter(itself, 5), (Exit::Lookup, 0, 0x9040, 5));
}

/// A jump to what the link slot holds.
fn returns() -> [Node; 5] {
    let even = Node::Binary(cpu_core::Binary::And, Ref(1), Ref(2));
    [start(0), Node::Get(LINK), Node::Const(u64::MAX - 1), even, Node::Jump(Ref(3))]
}

#[test]
fn a_return_goes_back_behind_its_call_and_no_further() {
    let mut rig = Rig::new();
    let called = rig.compile(0x80, 1, &returns()).code;
    let call = [start(0), Node::Address(4), Node::Set(LINK, Ref(1)), Node::JumpBy(0x40)];
    let calls = rig.compile(0x40, 1, &call);
    let [(0x80, site), (0x44, _)] = calls.links[..] else { panic!("there and back: {:?}", calls.links) };
    rig.x64.link(site, called);
    assert_eq!(rig.enter(calls.code, 5), (Exit::Follow, 0, 0x7044, 3), "by no lookup");
    // By itself, it knows of no call; nor does it where the address is what stands there for none.
    assert_eq!(rig.enter(called, 5), (Exit::Lookup, 0, 0x7044, 4));
    rig.slot(LINK.0).set(u64::MAX);
    assert_eq!(rig.enter(called, 5), (Exit::Lookup, 0, u64::MAX - 1, 4));
    // Who returns elsewhere leaves the call open.
    let other = [start(0), Node::Const(0x9001), Node::Set(LINK, Ref(1)), Node::JumpBy(0x80 - 0xc0)];
    let changes = rig.compile(0xc0, 1, &other);
    let [(0x80, back)] = changes.links[..] else { panic!("one jump: {:?}", changes.links) };
    rig.x64.link(back, called);
    rig.x64.link(site, changes.code);
    assert_eq!(rig.enter(calls.code, 5), (Exit::Lookup, 0, 0x9000, 2));
}

#[test]
fn calls_without_end_do_not_fill_the_stack() {
    let mut rig = Rig::new();
    let endless = [start(0), Node::Address(4), Node::Set(LINK, Ref(1)), Node::JumpBy(0)];
    let code = rig.compile(0x40, 1, &endless).code;
    assert_eq!(rig.enter(code, 10_000_000), (Exit::Budget, 0, 0x7040, 0));
}

#[test]
fn an_instruction_that_a_helper_declines_has_no_effect() {
    let mut rig = Rig::new();
    let load = Node::Load { addr: Ref(7), width: Width::B8, signed: false };
    let mut nodes = count(0).to_vec();
    nodes[5] = start(1);
    nodes.extend([Node::Const(0x123), Node::Get(Slot(3)), load, Node::Set(Slot(2), Ref(8))]);
    let code = rig.compile(0x40, 2, &nodes).code;
    rig.slot(3).set(0x1000);
    rig.slot(2).set(77);
    assert_eq!(rig.enter(code, 9), (Exit::Interpret, 0, 0x7044, 8), "at the second, with the first counted");
    assert_eq!((rig.slot(1).get(), rig.slot(2).get()), (1, 77));
    rig.guest.loaded.set(Some(5));
    assert_eq!(rig.enter(code, 9), (Exit::Follow, 0, 0x7048, 7));
    assert_eq!((rig.slot(1).get(), rig.slot(2).get()), (2, 0x1005));
}

#[test]
fn vector_temporaries_outlive_a_slow_load() {
    let mut rig = Rig::new();
    // The converted number waits in a temporary, while a load fails in the TLB.
    let nodes = [
        start(0),
        Node::Get(Slot(2)),
        float(FloatOp::FromI64, FloatFormat::F64, 1, 1),
        Node::Get(Slot(3)),
        Node::Load { addr: Ref(3), width: Width::B8, signed: false },
        Node::Set(Slot(1), Ref(4)),
        Node::Set(Slot(PLAIN), Ref(2)),
    ];
    let code = rig.compile(0, 1, &nodes).code;
    rig.slot(2).set(42);
    rig.guest.loaded.set(Some(1));
    assert_eq!(rig.enter(code, 1).0, Exit::Follow);
    assert_eq!(f64::from_bits(rig.slot(PLAIN).get()), 42.0);
}

#[test]
fn the_hosts_exceptions_become_the_guests_flags() {
    use FloatOp::*;
    // Invalid, divided by zero, overflow, underflow, inexact: 16, 8, 4, 2, 1.
    let cases = [
        (Div, 1.0, 2.0, 0),
        (Div, 1.0, 3.0, 1),
        (Mul, f64::MIN_POSITIVE, 0.3, 2 | 1),
        (Add, f64::MAX, f64::MAX, 4 | 1),
        (Div, 1.0, 0.0, 8),
        (Sub, f64::INFINITY, f64::INFINITY, 16),
        (Sqrt, -1.0, 0.0, 16),
        (Add, 1.0, 2.0, 0),
    ];
    let mut rig = Rig::new();
    for (op, a, b, flags) in cases {
        let nodes = [
            start(0),
            Node::Get(Slot(FLOAT)),
            Node::Get(Slot(PLAIN)),
            float(op, FloatFormat::F64, 1, 2),
            Node::Set(Slot(FLOAT), Ref(3)),
        ];
        let code = rig.compile(0, 1, &nodes).code;
        rig.slot(FLOAT).set(a.to_bits());
        rig.slot(PLAIN).set(b.to_bits());
        assert_eq!(rig.enter(code, 1).1, flags, "{op:?} of {a} and {b}");
    }
    // NaNs are the canonical one.
    rig.slot(FLOAT).set(f64::NAN.to_bits() | 7 | 1 << 63);
    let add = [
        start(0),
        Node::Get(Slot(FLOAT)),
        float(Add, FloatFormat::F64, 1, 1),
        Node::Set(Slot(FLOAT), Ref(2)),
    ];
    let code = rig.compile(0, 1, &add).code;
    assert_eq!((rig.enter(code, 1).1, rig.slot(FLOAT).get()), (0, 0x7ff8 << 48));
    // What a helper does by itself stays its own.
    let helped = [
        start(0),
        Node::Get(Slot(FLOAT)),
        float(MinNum, FloatFormat::F64, 1, 1),
        Node::Set(Slot(FLOAT), Ref(2)),
    ];
    let code = rig.compile(0, 1, &helped).code;
    assert_eq!((rig.enter(code, 1).1, rig.slot(FLOAT).get()), (0, (1.0f64 / 3.0).to_bits()));
    for (host, guest) in [(0, 0), (1, 16), (2, 0), (4, 8), (8, 4), (16, 2), (32, 1), (0x3f, 31)] {
        assert_eq!(trampoline::float_flags(host), guest);
    }
}

#[test]
fn a_full_memory_refuses_until_it_is_cleared() {
    let mut rig = Rig::new();
    let (shared, all) = rig.x64.usage();
    assert_eq!(all, 1 << 16);
    let first = rig.compile(0, 1, &count(0x80)).code;
    let mut blocks = 1;
    let refused = loop {
        match rig.try_compile(0, 1, &count(0x80)) {
            Ok(_) => blocks += 1,
            Err(refused) => break refused,
        }
        assert!(rig.x64.usage().0 <= all);
    };
    assert_eq!(refused, Refused::Full);
    assert!(blocks > 100, "{blocks}");
    assert_eq!(rig.enter(first, 5), (Exit::Follow, 0, 0x7080, 4), "what was compiled stays");
    rig.x64.clear();
    assert_eq!(rig.x64.usage().0, shared);
    assert_eq!(rig.compile(0, 1, &count(0x80)).code, first);
    // Without an `install` there is nothing to compile for.
    let nodes = [start(0), Node::Get(Slot(1)), Node::Unary(Unary::Not, Ref(1)), Node::Set(Slot(1), Ref(2))];
    let unit =
        Unit { nodes: &nodes, calls: &[], instructions: 1, offset: 0, behind: 4, flat: false, mirror: false };
    assert_eq!(X64::new(0).unwrap().compile(&unit).err(), Some(Refused::TooComplex));
}

#[test]
fn a_part_under_a_condition_leaves_what_is_needed_behind_it() {
    let mut rig = Rig::new();
    // Slots 1 (in a register) and 3 (in the frame) change under the condition, what they held is added up behind it, and
    // a value that is in no slot lives across.
    let nodes = [
        start(0),
        Node::Get(Slot(1)),
        Node::Get(Slot(3)),
        Node::Get(Slot(2)),
        Node::Binary(Binary::Xor, Ref(1), Ref(2)),
        Node::If(Ref(3)),
        Node::Const(5),
        Node::Set(Slot(1), Ref(6)),
        Node::Binary(Binary::Mul, Ref(1), Ref(2)),
        Node::Set(Slot(3), Ref(8)),
        Node::EndIf,
        Node::Binary(Binary::Add, Ref(1), Ref(2)),
        Node::Binary(Binary::Add, Ref(11), Ref(4)),
        Node::Set(Slot(4), Ref(12)),
    ];
    let code = rig.compile(0, 1, &nodes).code;
    for (cond, expected) in [(0, [100, 7, 107 + (100 ^ 7)]), (9, [5, 700, 107 + (100 ^ 7)])] {
        for (slot, value) in [(1, 100), (2, cond), (3, 7), (4, 0)] {
            rig.slot(slot).set(value);
        }
        assert_eq!(rig.enter(code, 1), (Exit::Follow, 0, 0x7004, 0));
        assert_eq!([1, 3, 4].map(|slot| rig.slot(slot).get()), expected);
    }
}

#[test]
fn a_way_out_of_the_middle_counts_what_has_run() {
    let mut rig = Rig::new();
    let nodes = [
        start(0),
        Node::Get(Slot(3)),
        Node::ExitIf(Ref(1), 0x40),
        start(1),
        Node::Const(1),
        Node::Set(Slot(1), Ref(4)),
        start(2),
    ];
    let compiled = rig.compile(0x100, 3, &nodes);
    assert_eq!(compiled.links.iter().map(|link| link.0).collect::<Vec<_>>(), [0x140, 0x10c]);
    for (cond, expected) in [(0, (0x710c, 0, 1)), (1, (0x7140, 2, 0))] {
        rig.slot(1).set(0);
        rig.slot(3).set(cond);
        let (exit, _, pc, left) = rig.enter(compiled.code, 3);
        assert_eq!((exit, (pc, left, rig.slot(1).get())), (Exit::Follow, expected));
    }
    // Both ways can be led on.
    let next = rig.compile(0x140, 1, &[start(0), Node::JumpBy(8)]);
    rig.x64.link(compiled.links[0].1, next.code);
    assert_eq!(rig.enter(compiled.code, 3), (Exit::Follow, 0, 0x7148, 1));
}
