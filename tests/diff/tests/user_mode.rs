//! Random instruction streams in our interpreter and under qemu-user: registers, floating-point state and
//! memory must agree.
//!
//! `DIFF_SEED` chooses another run, `DIFF_CHUNKS` its length (chunks for each mix and width).

use cpu_riscv::isa::{Features, Id, disassemble};
use diff_tests::peer::{ours, qemu};
use diff_tests::rng::Rng;
use diff_tests::stream::{Chunk, Mix, SCRATCH, chunk, eligible, len};
use diff_tests::user::{BUFFER, CODE, STRIDE, body, program};

/// Parts of a chunk; jumps through registers and LR/SC pairs are two or three instructions each.
const CHUNK: usize = 60;
/// Chunks for each mix and width: with 26 of those, more than a million instructions.
const CHUNKS: u64 = 800;

/// Groups of extensions that are tested on their own, beside the mix of everything.
const GROUPS: [(&str, &[Features]); 12] = [
    ("I", &[Features::I]),
    ("M", &[Features::M]),
    ("A Zacas Zabha Zawrs", &[Features::A, Features::ZACAS, Features::ZABHA, Features::ZAWRS]),
    ("F", &[Features::F]),
    ("D", &[Features::D]),
    ("Zfh", &[Features::ZFH]),
    ("Zfa", &[Features::ZFA]),
    ("C", &[Features::C]),
    ("Zcb Zcmop", &[Features::ZCB, Features::ZCMOP]),
    ("Zba Zbb Zbs Zicond", &[Features::ZBA, Features::ZBB, Features::ZBS, Features::ZICOND]),
    (
        "Zbc Zk",
        &[
            Features::ZBC,
            Features::ZBKB,
            Features::ZBKC,
            Features::ZBKX,
            Features::ZKND,
            Features::ZKNE,
            Features::ZKNH,
            Features::ZKSED,
            Features::ZKSH,
        ],
    ),
    (
        "Zicsr Zifencei Zicbo Zimop",
        &[
            Features::ZICSR,
            Features::ZIFENCEI,
            Features::ZICBOM,
            Features::ZICBOP,
            Features::ZICBOZ,
            Features::ZIMOP,
            Features::ZIHINTPAUSE,
        ],
    ),
];

fn width(xlen: u32) -> Features {
    if xlen == 64 { Features::RV64 } else { Features::RV32 }
}

fn mixes(xlen: u32) -> Vec<Mix> {
    let ext = Features::ALL.without(Features::RV32 | Features::RV64 | Features::V) | width(xlen);
    let ids = eligible(&ext);
    let mut mixes = vec![Mix { name: "everything", ext, ids: ids.clone() }];
    for (name, group) in GROUPS {
        let group = group.iter().fold(Features::NONE, |a, b| a | *b);
        // What the group alone brings, and what goes with it.
        let own = |id: &Id| id.available(&(group | width(xlen))) || !id.available(&ext.without(group));
        mixes.push(Mix { name, ext, ids: ids.iter().copied().filter(own).collect() });
    }
    mixes
}

/// One width and mix: how many instructions of the chunks were executed, and the first chunk that differs,
/// cut down to its first wrong instruction.
fn compare(xlen: u32, mix: &Mix, seed: u64, count: u64) -> (u64, Option<String>) {
    let mut rng = Rng::new(seed);
    let base = eligible(&(Features::I | width(xlen)));
    let chunks: Vec<Chunk> = (0..count).map(|_| chunk(&mut rng, mix, &base, CHUNK, BUFFER)).collect();
    let list: Vec<(usize, &Chunk)> = chunks.iter().enumerate().collect();
    let elf = program(xlen, &list);
    let (a, b) = (ours(xlen, mix.ext, &elf), qemu(xlen, &elf));
    let executed = a.executed.saturating_sub(frame(xlen, mix, &chunks[0]) * count);
    let different = (0..chunks.len()).find(|k| a.record(*k).is_none() || a.record(*k) != b.record(*k));
    (executed, different.map(|k| explain(xlen, mix, k, &chunks[k])))
}

/// Instructions that load and write the state of a chunk.
fn frame(xlen: u32, mix: &Mix, chunk: &Chunk) -> u64 {
    let empty = Chunk { words: Vec::new(), ..chunk.clone() };
    let executed = |list: &[(usize, &Chunk)]| ours(xlen, mix.ext, &program(xlen, list)).executed;
    executed(&[(0, &empty), (1, &empty)]) - executed(&[(0, &empty)])
}

/// Runs a chunk alone with only its first instructions left, the others turned into nops of the same length.
fn agree(xlen: u32, mix: &Mix, number: usize, chunk: &Chunk, keep: usize) -> (bool, String) {
    let elf = shortened(xlen, number, chunk, keep);
    let (a, b) = (ours(xlen, mix.ext, &elf), qemu(xlen, &elf));
    let mut text = String::new();
    match (a.record(0), b.record(0)) {
        (Some(a), Some(b)) if a == b => return (true, text),
        (Some(a), Some(b)) => {
            for (at, (x, y)) in a.chunks(8).zip(b.chunks(8)).enumerate().filter(|(_, (x, y))| x != y) {
                let number = |v: &[u8]| u64::from_le_bytes(v.try_into().unwrap_or_default());
                let scratch = SCRATCH as usize / 8;
                let name = match at.checked_sub(scratch) {
                    None => format!("memory at +{:#x}", at * 8),
                    Some(r @ 0..32) => format!("x{r}"),
                    Some(r @ 32..64) => format!("f{}", r - 32),
                    Some(_) => "fcsr".into(),
                };
                text += &format!("  {name}: ours {:#018x}, qemu {:#018x}\n", number(x), number(y));
            }
        }
        _ => text += &format!("  ours ended with {}\n  qemu ended with {}\n", a.end, b.end),
    }
    (false, text)
}

fn shortened(xlen: u32, number: usize, chunk: &Chunk, keep: usize) -> Vec<u8> {
    let mut cut = chunk.clone();
    for word in &mut cut.words[keep..] {
        *word = if len(*word) == 4 { 0x13 } else { 1 };
    }
    program(xlen, &[(number, &cut)])
}

fn explain(xlen: u32, mix: &Mix, number: usize, chunk: &Chunk) -> String {
    let n = chunk.words.len();
    let Some(keep) = (0..=n).find(|keep| !agree(xlen, mix, number, chunk, *keep).0) else {
        return format!("rv{xlen} {} chunk {number} differs only together with those before it", mix.name);
    };
    let (_, text) = agree(xlen, mix, number, chunk, keep);
    let mut pc = CODE + number as u64 * STRIDE + body(xlen);
    let mut lines = format!("rv{xlen} {} chunk {number}, instruction {keep} of {n}:\n", mix.name);
    for (i, word) in chunk.words[..keep].iter().enumerate() {
        if i + 6 > keep {
            lines += &format!("  {pc:#x}: {word:08x} {}\n", disassemble(*word, pc, &mix.ext));
        }
        pc += len(*word);
    }
    for (r, (x, f)) in chunk.init.x.iter().zip(&chunk.init.f).enumerate() {
        if text.contains(&format!(" x{r}:")) || text.contains(&format!(" f{r}:")) {
            lines += &format!("  initially x{r} {x:#018x}, f{r} {f:#018x}\n");
        }
    }
    let file = std::env::temp_dir().join(format!("hyperemu-diff-rv{xlen}-{number}.elf"));
    if std::fs::write(&file, shortened(xlen, number, chunk, keep)).is_ok() {
        lines += &format!("  the program: {}\n", file.display());
    }
    lines + &text
}

#[test]
fn random_streams_agree_with_qemu() {
    let seed = Rng::from_env("DIFF_SEED", 20_240_411);
    let count = Rng::from_env("DIFF_CHUNKS", CHUNKS);
    let start = std::time::Instant::now();
    let (mut total, mut failures) = (0, Vec::new());
    for xlen in [64, 32] {
        for (i, mix) in mixes(xlen).iter().enumerate() {
            let (n, failure) = compare(xlen, mix, seed ^ (u64::from(xlen) << 32) ^ ((i as u64) << 48), count);
            println!("rv{xlen} {}: {} kinds, {n} instructions executed", mix.name, mix.ids.len());
            total += n;
            failures.extend(failure);
        }
    }
    println!("{total} instructions, {} differences, {:.1} s", failures.len(), start.elapsed().as_secs_f64());
    assert!(failures.is_empty(), "DIFF_SEED={seed}\n{}", failures.join("\n"));
    assert!(count < CHUNKS || total >= 1_000_000);
}
