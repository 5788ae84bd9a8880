//! The written table of privileged behaviour: what traps, where to, and with which cause, value and return address.

mod common;

use common::*;
use cpu_core::{Core, Exit, Time};
use cpu_riscv::Mmu;

const MEDELEG: u16 = 0x302;
const MIDELEG: u16 = 0x303;
const MIE: u16 = 0x304;
const MCOUNTEREN: u16 = 0x306;
const MENVCFG: u16 = 0x30a;
const MSTATUS: u16 = 0x300;
const SCOUNTEREN: u16 = 0x106;
const SENVCFG: u16 = 0x10a;
const SATP: u16 = 0x180;
const STIMECMP: u16 = 0x14d;

const TVM: u64 = 1 << 20;
const TW: u64 = 1 << 21;
const TSR: u64 = 1 << 22;
const FS: u64 = 1 << 13;
const ADUE: u64 = 1 << 61;
const PBMTE: u64 = 1 << 62;
const STCE: u64 = 1 << 63;

/// Where a trap goes: `M` or `S`, cause, value (with `CODE` as `pc`), instructions before it.
#[derive(Copy, Clone)]
enum Expect {
    M(u64, u64),
    S(u64, u64),
    /// No trap within the program.
    Runs,
}
use Expect::{M, Runs, S};

struct Case {
    what: &'static str,
    /// Privilege to run in: 3, 1, 0.
    mode: u64,
    csrs: &'static [(u16, u64)],
    regs: &'static [(u8, u64)],
    code: &'static [u32],
    expect: Expect,
}

const fn case(
    what: &'static str,
    mode: u64,
    csrs: &'static [(u16, u64)],
    regs: &'static [(u8, u64)],
    code: &'static [u32],
    expect: Expect,
) -> Case {
    Case { what, mode, csrs, regs, code, expect }
}

const READ_CYCLE: u32 = csrrs(1, 0xc00, 0);
const READ_TIME: u32 = csrrs(1, 0xc01, 0);
const FADD: u32 = 0x0020_80d3 | 7 << 12;
const CBO_ZERO_X5: u32 = 0x0042_a00f;
const CBO_CLEAN_X5: u32 = 0x0012_a00f;
const CBO_INVAL_X5: u32 = 0x0002_a00f;
const SINVAL: u32 = 0x1600_0073;

/// Each case is one faulting instruction at CODE (or one that must not fault).
const CASES: &[Case] = &[
    // Environment calls and breakpoints, with and without delegation.
    case("ecall from U", 0, &[], &[], &[ECALL], M(8, 0)),
    case("ecall from S", 1, &[], &[], &[ECALL], M(9, 0)),
    case("ecall from M", 3, &[], &[], &[ECALL], M(11, 0)),
    case("ecall from U delegated", 0, &[(MEDELEG, 1 << 8)], &[], &[ECALL], S(8, 0)),
    case("ecall from S delegated", 1, &[(MEDELEG, 1 << 9)], &[], &[ECALL], S(9, 0)),
    case("ecall from M is never delegated", 3, &[(MEDELEG, u64::MAX)], &[], &[ECALL], M(11, 0)),
    case("ebreak has the address", 0, &[], &[], &[EBREAK], M(3, CODE)),
    case("a trap in M stays in M", 3, &[(MEDELEG, u64::MAX)], &[], &[EBREAK], M(3, CODE)),
    // Illegal instructions have their bits as value.
    case("all zero", 1, &[], &[], &[0], M(2, 0)),
    case("all ones", 1, &[], &[], &[u32::MAX], M(2, 0xffff_ffff)),
    case("a reserved 16-bit one", 1, &[], &[], &[0x6881], M(2, 0x6881)),
    case("delegated", 0, &[(MEDELEG, 4)], &[], &[0], S(2, 0)),
    case("mret in S", 1, &[], &[], &[MRET], M(2, MRET as u64)),
    case("sret in U", 0, &[], &[], &[SRET], M(2, SRET as u64)),
    case("sret in S", 1, &[], &[], &[SRET], Runs),
    case("sret under TSR", 1, &[(MSTATUS, TSR)], &[], &[SRET], M(2, SRET as u64)),
    case("sret in M under TSR", 3, &[(MSTATUS, TSR)], &[], &[SRET], Runs),
    case("wfi in S", 1, &[], &[], &[WFI], Runs),
    case("wfi in S under TW", 1, &[(MSTATUS, TW)], &[], &[WFI], M(2, WFI as u64)),
    case("wfi in U", 0, &[], &[], &[WFI], M(2, WFI as u64)),
    case("wrs.nto in S", 1, &[], &[], &[WRS_NTO], Runs),
    case("wrs.nto in S under TW", 1, &[(MSTATUS, TW)], &[], &[WRS_NTO], M(2, WRS_NTO as u64)),
    case("sfence.vma in S", 1, &[], &[], &[sfence(0, 0)], Runs),
    case("sfence.vma in S under TVM", 1, &[(MSTATUS, TVM)], &[], &[sfence(0, 0)], M(2, sfence(0, 0) as u64)),
    case("sfence.vma in U", 0, &[], &[], &[sfence(0, 0)], M(2, sfence(0, 0) as u64)),
    case("sinval.vma in S under TVM", 1, &[(MSTATUS, TVM)], &[], &[SINVAL], M(2, SINVAL as u64)),
    case("satp in S", 1, &[], &[], &[csrrs(1, 0x180, 0)], Runs),
    case(
        "satp in S under TVM",
        1,
        &[(MSTATUS, TVM)],
        &[],
        &[csrrs(1, 0x180, 0)],
        M(2, csrrs(1, 0x180, 0) as u64),
    ),
    case("satp in M under TVM", 3, &[(MSTATUS, TVM)], &[], &[csrrs(1, 0x180, 0)], Runs),
    // CSR rights.
    case("an M register in S", 1, &[], &[], &[csrrs(1, 0x300, 0)], M(2, csrrs(1, 0x300, 0) as u64)),
    case("an S register in U", 0, &[], &[], &[csrrs(1, 0x100, 0)], M(2, csrrs(1, 0x100, 0) as u64)),
    case(
        "a register that does not exist",
        3,
        &[],
        &[],
        &[csrrs(1, 0x5c0, 0)],
        M(2, csrrs(1, 0x5c0, 0) as u64),
    ),
    case("mstatush on RV64", 3, &[], &[], &[csrrs(1, 0x310, 0)], M(2, csrrs(1, 0x310, 0) as u64)),
    case("an odd pmpcfg on RV64", 3, &[], &[], &[csrrs(1, 0x3a1, 0)], M(2, csrrs(1, 0x3a1, 0) as u64)),
    case("writing a read-only one", 3, &[], &[], &[csrrw(0, 0xf14, 1)], M(2, csrrw(0, 0xf14, 1) as u64)),
    case("reading it by csrrs x0", 3, &[], &[], &[csrrs(1, 0xf14, 0)], Runs),
    case("setting no bit of it by csrrsi 0", 3, &[], &[], &[0xf140_6073], Runs),
    case("triggers are probed", 3, &[], &[], &[csrrw(0, 0x7a0, 1)], Runs),
    // Counters.
    case("cycle in S", 1, &[], &[], &[READ_CYCLE], M(2, READ_CYCLE as u64)),
    case("cycle in S enabled", 1, &[(MCOUNTEREN, 1)], &[], &[READ_CYCLE], Runs),
    case("cycle in U enabled for S", 0, &[(MCOUNTEREN, 1)], &[], &[READ_CYCLE], M(2, READ_CYCLE as u64)),
    case("cycle in U enabled", 0, &[(MCOUNTEREN, 1), (SCOUNTEREN, 1)], &[], &[READ_CYCLE], Runs),
    case("time in U enabled", 0, &[(MCOUNTEREN, 2), (SCOUNTEREN, 2)], &[], &[READ_TIME], Runs),
    case("hpmcounter31 in M", 3, &[], &[], &[csrrs(1, 0xc1f, 0)], Runs),
    case("hpmcounter3 in S", 1, &[], &[], &[csrrs(1, 0xc03, 0)], M(2, csrrs(1, 0xc03, 0) as u64)),
    // Sstc.
    case("stimecmp in S", 1, &[], &[], &[csrrs(1, 0x14d, 0)], M(2, csrrs(1, 0x14d, 0) as u64)),
    case(
        "stimecmp in S with STCE alone",
        1,
        &[(MENVCFG, STCE)],
        &[],
        &[csrrs(1, 0x14d, 0)],
        M(2, csrrs(1, 0x14d, 0) as u64),
    ),
    case("stimecmp in S enabled", 1, &[(MENVCFG, STCE), (MCOUNTEREN, 2)], &[], &[csrrs(1, 0x14d, 0)], Runs),
    case("stimecmp in M", 3, &[], &[], &[csrrs(1, 0x14d, 0)], Runs),
    // Floating point off.
    case("fadd with FS off", 1, &[], &[], &[FADD], M(2, FADD as u64)),
    case("fadd with FS initial", 1, &[(MSTATUS, FS)], &[], &[FADD], Runs),
    case("fcsr with FS off", 1, &[], &[], &[csrrs(1, 3, 0)], M(2, csrrs(1, 3, 0) as u64)),
    case("a reserved frm", 1, &[(MSTATUS, FS), (2, 5)], &[], &[FADD], M(2, FADD as u64)),
    // Cache-block operations.
    case("cbo.zero in S", 1, &[], &[(5, DATA)], &[CBO_ZERO_X5], M(2, CBO_ZERO_X5 as u64)),
    case("cbo.zero in S enabled", 1, &[(MENVCFG, 0x80)], &[(5, DATA)], &[CBO_ZERO_X5], Runs),
    case(
        "cbo.zero in U enabled for S",
        0,
        &[(MENVCFG, 0x80)],
        &[(5, DATA)],
        &[CBO_ZERO_X5],
        M(2, CBO_ZERO_X5 as u64),
    ),
    case("cbo.zero in U enabled", 0, &[(MENVCFG, 0x80), (SENVCFG, 0x80)], &[(5, DATA)], &[CBO_ZERO_X5], Runs),
    case("cbo.clean in S enabled", 1, &[(MENVCFG, 0x40)], &[(5, DATA)], &[CBO_CLEAN_X5], Runs),
    case("cbo.inval in S", 1, &[(MENVCFG, 0x40)], &[(5, DATA)], &[CBO_INVAL_X5], M(2, CBO_INVAL_X5 as u64)),
    case("cbo.inval in S enabled", 1, &[(MENVCFG, 0x30)], &[(5, DATA)], &[CBO_INVAL_X5], Runs),
    case("cbo.zero where nothing is", 3, &[], &[(5, 0x40)], &[CBO_ZERO_X5], M(7, 0x40)),
    // Accesses without translation.
    case("a load where nothing is", 3, &[], &[(5, 0x1234_5678)], &[lw(1, 5, 0)], M(5, 0x1234_5678)),
    case("a store where nothing is", 3, &[], &[(5, 0x1234_5678)], &[sw(5, 0, 0)], M(7, 0x1234_5678)),
    case("a device", 3, &[], &[(5, DEVICE)], &[lw(1, 5, 0)], Runs),
    case("a misaligned load of a device", 3, &[], &[(5, DEVICE + 2)], &[lw(1, 5, 0)], M(5, DEVICE + 2)),
    case("a misaligned store to a device", 3, &[], &[(5, DEVICE + 1)], &[sw(5, 0, 0)], M(7, DEVICE + 1)),
    case("a misaligned load", 3, &[], &[(5, DATA + 0xffd)], &[ld(1, 5, 0)], Runs),
    case("a load past the end", 3, &[], &[(5, RAM + RAM_SIZE - 4)], &[ld(1, 5, 0)], M(5, RAM + RAM_SIZE)),
    case("a misaligned amo", 3, &[], &[(5, DATA + 2)], &[amo(0, 2, 1, 5, 0)], M(6, DATA + 2)),
    case("a misaligned lr", 3, &[], &[(5, DATA + 4)], &[amo(2, 3, 1, 5, 0)], M(4, DATA + 4)),
    case("an lr from a device", 3, &[], &[(5, DEVICE)], &[amo(2, 2, 1, 5, 0)], M(5, DEVICE)),
    case("an amo on a device", 3, &[], &[(5, DEVICE)], &[amo(0, 2, 1, 5, 0)], Runs),
    case("a misaligned sc", 3, &[], &[(5, DATA + 4)], &[amo(3, 3, 1, 5, 0)], M(6, DATA + 4)),
    case(
        "an sc without reservation where nothing is",
        3,
        &[],
        &[(5, 0x40)],
        &[amo(3, 3, 1, 5, 0)],
        M(7, 0x40),
    ),
    // Fetches: the trap is the target's.
    case("a jump to nothing", 3, &[], &[(5, 0x40)], &[jalr(1, 5, 0)], M(1, 0x40)),
    case("a jump to a device", 3, &[], &[(5, DEVICE)], &[jalr(1, 5, 0)], M(1, DEVICE)),
];

#[test]
fn the_table_of_traps() {
    for case in CASES {
        let mut rig = Rig::rv64();
        let mut set = 0;
        for &(csr, value) in case.csrs {
            if csr == MSTATUS { set = value } else { assert!(rig.hart.set_csr(csr, value), "{}", case.what) }
        }
        rig.code(CODE, &[NOP; 4]);
        rig.code(CODE, case.code);
        rig.hart.set_csr(0x141, CODE + 4);
        rig.enter(case.mode, set);
        for &(r, value) in case.regs {
            rig.hart.set_x(r, value);
        }
        let trapped = rig.until_handler(2);
        let what = case.what;
        let (to, cause, tval) = match case.expect {
            Runs => {
                assert!(
                    !trapped,
                    "{what}: trapped, mcause {:#x} scause {:#x}",
                    rig.csr(0x342),
                    rig.csr(0x142)
                );
                continue;
            }
            M(cause, tval) => (3, cause, tval),
            S(cause, tval) => (1, cause, tval),
        };
        assert!(trapped, "{what}: did not trap, at {:#x}", rig.hart.pc());
        assert_eq!(rig.hart.privilege() as u64, to, "{what}: privilege");
        let (c, e, t, previous) = if to == 3 {
            (0x342, 0x341, 0x343, rig.csr(MSTATUS) >> 11 & 3)
        } else {
            (0x142, 0x141, 0x143, rig.csr(MSTATUS) >> 8 & 1)
        };
        let epc = if matches!(cause, 1 | 12) { tval } else { CODE };
        assert_eq!((rig.csr(c), rig.csr(t), rig.csr(e)), (cause, tval, epc), "{what}: cause, value, epc");
        assert_eq!(previous, case.mode, "{what}: previous privilege");
    }
}

/// One access under Sv39 from S or U (or from M by MPRV); `vaddr` of the access is `VA + offset`.
const VA: u64 = 0x40_0000;
const MXR: u64 = 1 << 19;
const SUM: u64 = 1 << 18;
const MPRV: u64 = 1 << 17;
const LEAF: u64 = V | A | D;

#[test]
#[allow(clippy::type_complexity)]
fn the_table_of_page_rights() {
    // What, mode, mstatus bits, page flags, level, instruction, trap (cause) or none.
    let load = lw(1, 5, 0);
    let store = sw(5, 0, 0);
    let jump = jalr(0, 5, 0);
    let cases: &[(&str, u64, u64, u64, u64, u32, Option<u64>)] = &[
        ("U reads its page", 0, 0, LEAF | U | R, 0, load, None),
        ("U writes a read-only page", 0, 0, LEAF | U | R, 0, store, Some(15)),
        ("U writes", 0, 0, LEAF | U | R | W, 0, store, None),
        ("U runs data", 0, 0, LEAF | U | R | W, 0, jump, Some(12)),
        ("U runs code", 0, 0, LEAF | U | X, 0, jump, None),
        ("U reads execute-only", 0, 0, LEAF | U | X, 0, load, Some(13)),
        ("U reads execute-only under MXR", 0, MXR, LEAF | U | X, 0, load, None),
        ("U reads a kernel page", 0, 0, LEAF | R | W, 0, load, Some(13)),
        ("S reads a kernel page", 1, 0, LEAF | R | W, 0, load, None),
        ("S reads a user page", 1, 0, LEAF | U | R | W, 0, load, Some(13)),
        ("S reads a user page under SUM", 1, SUM, LEAF | U | R | W, 0, load, None),
        ("S writes a user page under SUM", 1, SUM, LEAF | U | R | W, 0, store, None),
        ("S runs a user page under SUM", 1, SUM, LEAF | U | X, 0, jump, Some(12)),
        ("M reads what is not mapped for it", 3, 0, 0, 0, load, Some(5)),
        ("M reads as S by MPRV", 3, MPRV | 1 << 11, LEAF | R, 0, load, None),
        ("M reads a user page as S by MPRV", 3, MPRV | 1 << 11, LEAF | U | R, 0, load, Some(13)),
        ("M reads as U by MPRV", 3, MPRV, LEAF | U | R, 0, load, None),
        ("M reads a kernel page as U by MPRV", 3, MPRV, LEAF | R, 0, load, Some(13)),
        ("not valid", 1, 0, A | D | R | W, 0, load, Some(13)),
        ("write without read is reserved", 1, 0, LEAF | W, 0, load, Some(13)),
        ("not accessed", 1, 0, V | R | W | D, 0, load, Some(13)),
        ("not dirty, read", 1, 0, V | R | W | A, 0, load, None),
        ("not dirty, written", 1, 0, V | R | W | A, 0, store, Some(15)),
        ("a megapage", 1, 0, LEAF | R | W, 1, load, None),
        ("a reserved high bit", 1, 0, LEAF | R | W | 1 << 54, 0, load, Some(13)),
        ("a memory type without Svpbmt", 1, 0, LEAF | R | W | 1 << 61, 0, load, Some(13)),
        ("an amo needs the right to write", 1, 0, LEAF | R, 0, amo(0, 2, 1, 5, 0), Some(15)),
        ("a failing sc needs it too", 1, 0, LEAF | R, 0, amo(3, 2, 1, 5, 0), Some(15)),
        ("an lr needs the right to read", 1, 0, LEAF | X, 0, amo(2, 2, 1, 5, 0), Some(13)),
    ];
    for &(what, mode, set, flags, level, instruction, expect) in cases {
        let mut rig = Rig::rv64();
        let code_flags = LEAF | X | R | if mode == 0 { U } else { 0 };
        rig.map(CODE, CODE, code_flags, 0);
        if flags != 0 {
            rig.map(VA, DATA, flags, level);
        }
        let satp = rig.satp();
        rig.hart.set_csr(SATP, satp);
        rig.hart.set_csr(MEDELEG, 0);
        rig.code(CODE, &[instruction, NOP, NOP]);
        rig.code(DATA, &[NOP; 4]);
        let mprv = set & MPRV != 0;
        if mprv || mode == 3 {
            rig.hart.set_csr(MSTATUS, set);
        } else {
            rig.enter(mode, set);
        }
        rig.hart.set_x(5, if flags == 0 { 0x40 } else { VA });
        let trapped = rig.until_handler(2);
        match expect {
            None => assert!(!trapped, "{what}: trapped with {:#x} at {:#x}", rig.csr(0x342), rig.csr(0x343)),
            Some(cause) => {
                assert!(trapped, "{what}: did not trap");
                let value = if flags == 0 { 0x40 } else { VA };
                let epc = if cause == 12 { VA } else { CODE };
                assert_eq!((rig.csr(0x342), rig.csr(0x343), rig.csr(0x341)), (cause, value, epc), "{what}");
            }
        }
    }
}

#[test]
fn malformed_tables_fault() {
    let mut rig = Rig::rv64();
    rig.map(CODE, CODE, LEAF | X | R, 0);
    let entry = rig.map(VA, DATA, LEAF | R | W, 0);
    let satp = rig.satp();
    rig.hart.set_csr(SATP, satp);
    rig.code(CODE, &[ld(1, 5, 0)]);
    let check = |rig: &mut Rig, what: &str, vaddr: u64, expect: Option<u64>| {
        rig.hart.fence_translations(None, None);
        rig.enter(1, 0);
        rig.hart.set_x(5, vaddr);
        let trapped = rig.until_handler(1);
        assert_eq!(trapped.then(|| rig.csr(0x342)), expect, "{what}");
        // Back to M for the next round.
        if !trapped {
            rig.code(CODE + 4, &[ECALL]);
            assert!(rig.until_handler(1), "{what}");
        }
    };
    check(&mut rig, "well formed", VA, None);
    check(&mut rig, "not canonical", VA | 1 << 39, Some(13));
    check(&mut rig, "not canonical at the top", VA | 1 << 63, Some(13));
    // A megapage whose frame is not aligned.
    rig.map(0x60_0000, DATA + 0x1000, LEAF | R, 1);
    check(&mut rig, "misaligned superpage", 0x60_0000, Some(13));
    // A pointer with reserved bits, and one out of memory.
    rig.map(0x80_0000, DATA, V | A, 1);
    check(&mut rig, "accessed pointer", 0x80_0000, Some(13));
    rig.map(0xa0_0000, 0x40_0000_0000, V, 1);
    check(&mut rig, "table nowhere", 0xa0_0000, Some(5));
    // A pointer at the last level.
    rig.memory.write(entry, &(DATA >> 2 | V).to_le_bytes()).unwrap();
    check(&mut rig, "pointer at the last level", VA, Some(13));
    // Crossing into a page without a right: the value is the second page's.
    rig.map(0xc0_0000, DATA, LEAF | R | W, 0);
    check(&mut rig, "crosses into nothing", 0xc0_0ffc, Some(13));
    assert_eq!(rig.csr(0x343), 0xc0_1000);
    rig.map(0xc0_1000, DATA + 0x8000, LEAF | R | W, 0);
    rig.memory.write(DATA + 0xffc, &[1, 2, 3, 4]).unwrap();
    rig.memory.write(DATA + 0x8000, &[5, 6, 7, 8]).unwrap();
    check(&mut rig, "crosses", 0xc0_0ffc, None);
    assert_eq!(rig.hart.x(1), 0x0807_0605_0403_0201);
}

#[test]
fn accessed_and_dirty_bits_are_set_where_svadu_is_on() {
    let mut rig = Rig::rv64();
    rig.map(CODE, CODE, LEAF | X | R, 0);
    let entry = rig.map(VA, DATA, V | R | W, 0);
    let satp = rig.satp();
    rig.hart.set_csr(SATP, satp);
    rig.hart.set_csr(MENVCFG, ADUE);
    rig.code(CODE, &[lw(1, 5, 0), sw(5, 1, 4), lw(1, 5, 0)]);
    rig.enter(1, 0);
    rig.hart.set_x(5, VA);
    rig.step();
    assert_eq!(rig.memory.read_le(entry, 8).unwrap() & (A | D), A);
    rig.step();
    assert_eq!(rig.memory.read_le(entry, 8).unwrap() & (A | D), A | D);
    assert_eq!(rig.hart.pc(), CODE + 8);
    // Without the right to write the table there is an access fault, and no change.
    let mut rig = Rig::rv64();
    rig.map(CODE, CODE, LEAF | X | R, 0);
    let entry = rig.map(VA, DATA, V | R | W, 0);
    rig.hart.set_csr(0x3b0, entry >> 12 << 10 | 0x1ff);
    rig.hart.set_csr(0x3b1, u64::MAX);
    rig.hart.set_csr(0x3a0, 0x1f << 8 | 0x19);
    let satp = rig.satp();
    rig.hart.set_csr(SATP, satp);
    rig.hart.set_csr(MENVCFG, ADUE);
    rig.code(CODE, &[lw(1, 5, 0)]);
    rig.enter(1, 0);
    rig.hart.set_x(5, VA);
    assert!(rig.until_handler(1));
    assert_eq!((rig.csr(0x342), rig.csr(0x343)), (5, VA));
    assert_eq!(rig.memory.read_le(entry, 8).unwrap() & (A | D), 0);
}

#[test]
fn napot_and_memory_types() {
    let mut rig = Rig::rv64();
    rig.map(CODE, CODE, LEAF | X | R, 0);
    // 64 KiB at VA + 0x10000; any of its 16 entries serves.
    let napot = 1 << 63;
    for page in 0..16 {
        rig.map(VA + 0x1_0000 + page * 0x1000, DATA + 0x8000, LEAF | R | W | napot, 0);
    }
    rig.memory.write(DATA + 0xe018, &[0x55]).unwrap();
    let satp = rig.satp();
    rig.hart.set_csr(SATP, satp);
    rig.code(CODE, &[lb(1, 5, 0), lb(2, 6, 0), lb(3, 7, 0)]);
    rig.map(VA + 0x2_0000, DATA + 0x9000, LEAF | R | W | napot, 0);
    rig.map(VA + 0x3_0000, DATA, LEAF | R | W | 2 << 61, 0);
    rig.enter(1, 0);
    rig.hart.set_x(5, VA + 0x1_e018);
    rig.hart.set_x(6, VA + 0x3_0000);
    rig.hart.set_x(7, VA + 0x2_0000);
    rig.step();
    assert_eq!(rig.hart.x(1), 0x55);
    assert!(rig.until_handler(1), "a memory type needs menvcfg.PBMTE");
    assert_eq!(rig.csr(0x343), VA + 0x3_0000);
    rig.hart.set_csr(MENVCFG, PBMTE);
    rig.hart.set_csr(0x341, CODE + 4);
    rig.code(M_HANDLER, &[MRET]);
    rig.step();
    rig.step();
    assert_eq!(rig.hart.pc(), CODE + 8);
    assert!(rig.until_handler(1), "the other NAPOT sizes are reserved");
    assert_eq!(rig.csr(0x343), VA + 0x2_0000);
}

#[test]
fn a_fence_makes_new_tables_seen_and_address_spaces_stay_apart() {
    let mut rig = Rig::rv64();
    rig.map(CODE, CODE, LEAF | X | R, 0);
    let entry = rig.map(VA, DATA, LEAF | R | W, 0);
    rig.memory.write(DATA, &[1]).unwrap();
    rig.memory.write(DATA + 0x1000, &[2]).unwrap();
    let satp = rig.satp();
    rig.hart.set_csr(SATP, satp);
    rig.code(
        CODE,
        &[
            lb(1, 5, 0),
            sfence(5, 0),
            lb(2, 5, 0),
            csrrw(0, 0x180, 6),
            lb(3, 5, 0),
            csrrw(0, 0x180, 7),
            lb(4, 5, 0),
        ],
    );
    rig.enter(1, 0);
    rig.hart.set_x(5, VA);
    rig.step();
    rig.memory.write(entry, &((DATA + 0x1000) >> 2 | LEAF | R | W).to_le_bytes()).unwrap();
    rig.run(2);
    assert_eq!((rig.hart.x(1), rig.hart.x(2)), (1, 2));
    // Another root under another number.
    let other = TABLES + 0x8_0000;
    let mut page = vec![0; 0x1000];
    rig.memory.read(TABLES, &mut page).unwrap();
    rig.memory.write(other, &page).unwrap();
    let gigapage = (RAM >> 2 | LEAF | R | W).to_le_bytes();
    rig.memory.write(other, &gigapage).unwrap();
    rig.memory.write(RAM + VA % (1 << 30), &[3]).unwrap_or(());
    rig.hart.set_x(6, 8 << 60 | 7 << 44 | other >> 12);
    rig.hart.set_x(7, satp);
    rig.hart.set_x(5, VA);
    // VA lies past RAM in the gigapage: nothing answers there.
    rig.run(1);
    assert!(rig.until_handler(1));
    assert_eq!((rig.csr(0x342), rig.csr(0x343)), (5, VA));
}

#[test]
fn sv48_sv57_and_modes_that_are_not_there() {
    for (mode, levels, there) in [(9u64, 4, true), (10, 5, true), (11, 3, false), (1, 3, false)] {
        let mut rig = Rig::rv64();
        rig.map(CODE, CODE, LEAF | X | R, 0);
        rig.map(VA, DATA, LEAF | R | W, 0);
        // Longer tables: roots that lead to the Sv39 one.
        let mut root = TABLES;
        for level in 3..levels {
            let next = TABLES + 0x8_0000 + level * 0x1000;
            rig.memory.write(next, &(root >> 2 | V).to_le_bytes()).unwrap();
            root = next;
        }
        rig.hart.set_csr(SATP, mode << 60 | root >> 12);
        assert_eq!(rig.csr(SATP) != 0, there, "mode {mode}");
        if there {
            rig.memory.write(DATA, &[9]).unwrap();
            rig.code(CODE, &[lb(1, 5, 0), lb(2, 6, 0)]);
            rig.enter(1, 0);
            rig.hart.set_x(5, VA);
            rig.hart.set_x(6, VA | 1 << (12 + 9 * levels - 1));
            rig.step();
            assert_eq!(rig.hart.x(1), 9);
            assert!(rig.until_handler(1), "not canonical");
        }
    }
    let mut rig = Rig::new(config("rv64i", &ALL, Mmu::Sv39));
    rig.hart.set_csr(SATP, 9 << 60 | 5);
    assert_eq!(rig.csr(SATP), 0);
}

#[test]
fn interrupts_by_priority_delegation_and_vector() {
    let mut rig = Rig::rv64();
    rig.hart.set_csr(0x305, M_HANDLER | 1);
    rig.hart.set_csr(0x105, S_HANDLER | 1);
    rig.hart.set_csr(MIDELEG, u64::MAX);
    assert_eq!(rig.csr(MIDELEG), 0x222);
    rig.hart.set_csr(MIE, u64::MAX);
    rig.code(CODE, &[NOP; 32]);
    rig.code(M_HANDLER, &[jal(0, 0); 16]);
    rig.code(S_HANDLER, &[jal(0, 0); 16]);
    for line in [1, 3, 5, 7, 9, 11] {
        rig.hart.set_line(line, true);
    }
    rig.enter(0, 0);
    // Machine first, in its order, though M's global enable is off in U.
    for (line, to) in [(11, 3), (3, 3), (7, 3), (9, 1), (1, 1), (5, 1)] {
        rig.step();
        let base = if to == 3 { M_HANDLER } else { S_HANDLER };
        let (cause, epc) = if to == 3 { (0x342, 0x341) } else { (0x142, 0x141) };
        assert_eq!(rig.hart.privilege() as u64, to, "line {line}");
        assert_eq!(rig.csr(cause), 1 << 63 | line as u64);
        assert_eq!(rig.csr(epc), CODE);
        assert_eq!(rig.hart.pc(), base + 4 * line as u64);
        rig.hart.set_line(line, false);
        rig.hart.set_csr(MSTATUS, 0);
        rig.enter(0, 0);
    }
    assert_eq!(rig.csr(0x344), 0);
}

#[test]
fn a_vectored_interrupt_enters_its_slot_and_an_exception_the_base() {
    let mut rig = Rig::rv64();
    rig.hart.set_csr(0x305, M_HANDLER | 1);
    rig.hart.set_csr(MIE, 1 << 7);
    rig.code(M_HANDLER + 28, &[NOP]);
    rig.code(CODE, &[NOP, ECALL]);
    rig.hart.set_line(7, true);
    rig.hart.set_csr(MSTATUS, 8);
    rig.step();
    assert_eq!(rig.hart.pc(), M_HANDLER + 32);
    assert_eq!((rig.csr(0x341), rig.csr(MSTATUS) >> 3 & 0x11), (CODE, 0x10));
    rig.hart.set_csr(MIE, 0);
    rig.hart.set_pc(CODE + 4);
    rig.step();
    assert_eq!(rig.hart.pc(), M_HANDLER);
}

#[test]
fn enabling_takes_effect_before_the_next_instruction() {
    let mut rig = Rig::rv64();
    rig.hart.set_csr(MIE, 1 << 3);
    rig.hart.set_line(3, true);
    rig.code(M_HANDLER, &[jal(0, 0)]);
    // csrsi mstatus, 8 ; addi x1, x0, 1
    rig.code(CODE, &[NOP, 0x3004_6073, addi(1, 0, 1)]);
    rig.run(10);
    assert_eq!((rig.csr(0x341), rig.hart.x(1)), (CODE + 8, 0));
    assert_eq!(rig.csr(0x342), 1 << 63 | 3);
}

#[test]
fn the_supervisor_timer_is_exact() {
    let mut rig = Rig::rv64();
    rig.hart.set_csr(MENVCFG, STCE);
    rig.hart.set_csr(MCOUNTEREN, 7);
    rig.hart.set_csr(MIDELEG, 0x222);
    rig.hart.set_csr(MIE, 0x20);
    // 10 MHz and 1 ns an instruction: tick 3 comes at instruction 300.
    rig.code(CODE, &[csrrw(0, 0x14d, 5), 0x1001_6073 /* csrsi sstatus, 2 */, addi(1, 1, 1), jal(0, -4)]);
    rig.code(S_HANDLER, &[jal(0, 0)]);
    rig.enter(1, 0);
    assert_eq!(rig.now, Time::from_ns(1));
    rig.hart.set_x(5, 3);
    let ran = rig.run(1000);
    assert_eq!((ran.executed, ran.exit), (1000, Exit::Budget));
    assert_eq!(rig.csr(0x142), 1 << 63 | 5);
    // Before instruction 300: 1 mret, 2 of set-up, 297 in pairs of addi and jal.
    assert_eq!(rig.hart.x(1), 149);
    // Its bit is the comparison: it can not be written, and falls with stimecmp.
    assert_eq!(rig.csr(0x344) & 0x20, 0x20);
    rig.hart.set_csr(0x344, 0);
    rig.hart.set_csr(STIMECMP, u64::MAX);
    rig.run(1);
    assert_eq!(rig.csr(0x344) & 0x20, 0);
}

#[test]
fn wfi_sleeps_until_an_enabled_line() {
    let mut rig = Rig::rv64();
    rig.hart.set_csr(MIE, 1 << 11);
    rig.code(CODE, &[addi(1, 0, 1), WFI, addi(1, 0, 2)]);
    let ran = rig.run(100);
    assert_eq!((ran.executed, ran.exit), (2, Exit::Wait));
    let counter = cpu_core::Bus::counter(&rig.bus);
    assert!(!rig.hart.runnable(rig.now, counter));
    rig.hart.set_line(7, true);
    assert!(!rig.hart.runnable(rig.now, counter), "a line that is not enabled does not wake");
    assert_eq!(rig.run(5).exit, Exit::Wait);
    rig.hart.set_line(11, true);
    assert!(rig.hart.runnable(rig.now, counter));
    rig.run(1);
    assert_eq!(rig.hart.x(1), 2, "with the global enable off, it just goes on");
}

#[test]
fn counters_count_what_retires() {
    let mut rig = Rig::rv64();
    let read = |rd, csr| csrrs(rd, csr, 0);
    rig.code(CODE, &[read(1, 0xb02), NOP, read(2, 0xb02), ECALL]);
    rig.code(
        M_HANDLER,
        &[read(3, 0xb02), csrrwi(0, 0xb02, 9), read(4, 0xb02), read(5, 0xb00), read(6, 0xc01)],
    );
    rig.run(9);
    assert_eq!(rig.hart.x(2) - rig.hart.x(1), 2);
    assert_eq!(rig.hart.x(3) - rig.hart.x(2), 1, "the ecall did not retire");
    assert_eq!(rig.hart.x(4), 9, "the instruction after the write sees the value");
    assert_eq!(rig.hart.x(5), 7, "cycles are those of virtual time");
    assert_eq!(rig.hart.instructions(), 9);
    // Inhibited, both stand still.
    rig.hart.set_csr(0x320, 5);
    let (cycle, instret) = (rig.csr(0xb00), rig.csr(0xb02));
    rig.code(rig.hart.pc(), &[NOP; 20]);
    rig.run(20);
    assert_eq!((rig.csr(0xb00), rig.csr(0xb02)), (cycle, instret));
}

#[test]
fn protection_binds_and_splits_pages() {
    let mut rig = Rig::rv64();
    // 0: the code; 1: 8 bytes readable inside DATA's page; else nothing for S.
    rig.hart.set_csr(0x3b0, CODE >> 2 | 0x1ff);
    rig.hart.set_csr(0x3b1, (DATA + 0x10) >> 2);
    rig.hart.set_csr(0x3a0, 0x19 << 8 | 0x1d);
    rig.code(CODE, &[lw(1, 5, 0x10), ld(2, 5, 0x10), ld(3, 5, 0x14), lw(4, 5, 0x18)]);
    rig.enter(1, 0);
    rig.hart.set_x(5, DATA);
    rig.step();
    rig.step();
    assert_eq!(rig.hart.pc(), CODE + 8);
    assert!(rig.until_handler(1), "half of it lies outside");
    assert_eq!((rig.csr(0x342), rig.csr(0x343), rig.csr(0x341)), (5, DATA + 0x14, CODE + 8));
    // Code: only two instructions of the page may run.
    let mut rig = Rig::rv64();
    rig.hart.set_csr(0x3b0, CODE >> 2);
    rig.hart.set_csr(0x3a0, 0x1c);
    rig.code(CODE, &[NOP, addi(1, 0, 1), addi(1, 0, 2)]);
    rig.enter(1, 0);
    assert!(rig.until_handler(5));
    assert_eq!((rig.csr(0x342), rig.csr(0x343), rig.hart.x(1)), (1, CODE + 8, 1));
}

#[test]
fn registers_hold_only_what_they_can() {
    let mut rig = Rig::rv64();
    let mut wrote = |csr: u16, value: u64| {
        assert!(rig.hart.set_csr(csr, value), "{csr:#x}");
        rig.csr(csr)
    };
    assert_eq!(wrote(MSTATUS, u64::MAX), 0x8000_000a_007e_79aa);
    assert_eq!(wrote(MSTATUS, 2 << 11) >> 11 & 3, 3, "a reserved MPP keeps the old one");
    assert_eq!(wrote(MEDELEG, u64::MAX), 0xb3ff);
    assert_eq!(wrote(0x305, 0x1237), 0x1234, "reserved vector modes are direct");
    assert_eq!(wrote(0x341, 0x1233), 0x1232);
    assert_eq!(wrote(MIE, u64::MAX), 0xaaa);
    assert_eq!(wrote(0x344, u64::MAX), 0x222);
    assert_eq!(wrote(MENVCFG, u64::MAX), 0xe000_0000_0000_00f1);
    assert_eq!(wrote(MENVCFG, 0x20), 0x30, "CBIE 2 is reserved");
    assert_eq!(wrote(0x301, 0), 2 << 62 | 0x14_112f, "misa is fixed");
    assert_eq!(wrote(SATP, 7 << 60), 0);
    let mut rig = Rig::rv32();
    assert!(rig.hart.set_csr(0x301, 0));
    assert_eq!(rig.csr(0x301), 1 << 30 | 0x14_112f);
    assert!(rig.hart.set_csr(0x310, u64::MAX));
    assert_eq!(rig.csr(0x310), 0);
    rig.hart.set_csr(SATP, 0xffff_ffff);
    assert_eq!(rig.csr(SATP), 0xffff_ffff);
    assert!(!rig.hart.set_csr(0xf14, 1));
}

#[test]
fn sv32_and_the_high_halves() {
    let mut rig = Rig::rv32();
    rig.map(CODE & !0x3f_ffff, CODE & !0x3f_ffff, LEAF | X | R | W, 1);
    rig.map(0xc000_0000, DATA, LEAF | R | W, 0);
    let satp = rig.satp();
    rig.hart.set_csr(SATP, satp);
    rig.memory.write(DATA + 8, &0xdead_beefu32.to_le_bytes()).unwrap();
    // lui x5, 0xc0000 ; lw ; sw ; jal ; mulhu
    rig.code(CODE, &[0xc000_02b7, lw(1, 5, 8), sw(5, 1, 12), jal(3, 4), csrrs(4, 0xc80, 0)]);
    rig.hart.set_csr(MCOUNTEREN, 7);
    rig.enter(1, 0);
    rig.run(5);
    assert_eq!((rig.hart.x(5), rig.hart.x(1), rig.hart.x(3)), (0xc000_0000, 0xdead_beef, CODE + 16));
    assert_eq!(rig.memory.read_le(DATA + 12, 4).unwrap(), 0xdead_beef);
    assert_eq!(rig.hart.pc(), CODE + 20);
}

#[test]
fn stores_into_code_are_seen_at_once() {
    let mut rig = Rig::rv64();
    // The store rewrites the instruction after it in its own block.
    rig.code(CODE, &[NOP, sw(5, 6, 8), addi(1, 0, 1), addi(2, 0, 1)]);
    rig.hart.set_x(5, CODE);
    rig.hart.set_x(6, addi(1, 0, 7) as u64);
    rig.run(4);
    assert_eq!((rig.hart.x(1), rig.hart.x(2)), (7, 1));
    // By a device, between runs.
    rig.code(CODE + 4, &[addi(3, 0, 5)]);
    rig.hart.set_pc(CODE);
    rig.run(2);
    assert_eq!(rig.hart.x(3), 5);
}

#[test]
fn devices_see_exact_time_and_attention_stops() {
    let mut rig = Rig::rv64();
    rig.code(CODE, &[NOP, sw(5, 0, 0), NOP, lw(1, 5, 4), sd(6, 0, 0), addi(2, 0, 1)]);
    rig.hart.set_x(5, DEVICE);
    rig.hart.set_x(6, DEVICE + 0x800);
    let ran = rig.run(100);
    assert_eq!((ran.executed, ran.exit), (5, Exit::Attention));
    assert_eq!((rig.hart.x(1), rig.hart.x(2)), (4, 0));
    let times: Vec<u64> = rig.bus.log.iter().map(|entry| entry.2.as_ns()).collect();
    assert_eq!(times, [1, 3, 4]);
}

#[test]
fn reservations_end_with_any_change() {
    let lr = amo(2, 3, 1, 5, 0);
    let sc = amo(3, 3, 2, 5, 6);
    for (what, between, expect) in [
        ("nothing", NOP, 0),
        ("a store of the same value", sd(5, 1, 0), 0),
        ("a store of another", sd(5, 5, 0), 1),
        ("an sc elsewhere", amo(3, 3, 3, 7, 6), 1),
    ] {
        let mut rig = Rig::rv64();
        rig.code(CODE, &[lr, between, sc, sc]);
        rig.hart.set_x(5, DATA);
        rig.hart.set_x(7, DATA + 64);
        rig.run(3);
        assert_eq!(rig.hart.x(2), expect, "{what}");
        rig.run(1);
        assert_eq!(rig.hart.x(2), 1, "{what}: an sc uses the reservation up");
    }
}

#[test]
fn a_handler_that_can_not_be_fetched_locks_up() {
    let mut rig = Rig::rv64();
    rig.hart.set_csr(0x305, 0x40);
    rig.code(CODE, &[ECALL]);
    let ran = rig.run(1000);
    assert_eq!(ran.exit, Exit::Lockup);
}

#[test]
fn breakpoints_stop_before_their_instruction() {
    let mut rig = Rig::rv64();
    rig.code(CODE, &[addi(1, 1, 1), addi(1, 1, 1), addi(1, 1, 1), jal(0, -12)]);
    rig.hart.set_breakpoints(&[CODE + 8, CODE]);
    assert_eq!((rig.run(100).executed, rig.hart.pc()), (0, CODE));
    rig.hart.step_over_breakpoint();
    let ran = rig.run(100);
    assert_eq!((ran.executed, ran.exit, rig.hart.pc()), (2, Exit::Breakpoint, CODE + 8));
    rig.hart.step_over_breakpoint();
    assert_eq!(rig.run(1), cpu_core::Ran { executed: 1, exit: Exit::Budget });
    rig.hart.set_breakpoints(&[]);
    assert_eq!(rig.run(101).exit, Exit::Budget);
}

#[test]
fn what_the_board_lacks_is_illegal() {
    let illegal = |extensions: &[&str], mmu: Mmu, word: u32| {
        let mut rig = Rig::new(config("rv64i", extensions, mmu));
        rig.code(CODE, &[word]);
        rig.hart.set_csr(MSTATUS, FS | 3 << 11);
        rig.hart.set_x(5, DATA);
        rig.until_handler(1) && rig.csr(0x342) == 2
    };
    let all = Mmu::Sv39;
    assert!(illegal(&["i", "zicsr"], all, 0x0220_81b3) && !illegal(&["i", "m"], all, 0x0220_81b3), "mul");
    assert!(illegal(&["i", "zicsr"], all, amo(0, 2, 1, 5, 0)), "amoadd");
    assert!(illegal(&["i", "zicsr"], all, FADD) && !illegal(&["zicsr", "f"], all, FADD), "fadd.s");
    assert!(illegal(&["i", "zicsr"], all, 0x2020_a1b3) && !illegal(&["zba"], all, 0x2020_a1b3), "sh1add");
    assert!(
        illegal(&["zicsr"], all, csrrs(1, 0xc00, 0))
            && !illegal(&["zicsr", "zicntr"], all, csrrs(1, 0xc00, 0))
    );
    assert!(illegal(&["zicsr"], all, csrrs(1, 3, 0)), "fcsr without F");
    assert!(illegal(&["zicsr"], Mmu::None, SRET) && illegal(&["zicsr"], Mmu::None, csrrs(1, 0x180, 0)));
    assert!(illegal(&["zicsr"], all, 0x0505_0505 & !3 | 1), "compressed without C");
    assert!(illegal(&["m"], all, csrrs(1, 0x300, 0)), "Zicsr");
}

#[test]
fn jumps_need_alignment_without_c() {
    for (word, target) in [(jal(1, 6), CODE + 6), (branch(0, 0, 0, 6), CODE + 6), (jalr(1, 5, 2), DATA + 2)] {
        let mut rig = Rig::new(config("rv64i", &["i", "zicsr"], Mmu::Sv39));
        rig.code(CODE, &[word]);
        rig.hart.set_x(5, DATA);
        assert!(rig.until_handler(1));
        assert_eq!((rig.csr(0x342), rig.csr(0x343), rig.csr(0x341)), (0, target, CODE));
        assert_eq!(rig.hart.x(1), 0, "no link is written");
    }
    let mut rig = Rig::new(config("rv64i", &["i", "zicsr"], Mmu::Sv39));
    rig.code(CODE, &[branch(1, 0, 0, 6)]);
    assert!(!rig.until_handler(1), "a branch that is not taken does not trap");
}

#[test]
fn the_debugger_finds_registers_by_gdbs_numbers() {
    for (mut rig, bits) in [(Rig::rv64(), 64), (Rig::rv32(), 32)] {
        let index =
            |rig: &Rig, name: &str| rig.hart.registers().iter().position(|info| info.name == name).unwrap();
        for (name, number) in [
            ("ra", 1),
            ("t6", 31),
            ("pc", 32),
            ("ft0", 33),
            ("ft11", 64),
            ("fcsr", 68),
            ("mstatus", 65 + 0x300),
            ("priv", 4161),
        ] {
            assert_eq!(rig.hart.registers()[index(&rig, name)].number, number, "{name}");
        }
        let (sp, pc, mepc, ft0) =
            (index(&rig, "sp"), index(&rig, "pc"), index(&rig, "mepc"), index(&rig, "ft0"));
        assert_eq!(rig.hart.registers()[sp].bits, bits);
        assert!(rig.hart.set_register(sp, u128::MAX));
        assert_eq!(rig.hart.register(sp), Some(u128::from(u64::MAX >> (64 - bits))));
        assert!(rig.hart.set_register(pc, 0x8000_0123) && rig.hart.set_register(mepc, 0x8000_0123));
        assert_eq!((rig.hart.register(pc), rig.hart.register(mepc)), (Some(0x8000_0122), Some(0x8000_0122)));
        assert!(rig.hart.set_register(ft0, 1 << 63) && rig.hart.f(0) == 1 << 63);
        assert!(!rig.hart.set_register(index(&rig, "mhartid"), 1));
        assert!(rig.hart.set_register(0, 5) && rig.hart.register(0) == Some(0));
        assert_eq!(rig.hart.register(rig.hart.registers().len()), None);
        assert_eq!(rig.hart.disassemble(CODE, &NOP.to_le_bytes()).map(|(_, len)| len), Some(4));
        assert_eq!(rig.hart.disassemble(CODE, &[0x13]), None);
    }
}
