//! Runs a machine interpreted and compiled side by side, and shows where they part:
//! `cargo run --release -p hyperemu --example lockstep -- [options of a run] [--from NS] [--step NS] [--to NS]`.
//!
//! Both start together and are compared in virtual time: at `--from`, and then after every `--step`, the state of all
//! cores; memory too where that differs, at the end, and at every step shorter than 100 ns. To find the instruction, run
//! again from shortly before the difference with a smaller step. Devices that reach outside (disks written to,
//! networks) are shared by the two and are better left out.

use std::error::Error;

use clap::Parser;
use cpu_core::Time;
use hyperemu::cli;
use hyperemu::machine::jit::JitMode;
use hyperemu::machine::scheduler::Limit;
use hyperemu::machine::{Machine, Stop};

#[derive(Parser)]
struct Args {
    #[command(flatten)]
    run: cli::RunArgs,
    /// Nanoseconds of virtual time that are not compared.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Nanoseconds from one comparison to the next.
    #[arg(long, default_value_t = 100_000)]
    step: u64,
    /// Nanoseconds after which to stop.
    #[arg(long, default_value_t = 3_000_000_000)]
    to: u64,
}

fn advance(machine: &mut Machine, at: u64) {
    let time = Time::from_ns(at);
    while machine.schedule.now < time {
        match machine.round(Limit { instructions: None, time: Some(time) }) {
            Stop::Boundary => {}
            stop => println!("{stop:?} at {}", machine.schedule.now.0 / 1000),
        }
    }
}

/// Prints registers that differ; whether all cores agree.
fn cores_agree(a: &Machine, b: &Machine) -> bool {
    let mut agree = true;
    for (x, y) in a.cores.iter().zip(&b.cores).map(|(x, y)| (x.view(), y.view())) {
        if x.save() == y.save() {
            continue;
        }
        agree = false;
        println!("interpreted: {}\ncompiled:    {}", x.describe(), y.describe());
        for (i, info) in x.registers().iter().enumerate() {
            let (x, y) = (x.register(i), y.register(i));
            if x != y {
                println!("  {}: {:#x}, {:#x}", info.name, x.unwrap_or(0), y.unwrap_or(0));
            }
        }
    }
    agree
}

/// Prints the first place of each page that differs; whether memory agrees.
fn memory_agrees(a: &Machine, b: &Machine) -> bool {
    let mut pages = std::collections::BTreeMap::new();
    for (machine, first) in [(a, true), (b, false)] {
        machine.bus.services.memory.for_each_page(|addr, page| {
            let pair = pages.entry(addr).or_insert(([0; 4096], [0; 4096]));
            *(if first { &mut pair.0 } else { &mut pair.1 }) = *page;
        });
    }
    pages.retain(|_, (x, y)| x != y);
    for (addr, (x, y)) in &pages {
        let at = (0..4096).step_by(8).find(|at| x[*at..at + 8] != y[*at..at + 8]).unwrap_or(0);
        println!("  memory at {:#x}: {:x?}, {:x?}", addr + at as u64, &x[at..at + 8], &y[at..at + 8]);
    }
    pages.is_empty()
}

fn main() -> Result<(), Box<dyn Error>> {
    let mut args = Args::parse();
    let name = args.run.machine.clone().ok_or("--machine is missing")?;
    let board = args.run.board.compile(&name)?;
    let wanted = args.run.jit;
    let mut make = |mode| {
        args.run.jit = mode;
        cli::run::assemble(&board, &args.run, 0)
    };
    let (mut a, mut b) = (make(JitMode::Off)?, make(wanted)?);
    let step = args.step.max(1);
    let mut at = args.from;
    loop {
        advance(&mut a, at);
        advance(&mut b, at);
        let agree = cores_agree(&a, &b);
        let look = !agree || at >= args.to || step < 100;
        if look && !memory_agrees(&a, &b) || !agree {
            return Err(format!("they differ at {at} ns").into());
        }
        if at >= args.to {
            println!("they agree up to {at} ns");
            return Ok(());
        }
        at = (at + step).min(args.to);
    }
}
