//! Random Thumb instruction streams in our interpreter, as the compiler records them, compiled, and under qemu-arm: registers, flags,
//! floating-point state and memory must agree.
//!
//! `DIFF_SEED` chooses another run, `DIFF_CHUNKS` its length (chunks for each mix).

use std::collections::BTreeSet;

use cpu_armm::isa::{Features, Id, disassemble};
use diff_tests::arm::peer::{Run, lifted, ours, qemu};
use diff_tests::arm::stream::{Chunk, Mix, SCRATCH, chunk, eligible, features};
use diff_tests::arm::user::{BUFFER, body, program};
use diff_tests::rng::Rng;

/// Items of a chunk.
const CHUNK: usize = 40;
/// Chunks for each mix: more than a million instructions.
const CHUNKS: u64 = 4000;

fn mixes() -> Vec<Mix> {
    let all = eligible();
    let of = |name, features: &[Features]| {
        let of = |id: &Id| features.iter().any(|f| id.available(f) || id.available(&f.with(Features::IT)));
        Mix { name, ids: all.iter().copied().filter(of).collect() }
    };
    vec![
        of("everything", &[features()]),
        of("ARMv6-M", &[Features::V6M]),
        of("ARMv7-M", &[Features::V7M]),
        of("DSP", &[Features::DSP]),
        of("FPv4-SP", &[Features::FP]),
    ]
}

/// One mix: how many instructions of the chunks were executed, and the first chunk that differs, cut down to its first
/// wrong item.
fn compare(mix: &Mix, seed: u64, count: u64, made: &mut BTreeSet<&'static str>) -> (u64, Option<String>) {
    let mut rng = Rng::new(seed);
    let common = eligible();
    let chunks: Vec<Chunk> =
        (0..count as usize).map(|k| chunk(&mut rng, mix, &common, CHUNK, body(k), BUFFER)).collect();
    made.extend(chunks.iter().flat_map(|chunk| chunk.ids.iter().map(|id| id.name())));
    let list: Vec<(usize, &Chunk)> = chunks.iter().enumerate().collect();
    let elf = program(&list);
    let a = ours(&elf);
    let executed = a.executed.saturating_sub(frame(&chunks[0]) * count);
    let failure = PEERS.iter().find_map(|peer| {
        let b = (peer.run)(&elf);
        // What a budget, a breakpoint or the first run of a loop leaves to the interpreter is the lesser part.
        assert!(peer.name != "compiled" || 2 * b.compiled > b.executed, "compiled code ran {}", b.compiled);
        let different = (0..chunks.len()).find(|k| a.record(*k).is_none() || a.record(*k) != b.record(*k));
        let counts = (b.executed != 0 && b.executed != a.executed)
            .then(|| format!("{}: {} instructions, {} {}", mix.name, a.executed, peer.name, b.executed));
        different.map(|k| explain(mix, peer, k, &chunks[k])).or(counts)
    });
    (executed, failure)
}

/// Who runs the same program.
struct Peer {
    name: &'static str,
    run: fn(&[u8]) -> Run,
}

const PEERS: &[Peer] = &[
    Peer { name: "qemu", run: qemu },
    Peer { name: "recorded", run: lifted },
    #[cfg(target_arch = "x86_64")]
    Peer { name: "compiled", run: diff_tests::arm::peer::compiled },
];

/// Instructions that load and write the state of a chunk.
fn frame(chunk: &Chunk) -> u64 {
    let empty = Chunk { items: Vec::new(), ..chunk.clone() };
    let executed = |list: &[(usize, &Chunk)]| ours(&program(list)).executed;
    executed(&[(0, &empty), (1, &empty)]) - executed(&[(0, &empty)])
}

/// Runs a chunk alone with only its first items left.
fn agree(peer: &Peer, number: usize, chunk: &Chunk, keep: usize) -> (bool, String) {
    let elf = program(&[(number, &chunk.shortened(keep))]);
    let (a, b) = (ours(&elf), (peer.run)(&elf));
    let mut text = String::new();
    match (a.record(0), b.record(0)) {
        (Some(a), Some(b)) if a == b => return (true, text),
        (Some(a), Some(b)) => {
            for (at, (x, y)) in a.chunks(4).zip(b.chunks(4)).enumerate().filter(|(_, (x, y))| x != y) {
                let number = |v: &[u8]| u32::from_le_bytes(v.try_into().unwrap_or_default());
                let name = match at.checked_sub(SCRATCH as usize / 4) {
                    None => format!("memory at +{:#x}", at * 4),
                    Some(r @ 0..15) => format!("r{r}"),
                    Some(15) => "apsr".into(),
                    Some(16) => "fpscr".into(),
                    Some(s) => format!("s{}", s - 17),
                };
                text += &format!("  {name}: ours {:#010x}, {} {:#010x}\n", number(x), peer.name, number(y));
            }
        }
        _ => text += &format!("  ours ended with {}\n  {} ended with {}\n", a.end, peer.name, b.end),
    }
    (false, text)
}

fn explain(mix: &Mix, peer: &Peer, number: usize, chunk: &Chunk) -> String {
    let n = chunk.items.len();
    let Some(keep) = (0..=n).find(|keep| !agree(peer, number, chunk, *keep).0) else {
        return format!("{} chunk {number} differs only together with those before it", mix.name);
    };
    let (_, text) = agree(peer, number, chunk, keep);
    let mut pc = body(number);
    let mut lines = format!("{} chunk {number}, item {keep} of {n}:\n", mix.name);
    for (i, item) in chunk.items[..keep].iter().enumerate() {
        for (word, len) in item {
            if i + 4 > keep {
                // Whether it stands in an IT block shows from the instruction before.
                let text = disassemble(*word, pc.into(), &features());
                let word = if *len == 4 { format!("{word:08x}") } else { format!("{:04x}", word >> 16) };
                lines += &format!("  {pc:#x}: {word:8} {text}\n");
            }
            pc += u32::from(*len);
        }
    }
    let init = &chunk.init;
    lines += &format!("  initially apsr {:#010x}, fpscr {:#010x}\n", init.apsr, init.fpscr);
    for r in 0..32 {
        if let Some(value) = init.r.get(r).filter(|_| text.contains(&format!(" r{r}:"))) {
            lines += &format!("  initially r{r} {value:#010x}\n");
        }
        if text.contains(&format!(" s{r}:")) {
            lines += &format!("  initially s{r} {:#010x}\n", init.s[r]);
        }
    }
    let file = std::env::temp_dir().join(format!("hyperemu-diff-thumb-{number}.elf"));
    if std::fs::write(&file, program(&[(number, &chunk.shortened(keep))])).is_ok() {
        lines += &format!("  the program: {}\n", file.display());
    }
    lines + &text
}

#[test]
fn random_streams_agree_with_qemu() {
    let seed = Rng::from_env("DIFF_SEED", 20_240_411);
    let count = Rng::from_env("DIFF_CHUNKS", CHUNKS);
    let start = std::time::Instant::now();
    let (mut total, mut failures, mut made) = (0, Vec::new(), BTreeSet::new());
    for (i, mix) in mixes().iter().enumerate() {
        let (n, failure) = compare(mix, seed ^ ((i as u64) << 48), count, &mut made);
        println!("{}: {} kinds, {n} instructions executed", mix.name, mix.ids.len());
        total += n;
        failures.extend(failure);
    }
    println!(
        "{total} instructions of {} kinds, {} differences, {:.1} s",
        made.len(),
        failures.len(),
        start.elapsed().as_secs_f64()
    );
    assert!(failures.is_empty(), "DIFF_SEED={seed}\n{}", failures.join("\n"));
    if count >= CHUNKS {
        let missing: Vec<&str> =
            eligible().iter().map(|id| id.name()).filter(|name| !made.contains(name)).collect();
        assert!(missing.is_empty(), "never made: {}", missing.join(" "));
        assert!(total >= 1_000_000);
    }
}
