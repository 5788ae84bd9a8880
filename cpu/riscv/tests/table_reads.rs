//! When page tables are read: once for a page under a context, up to a fence, whatever becomes of caches in between. Guests can
//! see it by A and D bits, and by entries that they change without a fence.

mod common;

use common::*;

const MSTATUS: u16 = 0x300;
const MENVCFG: u16 = 0x30a;
const SATP: u16 = 0x180;
const FS: u64 = 1 << 13;
const ADUE: u64 = 1 << 61;

/// A hart in S-mode at [`CODE`], which is mapped to itself; gives its entry, too.
fn paged() -> (Rig, u64) {
    let mut rig = Rig::rv64();
    rig.hart.set_csr(MENVCFG, ADUE);
    let entry = rig.map(CODE, CODE, V | R | W | X, 0);
    rig.hart.set_csr(SATP, rig.satp());
    (rig, entry)
}

fn clear(rig: &Rig, entry: u64, bits: u64) {
    let held = rig.memory.read_le(entry, 8).unwrap();
    rig.memory.write(entry, &(held & !bits).to_le_bytes()).unwrap();
}

fn has(rig: &Rig, entry: u64, bits: u64) -> bool {
    rig.memory.read_le(entry, 8).unwrap() & bits == bits
}

#[test]
fn a_store_reads_them_once_beside_code_as_elsewhere() {
    const STORED: u64 = 0x40_0000;
    for target in [CODE, DATA] {
        let (mut rig, _) = paged();
        let entry = rig.map(STORED, target, V | R | W, 0);
        rig.code(CODE, &[sd(5, 0, 0x400), sd(5, 0, 0x408), sd(5, 0, 0x410), amo(2, 3, 6, 5, 0)]);
        rig.enter(1, 0);
        rig.hart.set_x(5, STORED);
        rig.step();
        assert!(has(&rig, entry, A | D));
        clear(&rig, entry, A | D);
        rig.step();
        assert!(!has(&rig, entry, A) && !has(&rig, entry, D), "{target:#x}");
        rig.hart.fence_translations(None, None);
        rig.step();
        assert!(has(&rig, entry, A | D));
        // A reservation needs no more than a store.
        clear(&rig, entry, A | D);
        rig.step();
        assert!(!has(&rig, entry, A), "{target:#x}");
    }
}

#[test]
fn code_reads_them_once_under_each_context() {
    let (mut rig, entry) = paged();
    rig.code(CODE, &[NOP; 8]);
    rig.enter(1, 0);
    let step = |rig: &mut Rig, status: u64| {
        rig.hart.set_csr(MSTATUS, rig.csr(MSTATUS) & !FS | status);
        clear(rig, entry, A);
        rig.step();
        has(rig, entry, A)
    };
    assert!(step(&mut rig, 0), "the first time");
    assert!(step(&mut rig, FS), "other code");
    assert!(!step(&mut rig, 0) && !step(&mut rig, FS), "both are known");
    rig.hart.fence_translations(Some(CODE + 0x10), None);
    assert!(step(&mut rig, FS) && step(&mut rig, 0));
    assert!(!step(&mut rig, FS));
}

#[test]
fn protection_that_splits_the_next_page_has_them_read_each_time() {
    let (mut rig, _) = paged();
    let entry = rig.map(CODE + 0x1000, CODE + 0x1000, V | R | W | X, 0);
    // Four bytes at the next page's end are closed.
    rig.hart.set_csr(0x3b0, (CODE + 0x1ffc) >> 2);
    rig.hart.set_csr(0x3b1, u64::MAX);
    rig.hart.set_csr(0x3a0, 0x1f10);
    // `addi x1, x1, 1` over the border.
    let word = addi(1, 1, 1).to_le_bytes();
    rig.memory.write(CODE + 0xffe, &word).unwrap();
    rig.enter(1, 0);
    for n in 1..4 {
        rig.hart.set_pc(CODE + 0xffe);
        clear(&rig, entry, A);
        rig.step();
        assert_eq!((rig.hart.x(1), has(&rig, entry, A)), (n, true));
    }
}
