//! How operands look in assembly text.

use std::fmt::Write;

/// What the text depends on besides the operands.
#[derive(Copy, Clone, Debug)]
pub struct Context {
    /// Address of the instruction.
    pub pc: u64,
    /// `x10` and `f10` instead of `a0` and `fa0`.
    pub numeric: bool,
    /// Branch targets wrap at 64 bits, else at 32.
    pub xlen64: bool,
}

/// ABI names of the integer registers.
pub const X_NAMES: [&str; 32] = [
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6",
    "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
];

/// ABI names of the floating-point registers.
pub const F_NAMES: [&str; 32] = [
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4",
    "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8",
    "ft9", "ft10", "ft11",
];

/// Integer register.
pub fn x(out: &mut String, v: i64, cx: &Context) {
    register(out, v, cx, 'x', &X_NAMES);
}

/// Floating-point register.
pub fn f(out: &mut String, v: i64, cx: &Context) {
    register(out, v, cx, 'f', &F_NAMES);
}

fn register(out: &mut String, v: i64, cx: &Context, letter: char, names: &[&str; 32]) {
    if cx.numeric {
        let _ = write!(out, "{letter}{v}");
    } else {
        out.push_str(names[(v & 31) as usize]);
    }
}

/// Decimal, for a register slot that holds a number.
pub fn dec(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "{v}");
}

/// Hexadecimal.
pub fn hex(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "{v:#x}");
}

/// The 20 upper bits that `lui` and `auipc` encode.
pub fn upper(out: &mut String, v: i64, _: &Context) {
    let _ = write!(out, "{:#x}", v >> 12 & 0xf_ffff);
}

/// Absolute address of a branch or jump.
pub fn target(out: &mut String, v: i64, cx: &Context) {
    let address = cx.pc.wrapping_add(v as u64);
    let _ = write!(out, "{:#x}", if cx.xlen64 { address } else { address & 0xffff_ffff });
}

/// Rounding mode.
pub fn rm(out: &mut String, v: i64, _: &Context) {
    out.push_str(["rne", "rtz", "rdn", "rup", "rmm", "unknown", "unknown", "dyn"][(v & 7) as usize]);
}

/// Ordering suffix of an atomic.
pub fn aqrl(out: &mut String, v: i64, _: &Context) {
    out.push_str(["", ".rl", ".aq", ".aqrl"][(v & 3) as usize]);
}

/// Predecessor and successor sets.
pub fn fence(out: &mut String, v: i64, _: &Context) {
    let set = |out: &mut String, bits: i64| {
        for (i, letter) in ['i', 'o', 'r', 'w'].into_iter().enumerate() {
            if bits >> (3 - i) & 1 != 0 {
                out.push(letter);
            }
        }
        if bits & 15 == 0 {
            out.push_str("unknown");
        }
    };
    set(out, v >> 4);
    out.push(',');
    set(out, v);
}

/// Constant of `fli`.
pub fn fli(out: &mut String, v: i64, _: &Context) {
    const NAMES: [&str; 32] = [
        "-1.0",
        "min",
        "1.52587890625e-05",
        "3.0517578125e-05",
        "0.00390625",
        "0.0078125",
        "0.0625",
        "0.125",
        "0.25",
        "0.3125",
        "0.375",
        "0.4375",
        "0.5",
        "0.625",
        "0.75",
        "0.875",
        "1.0",
        "1.25",
        "1.5",
        "1.75",
        "2.0",
        "2.5",
        "3.0",
        "4.0",
        "8.0",
        "16.0",
        "128.0",
        "256.0",
        "32768.0",
        "65536.0",
        "inf",
        "nan",
    ];
    out.push_str(NAMES[(v & 31) as usize]);
}

/// CSR name, or its number where it has none.
pub fn csr(out: &mut String, v: i64, _: &Context) {
    match csr_name(v as u16) {
        Some(name) => out.push_str(&name),
        None => {
            let _ = write!(out, "{v:#x}");
        }
    }
}

/// The name of a CSR. Volume II, chapter 2.
pub fn csr_name(number: u16) -> Option<String> {
    let range = |base: u16, first: u16, stem: &str, tail: &str| {
        Some(format!("{stem}{}{tail}", number - base + first))
    };
    match number {
        0xc03..=0xc1f => return range(0xc03, 3, "hpmcounter", ""),
        0xc83..=0xc9f => return range(0xc83, 3, "hpmcounter", "h"),
        0xb03..=0xb1f => return range(0xb03, 3, "mhpmcounter", ""),
        0xb83..=0xb9f => return range(0xb83, 3, "mhpmcounter", "h"),
        0x323..=0x33f => return range(0x323, 3, "mhpmevent", ""),
        0x723..=0x73f => return range(0x723, 3, "mhpmevent", "h"),
        0x3a0..=0x3af => return range(0x3a0, 0, "pmpcfg", ""),
        0x3b0..=0x3ef => return range(0x3b0, 0, "pmpaddr", ""),
        _ => {}
    }
    CSR_NAMES.iter().find(|(n, _)| *n == number).map(|(_, name)| (*name).to_string())
}

const CSR_NAMES: [(u16, &str); 72] = [
    (0x001, "fflags"),
    (0x002, "frm"),
    (0x003, "fcsr"),
    (0x008, "vstart"),
    (0x009, "vxsat"),
    (0x00a, "vxrm"),
    (0x00f, "vcsr"),
    (0x015, "seed"),
    (0xc00, "cycle"),
    (0xc01, "time"),
    (0xc02, "instret"),
    (0xc20, "vl"),
    (0xc21, "vtype"),
    (0xc22, "vlenb"),
    (0xc80, "cycleh"),
    (0xc81, "timeh"),
    (0xc82, "instreth"),
    (0x100, "sstatus"),
    (0x104, "sie"),
    (0x105, "stvec"),
    (0x106, "scounteren"),
    (0x10a, "senvcfg"),
    (0x10c, "sstateen0"),
    (0x120, "scountinhibit"),
    (0x140, "sscratch"),
    (0x141, "sepc"),
    (0x142, "scause"),
    (0x143, "stval"),
    (0x144, "sip"),
    (0x14d, "stimecmp"),
    (0x15d, "stimecmph"),
    (0x180, "satp"),
    (0x5a8, "scontext"),
    (0xda0, "scountovf"),
    (0xf11, "mvendorid"),
    (0xf12, "marchid"),
    (0xf13, "mimpid"),
    (0xf14, "mhartid"),
    (0xf15, "mconfigptr"),
    (0x300, "mstatus"),
    (0x301, "misa"),
    (0x302, "medeleg"),
    (0x303, "mideleg"),
    (0x304, "mie"),
    (0x305, "mtvec"),
    (0x306, "mcounteren"),
    (0x310, "mstatush"),
    (0x312, "medelegh"),
    (0x320, "mcountinhibit"),
    (0x340, "mscratch"),
    (0x341, "mepc"),
    (0x342, "mcause"),
    (0x343, "mtval"),
    (0x344, "mip"),
    (0x34a, "mtinst"),
    (0x34b, "mtval2"),
    (0x30a, "menvcfg"),
    (0x31a, "menvcfgh"),
    (0x30c, "mstateen0"),
    (0x31c, "mstateen0h"),
    (0x747, "mseccfg"),
    (0x757, "mseccfgh"),
    (0x7a0, "tselect"),
    (0x7a1, "tdata1"),
    (0x7a2, "tdata2"),
    (0x7a3, "tdata3"),
    (0x7a4, "tinfo"),
    (0x7b0, "dcsr"),
    (0x7b1, "dpc"),
    (0xb00, "mcycle"),
    (0xb02, "minstret"),
    (0xb80, "mcycleh"),
];
