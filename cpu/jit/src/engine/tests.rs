use std::cell::Cell;
use std::sync::{Arc, Mutex};

use cpu_core::{FloatFormat, FloatOp, MemoryKind, RegionSpec, Rmw, Rounding, Width};

use super::*;
use crate::backend::{HostLine, Layout};
use crate::helpers::Helpers;
use crate::ir::{Node, Slot};

/// What a back end was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Did {
    Compile(u32),
    Link(u64, u64),
    Retire(u64),
    Clear,
}

/// Refuses when it holds `room` blocks. Codes are numbers; the jump of a block has the number of its code as a site.
struct Fake {
    log: Arc<Mutex<Vec<Did>>>,
    held: usize,
    made: u64,
    room: usize,
}

impl Backend for Fake {
    fn install(&mut self, _: Layout, _: Helpers) {}

    fn compile(&mut self, unit: &Unit) -> Result<Compiled, Refused> {
        if unit.instructions > 99 {
            return Err(Refused::TooComplex);
        }
        if self.held == self.room {
            return Err(Refused::Full);
        }
        self.held += 1;
        self.made += 1;
        self.log.lock().unwrap().push(Did::Compile(unit.offset));
        let targets = unit.nodes.iter().filter_map(|node| match node {
            Node::JumpBy(by) => Some((unit.offset as i64 + by) as u32),
            _ => None,
        });
        let site = Site(self.made as u32);
        let links = targets.map(|to| (to, site)).collect();
        Ok(Compiled { code: Code(self.made), size: 10, links, notes: None })
    }

    fn link(&mut self, site: Site, code: Code) {
        self.log.lock().unwrap().push(Did::Link(site.0 as u64, code.0));
    }

    fn retire(&mut self, code: Code) {
        self.log.lock().unwrap().push(Did::Retire(code.0));
    }

    fn clear(&mut self) {
        self.held = 0;
        self.log.lock().unwrap().push(Did::Clear);
    }

    unsafe fn enter(&self, frame: &Frame, _: *const (), code: Code) -> (Exit, u8) {
        frame.remaining.set(frame.remaining.get() - code.0 as i64);
        (Exit::Lookup, 5)
    }

    fn can_fault(&self) -> bool {
        false
    }
    fn annotate(&mut self, _: bool) {}

    fn list(&self, _: &Compiled, _: &dyn Fn(Slot) -> String) -> Option<Vec<HostLine>> {
        None
    }

    fn pinned(&self) -> Vec<(String, Slot)> {
        Vec::new()
    }

    fn usage(&self) -> (usize, usize) {
        (self.held, self.room)
    }
}

struct Guest {
    frame: cpu_core::FrameBox,
    flags: Cell<u8>,
}

impl Quick for Guest {
    fn frame(&self) -> &Frame {
        &self.frame
    }
    fn quick_load(&self, _: u64, _: Width) -> Option<u64> {
        None
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
        0
    }
    fn raise_float_flags(&self, flags: u8) {
        self.flags.set(flags);
    }
}

struct Rig {
    engine: Engine<Guest>,
    guest: Guest,
    memory: GuestMemory,
    log: Arc<Mutex<Vec<Did>>>,
}

impl Rig {
    fn new(room: usize) -> Rig {
        let ram = RegionSpec { name: "ram".into(), base: 0, size: 0x10000, kind: MemoryKind::Ram };
        let memory = GuestMemory::new(vec![ram]).unwrap();
        let log = Arc::<Mutex<Vec<Did>>>::default();
        let fake = Fake { log: log.clone(), held: 0, made: 0, room };
        let layout = Layout {
            pins: &[],
            float_pins: &[],
            float_flags: Slot(0),
            bits: &[],
            link: Slot(127),
            address_bits: 64,
            words: 0,
            float_rules: crate::FloatRules::RiscV,
        };
        let engine = Engine::new(Box::new(fake), layout, memory.clone());
        Rig {
            engine,
            guest: Guest {
                frame: cpu_core::FrameBox::new(memory.clone(), cpu_core::Behind::Nothing),
                flags: Cell::new(0),
            },
            memory,
            log,
        }
    }

    /// Compiles a block of 4 bytes at `paddr`, as decoded code, that jumps by as much.
    fn compile(&mut self, paddr: u64, by: i64) -> Option<Code> {
        self.memory.mark_code(paddr, 4);
        let nodes = [Node::JumpBy(by)];
        let offset = (paddr & 0xfff) as u32;
        let unit = Unit {
            nodes: &nodes,
            calls: &[],
            instructions: 1,
            offset,
            behind: offset as i64 + 4,
            flat: false,
            mirror: false,
        };
        self.engine.compile((paddr, 0), &self.guest.frame, &unit)
    }

    fn did(&self) -> Vec<Did> {
        std::mem::take(&mut self.log.lock().unwrap())
    }
}

#[test]
fn jumps_are_led_to_what_is_compiled_before_and_after() {
    let mut rig = Rig::new(9);
    assert_eq!(rig.compile(0x1000, 0x20), Some(Code(1)));
    assert_eq!(rig.did(), [Did::Compile(0)], "nothing is there yet");
    assert_eq!(rig.compile(0x2020, 0x20), Some(Code(2)));
    assert_eq!(rig.did(), [Did::Compile(0x20)], "another page");
    assert_eq!(rig.compile(0x1020, -0x20), Some(Code(3)));
    assert_eq!(rig.did(), [Did::Compile(0x20), Did::Link(1, 3), Did::Link(3, 1)]);
    assert_eq!(rig.compile(0x1040, 0), Some(Code(4)));
    assert_eq!(rig.did(), [Did::Compile(0x40), Did::Link(4, 4)], "to itself");
    assert_eq!(rig.engine.lookup((0x1020, 0)), Some(Code(3)));
    assert_eq!((rig.engine.lookup((0x1020, 1)), rig.engine.lookup((0x1022, 0))), (None, None));
    assert_eq!((rig.engine.stats.blocks, rig.engine.stats.bytes), (4, 40));
}

#[test]
fn what_is_rewritten_soon_has_to_be_hotter() {
    let mut rig = Rig::new(9);
    let rewrite = |rig: &mut Rig, lived: u64| {
        rig.compile(0x1000, 0x80);
        rig.engine.stats.executed += lived / 2;
        rig.compile(0x1040, 0x80);
        rig.engine.stats.executed += lived / 2;
        rig.memory.write(0x1000, &[1]).unwrap();
        rig.engine.sync(&rig.guest.frame);
        (rig.engine.heat(0x1ffe, 24), rig.engine.heat(0x2000, 24))
    };
    assert_eq!(rewrite(&mut rig, 10), (48, 24));
    assert_eq!(rewrite(&mut rig, 10), (96, 24));
    assert_eq!(rewrite(&mut rig, 2 << 20), (24, 24), "counted from the first block");
}

#[test]
fn a_page_falls_as_a_whole_when_it_changes() {
    let mut rig = Rig::new(9);
    rig.compile(0x1000, 0x80);
    rig.compile(0x1040, 0x80);
    rig.compile(0x2000, 0x80);
    let generation = rig.engine.generation();
    rig.did();
    rig.memory.write(0x1800, &[1]).unwrap();
    rig.engine.sync(&rig.guest.frame);
    assert_eq!((rig.did(), rig.engine.generation()), (vec![], generation), "there is no code");
    rig.memory.write(0x1042, &[1]).unwrap();
    rig.engine.sync(&rig.guest.frame);
    let mut did = rig.did();
    did.sort_by_key(|did| format!("{did:?}"));
    assert_eq!(did, [Did::Retire(1), Did::Retire(2)]);
    assert_ne!(rig.engine.generation(), generation);
    assert_eq!(rig.engine.stats.invalidated, 1);
    assert_eq!((rig.engine.lookup((0x1000, 0)), rig.engine.lookup((0x2000, 0))), (None, Some(Code(3))));
    // What waited in the page does not wait any more.
    rig.compile(0x1080, 0x100);
    assert_eq!(rig.did(), [Did::Compile(0x80)]);
}

#[test]
fn code_of_an_older_page_is_retired_also_where_nobody_has_looked() {
    let mut rig = Rig::new(9);
    rig.compile(0x1000, 0x40);
    rig.did();
    let generation = rig.engine.generation();
    rig.memory.write(0x1000, &[1]).unwrap();
    rig.compile(0x1040, -0x40);
    assert_eq!(rig.did(), [Did::Compile(0x40), Did::Retire(1)], "and no jump leads there");
    assert_ne!(rig.engine.generation(), generation);
    assert_eq!((rig.engine.lookup((0x1000, 0)), rig.engine.lookup((0x1040, 0))), (None, Some(Code(2))));
}

#[test]
fn a_full_back_end_starts_again() {
    let mut rig = Rig::new(2);
    let first = rig.compile(0x1000, 0x40).unwrap();
    rig.compile(0x2000, 0x40);
    rig.engine.remember(&rig.guest.frame, 0x5000, first);
    let jump = &rig.guest.frame.jumps[Frame::jump_index(0x5000)];
    assert_eq!((jump.key.get(), jump.code.get()), (0x5000 | rig.guest.frame.fetch_context.get(), 1));
    let generation = rig.engine.generation();
    rig.did();
    assert_eq!(rig.compile(0x1040, 0x40), Some(Code(3)));
    assert_eq!(rig.did(), [Did::Clear, Did::Compile(0x40)], "and nobody waits");
    assert_eq!(
        (rig.guest.frame.jumps[Frame::jump_index(0x5000)].key.get(), rig.engine.stats.flushed),
        (0, 1)
    );
    assert_ne!(rig.engine.generation(), generation);
    assert_eq!((rig.engine.lookup((0x1000, 0)), rig.engine.lookup((0x1040, 0))), (None, Some(Code(3))));

    let mut none = Rig::new(0);
    assert_eq!(none.compile(0x1000, 0), None, "not even into an empty one");
    let unit =
        Unit { nodes: &[], calls: &[], instructions: 100, offset: 0, behind: 4, flat: false, mirror: false };
    rig.did();
    assert_eq!(rig.engine.compile((0x1000, 0), &rig.guest.frame, &unit), None);
    assert_eq!(rig.did(), [], "too complex is no reason to drop anything");
    assert_eq!(rig.engine.compile((0x9_0000, 0), &rig.guest.frame, &unit), None, "no memory");
}

#[test]
fn the_jump_cache_is_emptied_when_translations_change() {
    let mut rig = Rig::new(9);
    let code = rig.compile(0x1000, 0).unwrap();
    rig.engine.remember(&rig.guest.frame, 0x1000, code);
    let known = |rig: &Rig| rig.guest.frame.jumps[Frame::jump_index(0x1000)].key.get() != 0;
    rig.engine.sync(&rig.guest.frame);
    assert!(known(&rig));
    rig.guest.frame.tlb.flush_page(0x1000, |_| true);
    rig.engine.sync(&rig.guest.frame);
    assert!(!known(&rig));
    assert_eq!(rig.engine.lookup((0x1000, 0)), Some(code), "code is physical");
}

#[test]
fn a_run_counts_and_hands_flags_on() {
    let mut rig = Rig::new(9);
    rig.compile(0x1000, 0);
    let code = rig.compile(0x1040, 0).unwrap();
    rig.guest.frame.pc.set(0x7040);
    rig.guest.frame.remaining.set(10);
    assert_eq!(rig.engine.run(&rig.guest, code), Exit::Lookup);
    assert_eq!((rig.guest.frame.page.get(), rig.guest.frame.remaining.get()), (0x7000, 8));
    assert_eq!((rig.guest.flags.get(), rig.engine.stats.executed, rig.engine.stats.entered), (5, 2, 1));
    let mut sum = rig.engine.stats;
    sum.add(&rig.engine.stats);
    assert_eq!((sum.executed, sum.blocks, sum.entered), (4, 4, 2));
}

#[test]
fn the_median_weighs_blocks_by_their_instructions() {
    let mut costs = Costs::default();
    assert_eq!(costs.median(), 0);
    costs.note(1, 5000);
    costs.note(1, u64::MAX);
    costs.note(10, 2000);
    let mut more = Costs::default();
    more.note(5, 500);
    costs.add(&more);
    // Of 17 instructions, 5 cost 100 and 10 cost 200.
    assert!((196..=204).contains(&costs.median()));
}
