//! Our RISC-V disassembler against binutils and LLVM.
//!
//! Every instruction of the tables with random operands must print alike, and random words must be known to
//! both or to neither. What one of them does differently on purpose is listed here with the reason.

use std::collections::BTreeMap;

use cpu_riscv::isa::{Features, Id, decode, disassemble_with, fmt, random_of};
use diff_tests::objdump::{Objdump, decimal};
use diff_tests::rng::Rng;

/// Extensions as the attribute names them, with the first binutils that knows them. The feature has the
/// same name.
const EXTENSIONS: [(&str, &str, u32); 34] = [
    ("m", "2p0", 0),
    ("a", "2p1", 0),
    ("f", "2p2", 0),
    ("d", "2p2", 0),
    ("c", "2p0", 0),
    ("zicbom", "1p0", 0),
    ("zicbop", "1p0", 0),
    ("zicboz", "1p0", 0),
    ("zicond", "1p0", 241),
    ("zicsr", "2p0", 0),
    ("zifencei", "2p0", 0),
    ("zihintpause", "2p0", 0),
    ("zimop", "1p0", 243),
    ("zabha", "1p0", 243),
    ("zacas", "1p0", 242),
    ("zawrs", "1p0", 240),
    ("zfa", "1p0", 241),
    ("zfh", "1p0", 0),
    ("zfhmin", "1p0", 0),
    ("zcb", "1p0", 242),
    ("zcmop", "1p0", 243),
    ("zba", "1p0", 0),
    ("zbb", "1p0", 0),
    ("zbc", "1p0", 0),
    ("zbkb", "1p0", 0),
    ("zbkc", "1p0", 0),
    ("zbkx", "1p0", 0),
    ("zbs", "1p0", 0),
    ("zknd", "1p0", 0),
    ("zkne", "1p0", 0),
    ("zknh", "1p0", 0),
    ("zksed", "1p0", 0),
    ("zksh", "1p0", 0),
    ("svinval", "1p0", 0),
];

/// The ISA string and our features for everything that the oracle knows.
fn isa(xlen: u32, oracle: &Objdump) -> (String, Features) {
    let mut arch = format!("rv{xlen}i2p1");
    let mut ext = Features::I | Features::S | if xlen == 64 { Features::RV64 } else { Features::RV32 };
    for (name, version, since) in EXTENSIONS {
        if oracle.knows(since) {
            arch += &format!("_{name}{version}");
            ext = ext | Features::from_name(name).unwrap();
        }
    }
    (arch, ext)
}

/// Our text for words laid one after the other from address 0, in the form of [`Objdump::disassemble`].
fn ours(ext: &Features, words: &[u32]) -> Vec<String> {
    let mut pc = 0;
    let mut texts = Vec::new();
    for word in words {
        let cx = fmt::Context { pc, numeric: true, xlen64: ext.contains(Features::RV64) };
        let text = disassemble_with(*word, ext, &cx).replace('\t', " ");
        texts.push(if decode(*word, ext).is_some() { text } else { ".word".into() });
        pc += if word & 3 == 3 { 4 } else { 2 };
    }
    texts
}

fn mnemonic(text: &str) -> &str {
    match text.split(' ').next().unwrap_or_default() {
        // binutils' words for data.
        ".short" | ".half" | ".2byte" | ".4byte" | ".insn" | "c.unimp" | "unimp" => ".word",
        m => m,
    }
}

/// Differences that are meant, each with its reason.
fn meant(oracle: &Objdump, xlen: u32, word: u32, ours: &str, theirs: &str) -> bool {
    let (a, b) = (mnemonic(ours), mnemonic(theirs));
    // Reserved fields of fences are to be ignored (Volume I, 2.7).
    if matches!(a, "fence" | "fence.i") && b == ".word" {
        return true;
    }
    // A CSR that one has a name for and the other prints as a number.
    if a.starts_with("csrr") && a == b {
        let (x, y) = (csr_apart(ours), csr_apart(theirs));
        return x.1 == y.1 && [x.0, y.0].iter().any(|csr| csr.starts_with(|c: char| c.is_ascii_digit()));
    }
    // Conversions that are exact ignore their rounding mode; the oracles know only some of its values.
    let exact = ["fcvt.d.s", "fcvt.d.w", "fcvt.d.wu", "fcvt.s.h", "fcvt.d.h"];
    if exact.contains(&a) && (b == ".word" || a == b && ours.starts_with(theirs)) {
        return true;
    }
    if a == ".word" {
        return reserved_but_printed(oracle, xlen, word, theirs);
    }
    // LLVM keeps `pause` for its aliases.
    if a == "pause" && theirs == "fence w,0" {
        return true;
    }
    // binutils writes the constants in hexadecimal floating point; LLVM checks them.
    if !oracle.llvm && a == b && a.starts_with("fli.") {
        return ours.split(',').next() == theirs.split(',').next();
    }
    // Until 2.41 binutils printed nothing for a dynamic rounding mode.
    if !oracle.llvm && ours.strip_suffix(",dyn") == Some(theirs) {
        return true;
    }
    // Hints have names of their own, or show an operand that does nothing.
    if a == "c.nop" && (theirs.starts_with("c.addi x0,") || b == a) {
        return true;
    }
    if matches!((a, b), ("c.slli", "c.slli64") | ("c.srli", "c.srli64") | ("c.srai", "c.srai64")) {
        return ours.ends_with(",0x0") || ours.ends_with(",0");
    }
    false
}

/// What is reserved, or belongs to what we have not, and yet printed.
fn reserved_but_printed(oracle: &Objdump, xlen: u32, word: u32, theirs: &str) -> bool {
    let b = mnemonic(theirs);
    // Reserved rounding modes; binutils prints them as `unknown`.
    if !oracle.llvm && matches!(word >> 12 & 7, 5 | 6) && theirs.ends_with(",unknown") {
        return true;
    }
    let last = theirs.rsplit(',').next().unwrap_or_default();
    let last = match last.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => last.parse().ok(),
    };
    match b.trim_start_matches("c.") {
        "slli" | "srli" | "srai" | "rori" | "bclri" | "bexti" | "binvi" | "bseti" => {
            xlen == 32 && last.is_some_and(|n| n >= 32)
        }
        "aes64ks1i" => last.is_some_and(|n| n > 10),
        "addi16sp" | "lui" => word < 0x1_0000 && last == Some(0),
        // The only rounding mode it may name is `rtz`.
        "fcvtmod.w.d" => word >> 12 & 7 != 1,
        // A draft's, the debug mode's, the hypervisor's.
        "hret" | "uret" | "dret" | "sfence.vm" | "hinval.vvma" | "hinval.gvma" => true,
        _ => false,
    }
}

/// The middle operand, and the others.
fn csr_apart(text: &str) -> (&str, (&str, &str)) {
    let (rd, rest) = text.split_once(',').unwrap_or_default();
    let (csr, source) = rest.split_once(',').unwrap_or_default();
    (csr, (rd, source))
}

fn compare(oracle: &Objdump, xlen: u32, words: &[u32], whole: bool) {
    let (arch, ext) = isa(xlen, oracle);
    let theirs = oracle.disassemble(xlen, &arch, words);
    let mut ours = ours(&ext, words);
    if oracle.llvm {
        ours.iter_mut().for_each(|t| *t = decimal(t));
    }
    let mut count = 0;
    let mut kinds: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for ((word, a), b) in words.iter().zip(&ours).zip(&theirs) {
        let pair = (mnemonic(a), mnemonic(b));
        let same = if whole && pair.1 != ".word" { a == b } else { pair.0 == pair.1 };
        if !same && !meant(oracle, xlen, *word, a, b) {
            count += 1;
            kinds.entry(pair).or_default().push(format!("{word:#010x}: `{a}`, the oracle `{b}`"));
        }
    }
    println!("{} rv{xlen}: {} words, {count} differences", oracle.name(), words.len());
    let list: Vec<String> = kinds.into_values().flat_map(|v| v.into_iter().take(3)).collect();
    assert!(list.is_empty(), "{}", list.join("\n"));
}

fn every_instruction(oracle: &Objdump) {
    let mut rng = Rng::new(1);
    for xlen in [32, 64] {
        let (_, ext) = isa(xlen, oracle);
        let mut words = Vec::new();
        for id in Id::ALL.into_iter().filter(|id| id.available(&ext)) {
            words.extend((0..60).map(|_| random_of(id, &mut || rng.next(), &ext).unwrap()));
        }
        // The name of every CSR: csrrs x1, csr, x2.
        words.extend((0..4096).map(|csr| csr << 20 | 0x0001_20f3));
        compare(oracle, xlen, &words, true);
    }
}

fn every_16_bit_word(oracle: &Objdump) {
    let words: Vec<u32> = (0..0x1_0000).filter(|w| w & 3 != 3).collect();
    for xlen in [32, 64] {
        compare(oracle, xlen, &words, true);
    }
}

fn random_words(oracle: &Objdump) {
    let mut rng = Rng::new(2);
    for xlen in [32, 64] {
        let (_, ext) = isa(xlen, oracle);
        let mut words = Vec::new();
        // Neighbours of instructions, for reserved encodings; then anything.
        for id in Id::ALL.into_iter().filter(|id| id.available(&ext) && id.len() == 4) {
            for _ in 0..100 {
                let word = random_of(id, &mut || rng.next(), &ext).unwrap();
                words.push(word ^ (4 << rng.below(30)));
            }
        }
        words.extend((0..100_000).map(|_| rng.next() as u32 | 3));
        // Longer instructions, which would put the oracle out of step.
        words.retain(|w| w & 0x1c != 0x1c);
        compare(oracle, xlen, &words, false);
    }
}

#[test]
fn binutils_prints_every_instruction_alike() {
    every_instruction(&Objdump::gnu());
}

#[test]
fn binutils_prints_every_16_bit_word_alike() {
    every_16_bit_word(&Objdump::gnu());
}

#[test]
fn binutils_knows_the_same_random_words() {
    random_words(&Objdump::gnu());
}

#[test]
fn llvm_prints_every_instruction_alike() {
    every_instruction(&Objdump::llvm());
}

#[test]
fn llvm_prints_every_16_bit_word_alike() {
    every_16_bit_word(&Objdump::llvm());
}

#[test]
fn llvm_knows_the_same_random_words() {
    random_words(&Objdump::llvm());
}
