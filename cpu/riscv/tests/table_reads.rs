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

/// A loop, as one unit of compiled code, whose page the TLB forgets now and then.
#[test]
#[cfg(target_arch = "x86_64")]
fn a_loop_reads_them_as_often_as_the_interpreter() {
    const HERE: u64 = 0x40_0000;
    // Has the same place in the TLB.
    const FAR: u64 = 1 << 26;
    const TABLE: u64 = 0x80_0000;
    const ROUNDS: u64 = 20;
    for compiled in [false, true] {
        let (mut rig, _) = paged();
        let entry = rig.map(HERE, DATA, V | R | W, 0);
        rig.map(HERE + FAR, DATA + 0x1000, V | R | W | A | D, 0);
        rig.map(TABLE, entry & !0xfff, V | R | W | A | D, 0);
        if compiled {
            let backend = cpu_jit_x64::X64::new(1 << 20).unwrap();
            rig.hart.set_backend(Some(Box::new(backend)), 1);
        }
        // Each round clears A, reads here, counts whether that has set A, and reads here once more or far away, in turn.
        let offset = (entry & 0xfff) as i32;
        assert!(offset < 0x800);
        let add = |rd: u32, rs1: u32, rs2: u32| 0x33 | rd << 7 | rs1 << 15 | rs2 << 20;
        let code = [
            [sd(10, 9, offset), ld(6, 5, 0), ld(7, 10, offset), itype(0x13, 7, 7, 7, A as i32)],
            [add(11, 11, 7), itype(0x13, 7, 13, 12, 1), itype(0x13, 1, 13, 13, 26), add(8, 5, 13)],
            [ld(6, 8, 0), addi(5, 5, 8), addi(12, 12, -1), branch(1, 12, 0, -44)],
        ];
        rig.code(CODE, code.as_flattened());
        rig.enter(1, 0);
        let plain = rig.memory.read_le(entry, 8).unwrap() & !A;
        for (r, value) in [(5, HERE), (9, plain), (10, TABLE), (11, 0), (12, ROUNDS)] {
            rig.hart.set_x(r, value);
        }
        rig.run(12 * ROUNDS);
        // The first time, and after each round but the last that was far away.
        let expected = 1 + ROUNDS / 2 - 1;
        assert_eq!((rig.hart.x(11) / A, rig.hart.x(12)), (expected, 0), "compiled: {compiled}");
    }
}
