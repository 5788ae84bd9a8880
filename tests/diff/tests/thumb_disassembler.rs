//! Our Thumb disassembler against binutils.
//!
//! Every instruction of the tables with random operands must print alike, and every 16-bit word. What one of them does
//! differently on purpose is listed here with the reason.

use std::collections::BTreeMap;

use cpu_armm::isa::{self, Features, Id, decode, disassemble, is_wide};
use diff_tests::arm::objdump::{self, normalise};
use diff_tests::arm::stream::{Word, features, placed};
use diff_tests::rng::Rng;

const UNKNOWN: &str = ".word";

fn ours(words: &[Word], features: &Features) -> Vec<String> {
    let mut pc = 0;
    let mut texts = Vec::new();
    for (word, len) in words {
        let text = disassemble(*word, pc, features);
        texts.push(if decode(*word, features).is_some() { normalise(&text) } else { UNKNOWN.into() });
        pc += u64::from(*len);
    }
    texts
}

fn theirs(words: &[Word]) -> Vec<String> {
    let text = |text: Option<String>| match text {
        Some(text) if !text.is_empty() && !text.starts_with('.') => text,
        _ => UNKNOWN.into(),
    };
    objdump::disassemble(words).into_iter().map(text).collect()
}

fn mnemonic(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// Differences that are meant, each with its reason.
fn meant(word: u32, ours: &str, theirs: &str) -> bool {
    let (a, b) = (mnemonic(ours), mnemonic(theirs));
    // Later architectures give names to some options and hints.
    if a.starts_with("dsb") && ["ssbb", "pssbb", "dfb"].iter().any(|name| b.starts_with(name)) {
        return true;
    }
    if a.starts_with("nop") && (b.starts_with("sevl") || theirs.starts_with(a)) {
        return true;
    }
    // A move of r8 to itself was a nop before there was one.
    if word >> 16 == 0x46c0 {
        return b == "nop";
    }
    // Whatever the upper bits of its offset, a load at PC is a literal's (A7.7.44, A7.7.47, A7.7.56).
    let literal = word >> 16 & 0xfe1f == 0xf81f;
    if literal && b.replacen('t', "", 1) == a.replace(".w", "").replacen('t', "", 1) {
        return ours.split(' ').skip(1).eq(theirs.split(' ').skip(1));
    }
    // Hints that are not allocated are not loads of PC (A5.3.9).
    if a.starts_with("nop") && word >> 12 & 15 == 15 && b.starts_with("ldrsh") {
        return true;
    }
    // Special registers of other profiles; and EAPSR stands there without its fields.
    if a.starts_with("mrs") || a.starts_with("msr") {
        return !matches!(word & 0xff, 0..=3 | 5..=9 | 16..=20) || theirs.contains("EAPSR");
    }
    // An offset of -0 is 0. The oracle has lost the mark of a written base beside one of 0.
    let zero = |text: &str| text.replace("#-0", "#0").replace(", #0]", "]");
    if zero(theirs) == zero(ours) || format!("{}!", zero(theirs)) == zero(ours) {
        return true;
    }
    // Lists that go beyond the last register are UNPREDICTABLE.
    let last = ours.strip_suffix('}').and_then(|list| list.rsplit_once("-d"));
    last.and_then(|(_, number)| number.parse::<u32>().ok()).is_some_and(|number| number > 15)
}

fn report(words: &[Word], ours: &[String], theirs: &[String]) {
    let mut count = 0;
    let mut kinds: BTreeMap<(&str, &str), Vec<String>> = BTreeMap::new();
    for (((word, len), a), b) in words.iter().zip(ours).zip(theirs) {
        if a != b && !meant(*word, a, b) {
            count += 1;
            let bits = word >> (32 - 8 * u32::from(*len));
            let line = format!("{bits:0w$x}: `{a}`, the oracle `{b}`", w = usize::from(2 * len));
            kinds.entry((mnemonic(a), mnemonic(b))).or_default().push(line);
        }
    }
    println!("{} words, {count} differences", words.len());
    let list: Vec<String> = kinds.into_values().flat_map(|v| v.into_iter().take(3)).collect();
    assert!(list.is_empty(), "{}", list.join("\n"));
}

fn random_words(rng: &mut Rng, id: Id, features: &Features, n: usize) -> Vec<Word> {
    let mut next = || isa::random_of(id, &mut || rng.next(), features).map(|w| (placed(id, w), id.len()));
    (0..n).map(|_| next().unwrap_or_else(|| panic!("no word for {}", id.name()))).collect()
}

#[test]
fn binutils_prints_every_instruction_alike() {
    let mut rng = Rng::new(1);
    let features = features();
    let mut words = Vec::new();
    for id in Id::ALL.into_iter().filter(|id| id.available(&features) && id.function() != "it") {
        words.extend(random_words(&mut rng, id, &features, 60));
    }
    report(&words, &ours(&words, &features), &theirs(&words));
}

/// The forms of IT blocks: the oracle adds the condition to the mnemonic.
#[test]
fn binutils_prints_every_conditional_instruction_alike() {
    let mut rng = Rng::new(2);
    let conditional = features().with(Features::IT);
    let it_eq = (0xbf08_0000, 2);
    let mut words = Vec::new();
    for id in Id::ALL.into_iter().filter(|id| id.available(&conditional)) {
        if id.flags() & isa::flags::UNCONDITIONAL == 0 {
            for word in random_words(&mut rng, id, &conditional, 20) {
                words.extend([it_eq, word]);
            }
        }
    }
    let with_condition = |text: &String| {
        let at = text.find(['.', ' ']).unwrap_or(text.len());
        format!("{}eq{}", &text[..at], &text[at..])
    };
    let ours: Vec<String> =
        ours(&words, &conditional).iter().skip(1).step_by(2).map(with_condition).collect();
    let theirs: Vec<String> = theirs(&words).into_iter().skip(1).step_by(2).collect();
    let words: Vec<Word> = words.into_iter().skip(1).step_by(2).collect();
    report(&words, &ours, &theirs);
}

/// 16-bit words that only the oracle knows.
fn not_ours(word: u32, theirs: &str) -> bool {
    let rest = theirs.split_once(' ').map_or("", |(_, rest)| rest);
    match mnemonic(theirs) {
        // Of ARMv8-M, or of the other profiles.
        "bxns" | "blxns" | "hlt" | "setend" | "setpan" => true,
        "cpsie" | "cpsid" => rest.is_empty() || rest.contains('a'),
        // UNPREDICTABLE: an empty list; bits that should be zero; PC and SP where they can not stand.
        "push" | "pop" | "stmia" | "ldmia" => theirs.ends_with("{}"),
        "bx" => word >> 16 & 7 != 0 || rest == "pc",
        "blx" => rest == "pc",
        "cmp" => rest.contains("pc"),
        "add" | "mov" => rest == "sp, pc" || rest == "pc, pc",
        _ => false,
    }
}

#[test]
fn binutils_prints_every_16_bit_word_alike() {
    let words = (0..0x1_0000).filter(|first| !is_wide(*first) && first >> 8 != 0xbf);
    let words: Vec<Word> = words.map(|first| (first << 16, 2)).collect();
    let (mut a, b) = (ours(&words, &features()), theirs(&words));
    for (((word, _), a), b) in words.iter().zip(&mut a).zip(&b) {
        if a == UNKNOWN && not_ours(*word, b) {
            a.clone_from(b);
        }
    }
    report(&words, &a, &b);
}

/// Each before four instructions, so that none stands in another's block.
#[test]
fn binutils_prints_it_instructions_alike() {
    let mut words = Vec::new();
    for first in 0xbf00..0xc000u32 {
        words.extend([
            (first << 16, 2),
            (0xbf00_0000, 2),
            (0xbf00_0000, 2),
            (0xbf00_0000, 2),
            (0xbf00_0000, 2),
        ]);
    }
    let every = |texts: Vec<String>| texts.into_iter().step_by(5).collect::<Vec<_>>();
    let (a, b) = (every(ours(&words, &features())), every(theirs(&words)));
    let words: Vec<Word> = words.into_iter().step_by(5).collect();
    report(&words, &a, &b);
}

/// Neighbours of instructions, for other forms of what is ours. The oracle also knows much that is not.
#[test]
fn binutils_prints_random_words_alike() {
    let mut rng = Rng::new(3);
    let features = features();
    let mut words = Vec::new();
    for id in Id::ALL.into_iter().filter(|id| id.available(&features) && id.len() == 4) {
        for (word, len) in random_words(&mut rng, id, &features, 100) {
            words.push((word ^ 1 << rng.below(32), len));
        }
    }
    words.retain(|(word, _)| is_wide(word >> 16) && decode(*word, &features).is_some());
    assert!(words.len() > 10_000);
    report(&words, &ours(&words, &features), &theirs(&words));
}
