//! How fast instructions are recorded in the compiler's representation, and how many nodes they take:
//! `cargo run --release -p cpu-riscv --example lift`.

use cpu_jit::Lifter;
use cpu_riscv::isa::{self, Features, flags};
use cpu_riscv::lift::Rv;

/// Instructions of a block, and blocks of a round.
const LENGTH: usize = 12;
const BLOCKS: usize = 200_000;

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

fn main() {
    let features = Features::RV64 | Features::I | Features::M | Features::C | Features::ZBA | Features::ZBB;
    let mut seed = 1u64;
    let mut rng = || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        seed.rotate_left(32)
    };
    let leaves = flags::JUMP | flags::BRANCH | flags::SYSTEM | flags::CSR;
    let code: Vec<isa::Decoded> = std::iter::from_fn(|| isa::random(&mut rng, &features))
        .filter_map(|word| isa::decode(word, &features))
        .filter(|decoded| decoded.id.flags() & leaves == 0)
        .take(LENGTH * 64)
        .collect();
    let mut scratch = cpu_jit::passes::Scratch::default();
    let mut round = |simplify: bool| {
        let (begin, mut nodes) = (cpu_seconds(), 0);
        for block in 0..BLOCKS {
            let lifter = Lifter::new(Rv::<64> { compressed: true, rounds_to_nearest: true, float: true });
            for decoded in &code[block % 64 * LENGTH..][..LENGTH] {
                lifter.start(decoded.len as u32);
                let _ = isa::dispatch::execute(&lifter, decoded.id, &decoded.ops);
            }
            let mut lifted = lifter.finish();
            if simplify {
                cpu_jit::passes::simplify(&mut lifted, &mut scratch);
            }
            nodes += lifted.nodes.len();
        }
        let count = (BLOCKS * LENGTH) as f64;
        ((cpu_seconds() - begin) * 1e9 / count, nodes as f64 / count)
    };
    round(true);
    let (record, recorded) = round(false);
    let (both, kept) = round(true);
    println!(
        "{record:.1} ns to record and {:.1} ns to simplify an instruction; {recorded:.2} nodes recorded, {kept:.2} kept",
        both - record
    );
}
