//! Nodes and host code of small guest programs, as text that is reviewed: `golden/*.txt`.
//!
//! A file has what stands for the hart (`rv64` or `rv32`), the address, how often a block runs before it is compiled with those that
//! follow it (`, hot 4`; each at once without), the program as words with their disassembly, and the
//! listing of every block of it that is compiled. After a wanted change of the compiler:
//!
//! ```text
//! UPDATE_GOLDEN=1 cargo test -p cpu-jit-x64 --features dump --test golden
//! ```
//!
//! A new file needs the part before `listing` only; the disassembly behind the words is written by the update. Words come from
//! any assembler, such as `llvm-mc -triple=riscv64 -mattr=+m,+a,+f,+d,+c,+zba,+zbb,+zbs -show-encoding`.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use cpu_core::{Core, EmptyBus, GuestMemory, MemoryKind, RegionSpec, Time};
use cpu_jit::Listing;
use cpu_jit_x64::X64;
use cpu_riscv::{Hart, HartConfig, Mmu, isa};

const RAM: u64 = 0x8000_0000;
/// What all integer registers hold at first.
const DATA: u64 = RAM + 0x8000;
/// Instructions that a program runs for.
const BUDGET: u64 = 1000;

const EXTENSIONS: [&str; 16] = [
    "i", "m", "a", "f", "d", "c", "zicsr", "zifencei", "zba", "zbb", "zbc", "zbs", "zicond", "zacas", "zfh",
    "zcb",
];

/// The part of a file before the listing.
struct Program {
    /// The comment at the top.
    about: Vec<String>,
    base: String,
    start: u64,
    /// Runs of a block before it is compiled.
    hot: u32,
    /// Words, and what the file says they are.
    words: Vec<(String, String)>,
}

fn parse(text: &str) -> Option<Program> {
    let mut lines = text.lines().take_while(|line| *line != "listing").filter(|line| !line.is_empty());
    let mut about = Vec::new();
    let heading = loop {
        match lines.next()? {
            line if line.starts_with('#') => about.push(line.to_string()),
            line => break line,
        }
    };
    let (heading, hot) = heading.split_once(", hot ").unwrap_or((heading, "0"));
    let (base, start) = heading.split_once(" at ")?;
    let start = u64::from_str_radix(start.trim(), 16).ok()?;
    let word = |line: &str| {
        let (word, text) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        (word.to_string(), text.trim().to_string())
    };
    let (base, hot) = (base.to_string(), hot.parse().ok()?);
    Some(Program { about, base, start, hot, words: lines.map(word).collect() })
}

fn hart(program: &Program, bytes: &[u8]) -> Hart {
    let ram = RegionSpec { name: "ram".into(), base: RAM, size: 0x10000, kind: MemoryKind::Ram };
    let memory = GuestMemory::new(vec![ram]).unwrap();
    memory.write(program.start, bytes).unwrap();
    let config = HartConfig::new(0, &format!("{}i", program.base), EXTENSIONS, Mmu::None).unwrap();
    let mut hart = Hart::new(config, memory);
    hart.set_pc(program.start);
    (1..32).for_each(|r| hart.set_x(r, DATA));
    // The floating-point unit is on; traps go to an endless row of illegal instructions.
    assert!(hart.set_csr(0x300, 0x2000) && hart.set_csr(0x305, RAM));
    hart
}

/// The whole file as it should be.
fn render(program: &Program) -> String {
    let mut out = String::new();
    program.about.iter().for_each(|line| writeln!(out, "{line}").unwrap());
    let hot = if program.hot > 0 { format!(", hot {}", program.hot) } else { String::new() };
    writeln!(out, "{} at {:x}{hot}", program.base, program.start).unwrap();
    let mut bytes = Vec::new();
    let bits: Vec<u32> =
        program.words.iter().map(|(word, _)| u32::from_str_radix(word, 16).unwrap()).collect();
    let mut hart = {
        program.words.iter().zip(&bits).for_each(|((word, _), bits)| {
            bytes.extend(&bits.to_le_bytes()[..word.len() / 2]);
        });
        hart(program, &bytes)
    };
    let mut at = program.start;
    for ((word, _), bits) in program.words.iter().zip(&bits) {
        let text = isa::disassemble(*bits, at, &hart.config().extensions).replace('\t', " ");
        writeln!(out, "{word:<8}  {text}").unwrap();
        at += word.len() as u64 / 2;
    }
    let listed = Arc::new(Mutex::new(String::new()));
    let list = listed.clone();
    hart.set_backend(Some(Box::new(X64::new(1 << 20).unwrap())), program.hot);
    hart.set_listing(Some(Listing {
        addresses: program.start..=at - 1,
        host_addresses: false,
        write: Box::new(move |text| {
            let mut list = list.lock().unwrap();
            list.push('\n');
            list.push_str(text);
        }),
    }));
    hart.run(&mut EmptyBus, Time::ZERO, BUDGET);
    writeln!(out, "\nlisting").unwrap();
    out.push_str(&listed.lock().unwrap());
    out
}

fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// Lines of two texts, with `-` before those of `old` alone and `+` before those of `new` alone; without what is the same far
/// from any difference.
fn difference(old: &str, new: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let mut common = vec![vec![0u32; new.len() + 1]; old.len() + 1];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            common[i][j] = if old[i] == new[j] {
                common[i + 1][j + 1] + 1
            } else {
                common[i + 1][j].max(common[i][j + 1])
            };
        }
    }
    let (mut i, mut j, mut lines) = (0, 0, Vec::new());
    while i < old.len() || j < new.len() {
        if i < old.len() && j < new.len() && old[i] == new[j] {
            lines.push((' ', old[i]));
            (i, j) = (i + 1, j + 1);
        } else if j == new.len() || i < old.len() && common[i + 1][j] >= common[i][j + 1] {
            lines.push(('-', old[i]));
            i += 1;
        } else {
            lines.push(('+', new[j]));
            j += 1;
        }
    }
    let near =
        |at: usize| lines[at.saturating_sub(3)..lines.len().min(at + 4)].iter().any(|(mark, _)| *mark != ' ');
    (0..lines.len()).filter(|at| near(*at)).fold(String::new(), |mut text, at| {
        let _ = writeln!(text, "{} {}", lines[at].0, lines[at].1);
        text
    })
}

/// Compares a file with what it should be, or writes it.
fn check(path: &Path, old: &str, new: &str, failures: &mut Vec<String>) {
    if old == new {
        return;
    }
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, new).unwrap();
    } else {
        failures.push(format!("{}:\n{}", path.display(), difference(old, new)));
    }
}

fn report(failures: &[String]) {
    assert!(
        failures.is_empty(),
        "{}\n{} files differ; if that is meant: \
         UPDATE_GOLDEN=1 cargo test -p cpu-jit-x64 --features dump --test golden",
        failures.join("\n"),
        failures.len()
    );
}

/// Whether there is a back end on this host; its code does not depend on which host it is.
fn available() -> bool {
    X64::new(1 << 16).inspect_err(|why| eprintln!("not tested: {why}")).is_ok()
}

#[test]
fn host_code_is_as_reviewed() {
    if !available() {
        return;
    }
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(directory()).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|path| path.file_name().is_some_and(|name| name != "registers.txt"));
    files.sort();
    assert!(files.len() >= 40, "only {} files", files.len());
    let mut failures = Vec::new();
    for path in files {
        let old = std::fs::read_to_string(&path).unwrap();
        let program = parse(&old).unwrap_or_else(|| panic!("{} has no heading", path.display()));
        let new = render(&program);
        let compiled = new.contains("host code") && !new.contains("refused");
        assert!(compiled, "{}: not all of it was compiled", path.display());
        check(&path, &old, &new, &mut failures);
    }
    report(&failures);
}

#[test]
fn registers_are_pinned_as_reviewed() {
    if !available() {
        return;
    }
    let program = Program { about: Vec::new(), base: "rv64".into(), start: RAM, hot: 0, words: Vec::new() };
    let mut hart = hart(&program, &[]);
    hart.set_backend(Some(Box::new(X64::new(1 << 20).unwrap())), 0);
    let pins = hart.set_listing(None).unwrap();
    let new = format!("{}\n", pins.replace(", ", "\n"));
    let path = directory().join("registers.txt");
    let old = std::fs::read_to_string(&path).unwrap_or_default();
    let mut failures = Vec::new();
    check(&path, &old, &new, &mut failures);
    report(&failures);
}
